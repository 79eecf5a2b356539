"""WhatsApp's export: the ways phones write dates, and what is no message."""

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, summarise
from lorecall.data.formats.whatsapp import MAX_TEXT, export_of
from lorecall.data.history import split_history
from lorecall.errors import DataError


def write(folder: Path, *lines: str) -> Path:
    """Write an export."""
    (folder / "_chat.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "_chat.txt"


class TestDates:
    """One instant in many forms."""

    @pytest.mark.parametrize(
        "head",
        [
            *("[25/12/2023, 19:38:15] ", "25/12/2023, 19:38 - ", "25/12/23, 19:38 - "),
            *("12/25/23, 7:38 PM - ", "[12/25/23, 7:38:15\u202fPM] ", "12/25/2023, 7:38 p.m. - "),
            *("25.12.23, 19:38 - ", "[25.12.23, 19:38:15] ", "2023-12-25, 19:38 - "),
            *(
                "[2023-12-25, 7:38:15 p. m.] ",
                "\u200e[25/12/2023, 19:38:15] ",
                "25-12-2023 19:38 - ",
            ),
            *("2023/12/25, 19:38 - ", "25/12/2023, 19.38 - "),
        ],
    )
    def test_forms(self, tmp_path: Path, head: str) -> None:
        """A day above 12 tells the order."""
        path = write(tmp_path, f"{head}Bob: hi", f"{head}Ann: one two three")
        (sample,) = load_history("whatsapp", user="Ann", path=path).samples
        assert sample.response == "one two three"
        assert sample.time is not None
        assert datetime.fromtimestamp(sample.time, UTC).isoformat()[:16] == "2023-12-25T19:38"

    @pytest.mark.parametrize(
        ("dates", "first"),
        [
            (("01/02/24", "02/02/24", "03/02/24"), True),
            (("01/02/24", "01/03/24", "01/04/24"), True),
            (("01/30/24", "02/01/24"), False),
            (("01/11/24", "01/12/24", "02/01/24", "02/02/24"), False),
            (("05/05/24",), True),
        ],
    )
    def test_which_of_day_and_month_is_first(
        self,
        tmp_path: Path,
        dates: tuple[str, ...],
        first: bool,  # noqa: FBT001
    ) -> None:
        """The reading in which time does not run backwards; the day, if both will do."""
        path = write(tmp_path, *(f"{date}, 10:00 - Ann: hi" for date in dates))
        assert export_of(path).stamps.order == ("dmy" if first else "mdy")

    def test_midnight_and_noon(self, tmp_path: Path) -> None:
        """12 AM is 0, 12 PM is 12."""
        lines = [
            f"1/31/24, 12:05 {half} - {name}: a b c" for half, name in (("AM", "B"), ("PM", "A"))
        ]
        path = write(tmp_path, *lines, "1/31/24, 12:06 PM - B: hello to you")
        (sample,) = load_history("whatsapp", user="B", path=path).samples
        assert datetime.fromtimestamp(sample.time or 0, UTC).hour == 12

    def test_no_such_day_is_counted(self, tmp_path: Path) -> None:
        """The message is lost, and that is said."""
        path = write(tmp_path, "31/02/2024, 10:00 - Ann: hi", "30/01/2024, 10:00 - Ann: hi")
        assert check("whatsapp", path=path).dropped == {"no such date": 1}


class TestMessages:
    """What a message is."""

    def test_lines_that_begin_with_no_date_go_on(self, tmp_path: Path) -> None:
        """Blank ones between them do not count."""
        path = write(
            tmp_path, "1/1/24, 10:00 - Bob: hi", "1/1/24, 10:01 - Ann: one", "two: yes", "", "three"
        )
        (sample,) = load_history("whatsapp", user="Ann", path=path).samples
        assert sample.response == "one\ntwo: yes\nthree"

    def test_a_message_has_an_end(self, tmp_path: Path) -> None:
        """A file without a second date is not one message."""
        path = write(tmp_path, "1/1/24, 10:00 - Ann: one", *["word " * 2000] * 5)
        assert check("whatsapp", path=path).dropped == {
            "line beyond the longest message": 5 - MAX_TEXT // 10_000
        }

    def test_hours_of_silence_end_a_conversation(self, tmp_path: Path) -> None:
        """As in every chat."""
        path = write(
            tmp_path,
            "1/1/24, 10:00 - Bob: hi",
            "1/1/24, 10:01 - Ann: one two three",
            "1/1/24, 20:00 - Bob: still there",
            "1/1/24, 20:01 - Ann: yes I am",
        )
        samples = load_history("whatsapp", user="Ann", path=path).samples
        assert len({s.conversation for s in samples}) == 2
        assert [s.earlier for s in samples] == [(), ()]

    def test_what_is_no_message_is_counted(self, tmp_path: Path) -> None:
        """The application's own lines, pictures, deleted messages, what comes before all."""
        at = "1/1/24, 10:00 - "
        path = write(
            tmp_path,
            "before",
            f"{at}Messages and calls are end-to-end encrypted.",
            *(f"{at}Ann: <Media omitted>", f"{at}Ann: \u200eimage omitted", f"{at}Ann: null"),
            *(f"{at}Ann: This message was deleted", f"{at}Ann: IMG-1.jpg (file attached)"),
            *(f"{at}Bob: hello", f"{at}Ann: I have omitted nothing"),
        )
        summary = check("whatsapp", path=path)
        assert summary.dropped == {
            "line before the first message": 1,
            "line of the application": 1,
            "message without text": 5,
        }
        assert (summary.n_replies, summary.n_problems) == (1, 1)


@pytest.mark.parametrize("content", ["", "hello\n", "1/1/24 - Ann: hi\n", "[]\n", "99:99 - x: y\n"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    """The message says how to export."""
    (tmp_path / "x").write_text(content)
    with pytest.raises(DataError, match="expected a WhatsApp export"):
        summarise("whatsapp", path=tmp_path / "x")


class TestTurns:
    """What parts what people say."""

    AT = "20/6/2024, 19:0"
    THREE = (
        *((1, "Ann", "hi"), (2, "Bob", "one two three")),
        *((3, "Ann", "OLD"), (4, "Bob", "four five six")),
    )

    @pytest.mark.parametrize(
        "between",
        ["<Media omitted>", "\u200eaudio omitted", "PTT-20240620-WA0003.opus (file attached)"],
    )
    def test_a_picture_is_a_turn(self, tmp_path: Path, between: str) -> None:
        """What answers it answers nothing that is known."""
        path = write(
            tmp_path,
            *(f"{self.AT}1 - Ann: shall we go", f"{self.AT}2 - Bob: yes at eight"),
            *(f"{self.AT}3 - Ann: {between}", f"{self.AT}4 - Bob: I like that one"),
        )
        history = load_history("whatsapp", user="Bob", path=path)
        assert [(s.query, s.response) for s in history.samples] == [("shall we go", "yes at eight")]
        assert [said.text for said in history.statements] == ["I like that one"]

    def test_a_line_that_cannot_be_read_is_somebodys(self, tmp_path: Path) -> None:
        """What was said around it is not joined."""
        lines = [f"{self.AT}{n} - {who}: {text}" for n, who, text in self.THREE]
        content = "\n".join([*lines, f"{self.AT}9 - Ann: caf\u00e9"]).encode()
        (tmp_path / "x").write_bytes(content.replace(b"OLD", b"\xff"))
        history = load_history("whatsapp", user="Bob", path=tmp_path / "x")
        assert [s.response for s in history.samples] == ["one two three"]
        assert history.dropped == {"not UTF-8": 1}

    def test_a_clock_that_is_put_back(self, tmp_path: Path) -> None:
        """The chat stays in the order in which it was written."""
        days = [(day, 2024) for day in range(10, 16)] + [(day, 2019) for day in range(10, 16)]
        path = write(
            tmp_path,
            *(
                f"{day}/06/{year}, 10:0{n} - {name}: message {n} of {day} {year}"
                for day, year in days
                for n, name in enumerate(("Ann", "Bob"))
            ),
        )
        history = load_history("whatsapp", user="Bob", path=path)
        found = [tuple(map(int, sample.response.split()[-2:])) for sample in history.samples]
        assert found == days

    def test_the_text_of_a_stranger_in_the_past_is_pasted(self, tmp_path: Path) -> None:
        """It is of the message in which it stands."""
        path = write(
            tmp_path,
            *(f"{self.AT}1 - Ann: what did he say", f"{self.AT}2 - Bob: look what he wrote"),
            *("11/1/2020, 10:00 - Zed: never said that", f"{self.AT}4 - Ann: I see"),
        )
        (sample,) = load_history("whatsapp", user="Bob", path=path).samples
        assert sample.response == "look what he wrote\n11/1/2020, 10:00 - Zed: never said that"


class TestNames:
    """Who is a sender."""

    def test_a_name_with_a_colon(self, tmp_path: Path) -> None:
        """It stands before each message; two words that one message begins with do not."""
        at = "20/6/2024, 19:0"
        path = write(
            tmp_path,
            *(f"{at}1 - Ann: PS: are you in", f"{at}2 - Bob: work: yes all day"),
            *(f"{at}3 - Ann: all right then", f"{at}4 - Bob: work: see you there"),
        )
        assert {user.user for user in check("whatsapp", path=path).users} == {"Ann", "Bob: work"}

    def test_two_spellings_of_a_name_are_one(self, tmp_path: Path) -> None:
        """Accents in one piece or two, marks of direction around it."""
        at = "20/6/2024, 19:0"
        names = ("Jos\u00e9", "Jose\u0301", "\u2068Jos\u00e9\u2069", "~\u202fJos\u00e9")
        lines = [
            line
            for n, name in enumerate(names)
            for line in (f"{at}{2 * n} - Ann: hi {n}", f"{at}{2 * n + 1} - {name}: hello to {n}")
        ]
        (jose, ann) = check("whatsapp", path=write(tmp_path, *lines)).users
        assert (jose.user, jose.n_samples) == ("Jos\u00e9", 4)
        assert ann.user == "Ann"

    def test_the_chat_is_no_sender(self, tmp_path: Path) -> None:
        """Before marked lines alone, the first of the file among them, in any language."""
        at = "[20/6/2024, 19:0"
        path = write(
            tmp_path,
            *(f"{at}0:00] Our trip: \u200eany words", f"{at}1:00] Ann: hi"),
            *(f"{at}2:00] Our trip: \u200eother words", f"{at}3:00] Bob: \u200ehello to you"),
        )
        summary = check("whatsapp", path=path)
        assert {user.user for user in summary.users} == {"Bob"}
        assert summary.dropped == {"line of the application": 2}


class TestFiles:
    """Several exports, and what they come in."""

    def chat(self, days: range, *, who: str = "Ann") -> list[str]:
        """Write a conversation of four messages a day."""
        return [
            f"{day:02}/06/2024, 10:0{n} - {name}: message {n} of day {day} to {who}"
            for day in days
            for n, name in enumerate((who, "Bob") * 2)
        ]

    def files(self, folder: Path, *exports: list[str]) -> list[Path]:
        """Write exports of one file name in folders of their own."""
        for n in range(len(exports)):
            (folder / f"f{n}").mkdir(exist_ok=True)
        return [write(folder / f"f{n}", *lines) for n, lines in enumerate(exports)]

    @pytest.mark.parametrize(
        "parts", [((1, 30), (1, 30)), ((1, 20), (1, 30)), ((1, 20), (15, 30)), ((15, 30), (1, 20))]
    )
    def test_exports_that_overlap_count_once(
        self, tmp_path: Path, parts: tuple[tuple[int, int], ...]
    ) -> None:
        """The same file twice, a later one of the same chat, two that share some days."""
        whole = load_history("whatsapp", user="Bob", path=write(tmp_path, *self.chat(range(1, 30))))
        paths = self.files(tmp_path, *(self.chat(range(*part)) for part in parts))
        history = load_history("whatsapp", user="Bob", path=paths)
        assert (history.samples, history.statements) == (whole.samples, whole.statements)
        n_twice = sum(last - first for first, last in parts) - 29
        assert history.dropped == {"message that another file has too": 2 * n_twice}
        summary = check("whatsapp", path=paths)
        assert {user.user: user.n_samples for user in summary.users} == {"Bob": 58, "Ann": 29}
        split_history(history)

    def test_two_chats_stay_apart(self, tmp_path: Path) -> None:
        """Though their files have one name and they were at the same time."""
        paths = self.files(tmp_path, self.chat(range(1, 9)), self.chat(range(1, 9), who="Cem"))
        history = load_history("whatsapp", user="Bob", path=paths)
        assert len({sample.conversation for sample in history.samples}) == 16
        assert all(
            sample.query.split()[-1] == sample.response.split()[-1] for sample in history.samples
        )

    def test_a_zip_is_read(self, tmp_path: Path) -> None:
        """As the application gives it, pictures beside the chat."""
        lines = self.chat(range(1, 9))
        with zipfile.ZipFile(tmp_path / "chat.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("WhatsApp Chat with Ann.txt", "\n".join(lines))
            archive.writestr("IMG-1.jpg", b"\xff\xd8")
        summary = check(tmp_path / "chat.zip")
        assert (summary.dataset.name, summary.n_problems) == ("whatsapp", 0)
        assert summary.n_replies == check(write(tmp_path, *lines)).n_replies

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_other_encodings_are_read(self, tmp_path: Path, encoding: str) -> None:
        """With a mark or, of UTF-16, without one."""
        lines = self.chat(range(1, 9))
        (tmp_path / "x").write_bytes("\n".join(lines).encode(encoding))
        assert check(tmp_path / "x").n_replies == check(write(tmp_path, *lines)).n_replies

    def test_an_older_encoding_is_named(self, tmp_path: Path) -> None:
        """No line of it is passed over."""
        lines = [
            line.replace("message", "m\u00eame \u00e9t\u00e9") for line in self.chat(range(1, 9))
        ]
        (tmp_path / "x").write_bytes("\n".join(lines).encode("cp1252"))
        with pytest.raises(
            DataError, match=r"not in UTF-8 but in cp1252, as it seems\. Save it as"
        ):
            load_history("whatsapp", user="Bob", path=tmp_path / "x")
