"""E-mail: an mbox, a Maildir, single mails."""

import gzip
import zipfile
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

import pytest

from lorecall.data.catalog import check, list_users, load_history, recognised
from lorecall.errors import DataError

OUT, YES = "shall we go out tonight", "yes but only after eight"
ANN, BOB = "ann@example.org", "bob@example.org"
START = 1718910000


def mail(number: int, sender: str, text: str, *, to: int | None = None, **fields: str) -> str:
    """Write a mail, sent at some minute, that answers another."""
    more = {"In-Reply-To": f"<{to}@x>", "References": f"<{to}@x>"} if to is not None else {}
    head = {"From": sender, "Date": formatdate(START + 60 * number), "Message-ID": f"<{number}@x>"}
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    lines = (f"{name}: {value}" for name, value in (head | more | named).items() if value)
    return "\n".join(lines) + f"\n\n{text}\n"


def mbox(path: Path, *mails: str) -> Path:
    """Write an mbox."""
    before = "From someone@example.org Thu Jun 20 19:01:00 2024\n"
    path.write_text("".join(f"{before}{each}\n" for each in mails), encoding="utf-8")
    return path


def replies(
    source: Path | str, user: str = BOB, *, path: Path | None = None
) -> list[tuple[str, str]]:
    """Return the pairs of a user."""
    return [(s.query, s.response) for s in load_history(source, user=user, path=path).samples]


def test_a_mail_answers_another(tmp_path: Path) -> None:
    """By its fields, wherever the two stand; who is answered is the partner."""
    quoted = f"{YES}\n\nOn 20/06/2024 19:01, Ann wrote:\n> {OUT}\n-- \nBob"
    path = mbox(
        tmp_path / "all.mbox",
        mail(3, f"Bob <{BOB}>", quoted, to=1),
        mail(2, "Cleo <cleo@example.org>", "has anyone seen my keys"),
        mail(1, f'"Lee, Ann" <{ANN.upper()}>', OUT),
    )
    assert recognised(path).name == "mail"
    (sample,) = load_history(path, user="bob").samples
    assert (sample.query, sample.response, sample.partner) == (OUT, YES, ANN)
    assert (sample.conversation, sample.time) == ("<1@x>", START + 180)
    assert [user.user for user in list_users(path)] == [BOB]


def test_a_thread_is_one_conversation(tmp_path: Path) -> None:
    """Whether mails name all that came before, or the last alone, or one that is not there."""
    known = mail(3, ANN, "and what about the bread", to=2).replace("References: <2@x>", "X: y")
    path = mbox(
        tmp_path / "all.mbox",
        mail(1, ANN, OUT, to=0),
        mail(2, BOB, YES, to=1),
        known,
        mail(4, BOB, "I have some at home", to=3),
        mail(6, BOB, "to a mail that is lost", to=5),
    )
    history = load_history(path, user=BOB)
    assert {sample.conversation for sample in history.samples} == {"<0@x>"}
    assert [s.earlier[-1].text for s in history.samples if s.earlier] == [YES]
    assert [said.text for said in history.statements] == ["to a mail that is lost"]


def test_a_mail_counts_once(tmp_path: Path) -> None:
    """Sent and received, in two files; and one whose id is lost."""
    mails = mail(1, ANN, OUT), mail(2, BOB, YES, to=1)
    paths = [mbox(tmp_path / "sent.mbox", mails[1]), mbox(tmp_path / "all.mbox", *mails)]
    history = load_history("mail", path=paths, user=BOB)
    assert len(history.samples) == 1
    assert history.dropped == {"mail that is there twice": 1}
    lost = mail(1, ANN, OUT).replace("Message-ID: <1@x>", "X: y")
    assert check(mbox(tmp_path / "lost.mbox", lost, lost)).dropped["mail that is there twice"] == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"Auto_Submitted": "auto-replied"},
        {"X_Autoreply": "yes"},
        {"Precedence": "auto_reply"},
        {"Subject": "Automatische Antwort: Tee"},
        {"Subject": "=?utf-8?q?R=C3=A9ponse_automatique=3A_th=C3=A9?="},
        {"Content_Type": "text/calendar; method=REPLY"},
        {"Content_Type": "multipart/report; boundary=x"},
    ],
)
def test_what_nobody_wrote_is_dropped(tmp_path: Path, fields: dict[str, str]) -> None:
    """And who answers it answers nothing that is known."""
    path = mbox(
        tmp_path / "all.mbox",
        mail(1, ANN, OUT),
        mail(2, BOB, YES, to=1, **fields),
        mail(3, ANN, "when are you back then", to=2),
    )
    summary = check(path)
    assert (summary.n_replies, summary.dropped) == (0, {"message without text": 1})


def test_drafts_and_forwards_are_no_replies(tmp_path: Path) -> None:
    """A draft was never sent; of a forward nothing is the sender's."""
    forward = f"---------- Forwarded message ---------\nFrom: Cleo\nDate: 2024\n\n{OUT}"
    path = mbox(
        tmp_path / "all.mbox",
        mail(1, ANN, OUT),
        mail(2, BOB, "I am not yet sure of", to=1, X_Gmail_Labels="Drafts,Important"),
        mail(3, BOB, forward, to=1),
        mail(4, BOB, YES, to=1, X_Gmail_Labels="Sent"),
    )
    assert replies(path) == [(OUT, YES)]
    assert check(path).dropped == {"draft": 1, "message without text": 1}


