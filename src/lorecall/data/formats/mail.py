"""E-mail: an mbox, a mail of its own (`.eml`), or a folder of them as Maildir has it.

A mail that answers one that is there too (`In-Reply-To`, `References`) is its sender's reply to
what that one's sender wrote: both without quotations, forwards, signatures and footers of lists.
Every address is a user; `--user ann@example.org,ann@work.example` takes several for one person. A
mail that is there twice counts once. Dropped are drafts, mails without text of their own, and what
nobody wrote: automatic answers, invitations, reports of the post.

A mail is read but once; what someone wrote in it is kept in a database on disk, in the order of the
threads. What ends three mails of a sender or more, on two lines or more, is a signature.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count, groupby, islice
from operator import itemgetter
from sqlite3 import Connection

from lorecall.data.events import NOBODY, TEXTLESS, Dialogue, Dropped, Event, Spoken, of_people
from lorecall.data.head import Head
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.mail_files import FIELD, FROM_LINE, mail_files, mails_in, refused, sent
from lorecall.data.mail_words import last_lines, without_tail
from lorecall.data.samples import Rules
from lorecall.data.seen import disk, temporary

MAX_TURNS = 1_000  # of a conversation: a list's thread may have no end
TWICE = "mail that is there twice"

_OF_MAIL = re.compile(
    r"(?:from|to|subject|date|message-id|received|mime-version|return-path|delivered-to|content-type"
    r"|x-[\w-]+):",
    re.IGNORECASE,
)
_N_SIGNED = 3
_N_COUNTED = 20_000  # endings of one sender
_N_TOGETHER = 1_000
_MAX_STEPS = 200  # from a mail to the first of its thread
_TABLES = (
    """
    CREATE TABLE mails (
        id TEXT PRIMARY KEY, parent TEXT, above TEXT, root TEXT, time REAL, sender TEXT, text TEXT,
        place INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE TABLE signed (sender TEXT, tail TEXT, PRIMARY KEY (sender, tail)) WITHOUT ROWID",
)


def read(paths: Paths) -> Iterator[Event]:
    """Return every sender's replies and openers."""
    yield from of_people(_threads(paths))


def recognises(head: Head) -> bool:
    """Whether a file begins with the head of a mail, or with an mbox's line before it."""
    if head.places or not head.lines:
        return False
    first = head.lines[1:] if FROM_LINE.match(head.lines[0].encode()) else head.lines
    is_head = bool(first) and FIELD.match(first[0]) is not None
    return is_head and sum(_OF_MAIL.match(line) is not None for line in first) > 2  # noqa: PLR2004


LOADER = Loader(
    dataset=Dataset(
        name="mail", title="E-mail: mbox, Maildir or .eml", licence=YOURS, origin=EXPORT
    ),
    record="a mail with a sender",
    rules=Rules(min_words=3, max_words=300, repeats=False),
    read=read,
    recognises=recognises,
)


def _threads(paths: Paths) -> Iterator[Dialogue | Dropped]:
    """Keep every mail on disk, then return the threads."""
    with closing(temporary(*_TABLES)) as db:
        insert = "INSERT OR IGNORE INTO mails VALUES (?, ?, ?, NULL, ?, ?, ?, ?)"
        place = 0
        for path in mail_files(paths):
            number = 0
            for number, content in enumerate(mails_in(path), start=1):
                found = sent(content, number)
                if isinstance(found, Dropped):
                    yield found._replace(file=path.name)
                    continue
                place += 1
                with disk():
                    is_new = db.execute(insert, (*found, place)).rowcount > 0
                if not is_new:
                    yield Dropped(TWICE, number, broken=False, user=found.sender, file=path.name)
                elif not found.text:
                    yield Dropped(TEXTLESS, number, broken=False, user=found.sender, file=path.name)
            if number == 0:
                raise refused(path)
        with disk():
            _find_roots(db)
            _find_signatures(db)
            yield from _dialogues(db)


def _find_roots(db: Connection) -> None:
    """Note beside each mail the id of the first of its thread, whether that one is there or not."""
    select = "SELECT id, above FROM mails WHERE id > ? ORDER BY id LIMIT ?"
    above = "SELECT above FROM mails WHERE id = ?"
    last = ""
    while rows := db.execute(select, (last, _N_TOGETHER)).fetchall():
        found: list[tuple[str, str]] = []
        for name, first in rows:
            root = first or name
            for _ in range(_MAX_STEPS):
                ((higher,),) = db.execute(above, (root,)).fetchall() or ((None,),)
                if higher is None or higher == root:
                    break
                root = higher
            found.append((root, name))
        db.executemany("UPDATE mails SET root = ? WHERE id = ?", found)
        last = rows[-1][0]


def _find_signatures(db: Connection) -> None:
    """Find what ends several mails of a sender alike."""
    rows = db.execute("SELECT sender, text FROM mails WHERE text != '' ORDER BY sender")
    for sender, mails in groupby(rows, key=itemgetter(0)):
        counts: Counter[str] = Counter()
        for _, text in mails:
            if len(counts) < _N_COUNTED:
                counts.update(last_lines(text))
        signed = [(sender, tail) for tail, n in counts.items() if n >= _N_SIGNED]
        db.executemany("INSERT OR IGNORE INTO signed VALUES (?, ?)", signed)


def _dialogues(db: Connection) -> Iterator[Dialogue]:
    """Return the threads; of a longer one than may be, parts."""
    select = "SELECT root, id, parent, time, sender, text FROM mails ORDER BY root, time, place"
    for root, mails in groupby(db.execute(select), key=itemgetter(0)):
        for part in count():
            turns = [
                (name, parent, time, sender, _unsigned(db, sender, text))
                for _, name, parent, time, sender, text in islice(mails, MAX_TURNS)
            ]
            if not turns:
                break
            turn_of = {turn[0]: i for i, turn in enumerate(turns)}
            spoken = (
                Spoken(sender, text, time, None if text else TEXTLESS, turn_of.get(parent, NOBODY))
                for _, parent, time, sender, text in turns
            )
            yield Dialogue(f"{root} part {part + 1}" if part else root, tuple(spoken))


def _unsigned(db: Connection, sender: str, text: str) -> str:
    """Return a text without the signature that its sender has."""
    select = "SELECT 1 FROM signed WHERE sender = ? AND tail = ?"
    known = [tail for tail in last_lines(text) if db.execute(select, (sender, tail)).fetchone()]
    return without_tail(text, known[-1]) if known else text
