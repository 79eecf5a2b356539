"""LaMP's questions, with the profiles that they are asked of, and its outputs.

Questions are a list of `{"id", "input", "profile": [...]}`, outputs `{"task", "golds": [{"id",
"output"}]}`; both files are given, or questions that hold their `output`. Each question is one
user, called by its `user_id` or its id. What of a profile is a pair is told by its fields:

- LaMP-2 `description` and `tag`, or `text` and `category`; LaMP-3 `text` and `score`; LaMP-4 and
  LaMP-6 `text` and `title`: the first is asked of as the question asks, the second is the response.
- LaMP-5 `abstract` and `title`, likewise. LaMP-1 has the same fields, but asks for a reference:
  there, and in LaMP-7, whose tweets are of no one thing, they are statements.

The question itself and its output are the last pair. Pairs stand alone; a `date` orders them.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from lorecall.data.assistant import logs
from lorecall.data.events import Dropped, Event, Reply, Said
from lorecall.data.head import Head, head_of
from lorecall.data.lines import unreadable
from lorecall.data.loader import NOT_STATED, Dataset, Loader, Paths
from lorecall.data.rows import Name, Record, Text, checked
from lorecall.data.samples import Rules, seconds
from lorecall.data.seen import disk, temporary
from lorecall.data.values import values

_ASKS = re.compile(
    r"\A.{0,2000}?\b(?:article|abstract of a paper|review|description|email): ", re.DOTALL
)
_WORDS = {int: str, float: str}
_Id = Annotated[Name, BeforeValidator(lambda value: _WORDS.get(type(value), lambda it: it)(value))]


class Item(Record):
    """One thing of a profile: what was written or read, and what the person made of it."""

    id: Any = None
    asked: Text | None = Field(
        validation_alias=AliasChoices("text", "abstract", "description"), default=None
    )
    answered: _Id | None = Field(
        validation_alias=AliasChoices("tag", "category", "score", "title"), default=None
    )
    date: Any = None


class Question(Record):
    """A question, of one user."""

    id: _Id
    input: Text
    profile: list[Any]
    output: _Id | None = None
    user_id: _Id | None = None
    date: Any = None


class Gold(Record):
    """The output of a question."""

    id: _Id
    output: _Id


def read(paths: Paths) -> Iterator[Event]:
    """Return every user's pairs and statements."""
    questions = [path for path in paths if not _are_outputs(head_of(path))]
    if not questions:
        raise unreadable(
            next(iter(paths)),
            got="outputs alone" if paths else "nothing",
            expected="LaMP's questions",
            next_step="Give the file of questions too: --path QUESTIONS --path OUTPUTS.",
        )
    table = "CREATE TABLE golds (id TEXT PRIMARY KEY, output TEXT) WITHOUT ROWID"
    with closing(temporary(table)) as golds:
        for path in paths:
            if path not in questions:
                yield from _kept(path, golds)

        def of_question(question: Question, place: int) -> Iterator[Event]:
            yield from _events(question, place, _output(question, golds))

        next_step = "Give LaMP's file of questions, and its outputs."
        yield from logs(questions, Question, of_question, what="questions", next_step=next_step)


def recognises(head: Head) -> bool:
    """Whether there are questions with profiles, or outputs of a task."""
    members = (r"(\[\]\.)?input", r"(\[\]\.)?profile", r"(\[\]\.)?id")
    return all(map(head.has, members)) or _are_outputs(head)


LOADER = Loader(
    dataset=Dataset(
        name="lamp",
        title="LaMP: questions with profiles, and their outputs",
        licence=NOT_STATED,
        origin="lamp-benchmark.github.io",
    ),
    record="a question with id, input and profile",
    rules=Rules(),
    read=read,
    recognises=recognises,
)


def _are_outputs(head: Head) -> bool:
    return {"task", "golds"} <= head.fields()


def _kept(path: Path, golds: Connection) -> Iterator[Dropped]:
    """Keep the outputs of a file by the ids of their questions."""
    found = values(path, wanted=lambda place: place == ("golds", None))
    for number, (_, value) in enumerate(found, start=1):
        gold = checked(Gold, value, what="output", place=number)
        if isinstance(gold, Dropped):
            yield gold._replace(file=path.name)
            continue
        with disk():
            golds.execute("INSERT OR IGNORE INTO golds VALUES (?, ?)", (gold.id, gold.output))


def _output(question: Question, golds: Connection) -> str | None:
    if question.output is not None:
        return question.output
    row = golds.execute("SELECT output FROM golds WHERE id = ?", (question.id,)).fetchone()
    return row and row[0]


def _events(question: Question, place: int, output: str | None) -> Iterator[Event]:
    user = question.user_id or question.id
    asks = _ASKS.match(question.input)
    times: list[float] = []
    for number, value in enumerate(question.profile):
        item = checked(Item, value, what="item", place=place)
        if isinstance(item, Dropped):
            yield item._replace(user=user)
            continue
        time = _time(item.date)
        times += [] if time is None else [time]
        conversation = f"{user} {number if item.id is None else item.id}"
        if asks and item.asked and item.answered:
            query = asks[0] + item.asked
            yield Reply(user, conversation, query, item.answered, time, earlier=())
        elif said := "\n".join(text for text in (item.answered, item.asked) if text):
            yield Said(user, conversation, said, time)
        else:
            yield Dropped("item without text", place, broken=False, user=user)
    if output is None:
        yield Dropped("question without an output", place, broken=False, user=user)
        return
    asked = _time(question.date)
    last = max(times, default=None) if asked is None else asked
    yield Reply(user, f"{user} question {question.id}", question.input, output, last, earlier=())


def _time(date: object) -> float | None:
    """Return a day, a month or a year in Unix seconds."""
    parts = re.fullmatch(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?", str(date).strip())
    if parts is None:
        return seconds(date)
    year, month, day = (int(part or 1) for part in parts.groups())
    return seconds(f"{year:04}-{month:02}-{day:02}")