def test_parts_and_encodings(tmp_path: Path) -> None:
    """Of two forms the plain one; attachments, and mails within, are not read."""
    said = EmailMessage()
    said["From"], said["In-Reply-To"], said["Message-ID"] = (
        f"=?utf-8?b?QsO2Yg==?= <{BOB}>",
        "<1@x>",
        "<2@x>",
    )
    said.set_content("gern, um acht \u2013 sch\u00f6n", charset="cp1252", cte="quoted-printable")
    said.add_alternative("<p>anything</p>", subtype="html")
    said.add_attachment("not this", filename="notes.txt")
    inner = EmailMessage()
    inner.set_content("nor this one")
    said.add_attachment(inner)
    path = mbox(tmp_path / "all.mbox", mail(1, ANN, OUT), said.as_string())
    assert replies(path) == [(OUT, "gern, um acht \u2013 sch\u00f6n")]


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("html", "<p>only <b>after</b> eight&nbsp;!<hr id=stopSpelling>x", "only after eight !"),
        (
            "plain; format=flowed",
            "a line goes \non\n> no \n> no\nand ends",
            "a line goes on\nand ends",
        ),
        (
            "plain; format=flowed; delsp=yes",
            "a long line is cut he \nre",
            "a long line is cut here",
        ),
        ("plain; charset=nonsense", "caf\u00e9 after eight then", "caf\u00e9 after eight then"),
        ("plain", ">From here it is far", "From here it is far"),
        ("calendar", "BEGIN:VCALENDAR", None),
    ],
)
def test_bodies(tmp_path: Path, kind: str, body: str, text: str | None) -> None:
    """HTML alone, wrapped lines, a charset that there is none of, an escaped line."""
    path = mbox(
        tmp_path / "all.mbox",
        mail(1, ANN, OUT),
        mail(2, BOB, body, to=1, Content_Type=f"text/{kind}"),
    )
    history = [(s.query, s.response) for s in load_history(path, user=BOB).samples] if text else []
    assert history == ([(OUT, text)] if text else [])
    assert text or check(path).dropped == {"message without text": 1}


def test_what_ends_three_mails_is_a_signature(tmp_path: Path) -> None:
    """Without any sign before it; what ends two is not."""
    says = ["one of the three", "two of the three", "three of the three"]
    mails = [
        mail(10 + i, BOB, f"{each}\n\nBest,\nBob Roux\nHead of Tea", to=i)
        for i, each in enumerate(says)
    ]
    path = mbox(
        tmp_path / "all.mbox", *(mail(i, ANN, f"number {i} of the three") for i in range(3)), *mails
    )
    assert [response for _, response in replies(path)] == says
    path = mbox(
        tmp_path / "two.mbox",
        *(mail(i, ANN, f"number {i} of the three") for i in range(2)),
        *mails[:2],
    )
    assert all(response.endswith("Head of Tea") for _, response in replies(path))


def test_several_addresses_are_one_person(tmp_path: Path) -> None:
    """Where they are given together; what one of them answers the other is no reply."""
    path = mbox(
        tmp_path / "all.mbox",
        mail(1, ANN, OUT),
        mail(2, BOB, YES, to=1),
        mail(3, "bob@work.example", "or rather after nine", to=2),
        mail(4, ANN, "then take some bread along", to=3),
        mail(5, "bob@work.example", "I have some at home", to=4),
    )
    history = load_history(path, user="bob@work, bob@example.org")
    assert [(s.user, s.response) for s in history.samples] == [
        ("bob@work.example", YES),
        ("bob@work.example", "I have some at home"),
    ]
    assert [said.text for said in history.statements] == ["or rather after nine"]
    with pytest.raises(DataError, match="the user must be in the data"):
        load_history(path, user="bob@work,nobody@example.org")


def test_a_maildir_and_single_mails(tmp_path: Path) -> None:
    """Each in a file, in folders however deep; what is no mail there is passed over."""
    folder = tmp_path / "Maildir"
    for name, content in (
        ("cur/1:2,S", mail(1, ANN, OUT)),
        (".Sent/new/2", mail(2, BOB, YES, to=1)),
        ("dovecot-uidlist", "3 V1 N2\n"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    assert replies("mail", path=folder) == [(OUT, YES)]
    with zipfile.ZipFile(tmp_path / "mails.zip", "w") as archive:
        archive.write(folder / "cur/1:2,S", "a/1.eml")
        archive.write(folder / ".Sent/new/2", "a/2.eml")
        archive.writestr("a/readme.txt", "x")
    assert replies(tmp_path / "mails.zip") == [(OUT, YES)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="give the folder of a Maildir"):
        check("mail", path=tmp_path / "empty")


def test_what_is_odd(tmp_path: Path) -> None:
    """No sender, no date, a date that is none, a thread that bites its tail."""
    path = mbox(
        tmp_path / "all.mbox",
        mail(1, "", OUT),
        mail(2, ANN, OUT, to=4, Date="yesterday"),
        mail(3, BOB, YES, to=2, Date=""),
        mail(4, ANN, "to itself by and by", to=4),
    )
    summary = check(path)
    assert (summary.n_problems, summary.problems[0].reason) == (1, "mail without a sender")
    assert replies(path) == [(OUT, YES)]


def test_a_gzip_of_an_mbox(tmp_path: Path) -> None:
    """A large attachment is not held, and what follows is found."""
    large = "x" * 70 + "\n"
    path = mbox(
        tmp_path / "all.mbox",
        mail(1, ANN, f"{OUT}\n-- \n{large * 40_000}"),
        mail(2, BOB, YES, to=1),
    )
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    assert replies(path) == [(OUT, YES)]


@pytest.mark.parametrize("content", ["", "plain text", "{}", "\n\nFrom x\n"])
def test_what_is_no_mail(tmp_path: Path, content: str) -> None:
    """The message says what to give."""
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="as mbox"):
        load_history("mail", path=tmp_path / "file")
