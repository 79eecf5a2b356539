"""AmazonQA: people's questions about products and other people's answers, reviews and items beside.

Files, plain or gzip, a Python literal or a JSON object a line, told apart by their first rows:

- questions, multi-answer (`QA_<Category>.json`): `{asin, questions: [{questionText, askerID,
  questionTime, answers: [{answerText, answererID, answerTime}]}]}`. The answerer is the user, an
  answer a response, the product the conversation. Questions are statements of who asked them.
- reviews (`reviews_<Category>_5.json`): statements of `reviewerID`, `user_id` in those of 2023.
- items (`meta_<Category>.json`): title and description become the turn before the query.

The single-answer file (`qa_<Category>.json`) has no user ids and is refused. Answers of the id `1`,
which stands for nobody in particular, are dropped, and so is an answer that its user gave before.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import AliasChoices, Field

from lorecall.data.events import About, Dropped, Event, Reply, Said, located
from lorecall.data.head import Head, head_of, looks_like
from lorecall.data.lines import unreadable
from lorecall.data.loader import NOT_STATED, Dataset, Loader, Paths
from lorecall.data.rows import Name, Parsed, Record, Text, checked, parsed_lines
from lorecall.data.samples import Rules, seconds

ITEM_WORDS = 60  # more of a description would push earlier words out of the prompt
_NOBODY = ("1", "")
_N_SNIFFED = 20
_refused = partial(
    unreadable,
    expected="multi-answer questions (QA_<Category>.json), reviews or items, a row a line,",
    next_step="Whose answer it is must be known: give the multi-answer file of the category.",
)

Kind = Literal["questions", "reviews", "items"]


class Product(Record):
    """A product with its questions."""

    asin: Name
    questions: list[Any]


class Question(Record):
    """A question with its answers."""

    text: Text = Field(alias="questionText")
    asker: Text | None = Field(alias="askerID", default=None)
    time: Text | None = Field(alias="questionTime", default=None)
    answers: list[Any]


class Answer(Record):
    """An answer and whose it is."""

    text: Text = Field(alias="answerText")
    user: Text = Field(alias="answererID")
    time: Text | None = Field(alias="answerTime", default=None)


class Review(Record):
    """A review and whose it is."""

    user: Name = Field(validation_alias=AliasChoices("reviewerID", "user_id"))
    asin: Name
    text: Text = Field(validation_alias=AliasChoices("reviewText", "text"), default="")
    summary: Text = Field(validation_alias=AliasChoices("summary", "title"), default="")
    time: Any = Field(validation_alias=AliasChoices("unixReviewTime", "timestamp"), default=None)


class Item(Record):
    """What is sold."""

    asin: Name = Field(validation_alias=AliasChoices("asin", "parent_asin"))
    title: Text = ""
    description: Text | list[Text] = ""

    def texts(self) -> list[str]:
        """Return what is said of it."""
        described = [self.description] if isinstance(self.description, str) else self.description
        return [self.title, *described]


def read(paths: Paths) -> Iterator[Event]:
    """Return the answers and questions of the files, then the reviews, then the items."""
    kinds: list[tuple[Kind, Path]] = [(kind_of(path), path) for path in paths]
    for kind, path in sorted(kinds, key=lambda pair: _ORDER.index(pair[0])):
        yield from located(_events(path, kind), path)


_ROWS = (
    {"questions"},
    {"question", "answer"},
    {"reviewerID", "reviewText"},
    {"user_id", "rating", "text"},
    {"title", "description"},
)


def recognises(head: Head) -> bool:
    """Whether rows are about products, and are questions, reviews or items."""
    fields = head.fields()
    return "asin" in fields and any(kind <= fields for kind in _ROWS)


LOADER = Loader(
    dataset=Dataset(
        name="amazon_qa",
        title="AmazonQA: questions on products, several answers each; reviews and items beside",
        licence=NOT_STATED,
        origin="J. McAuley, UC San Diego: QA_<Category>, reviews_<Category>_5, meta_<Category>",
        file="QA_Video_Games.json.gz",
        sha256="dd0890a6aa1d2e709627c30f67f5992b2f237bcb14329019cbe974b7c0536138",
        n_conversations=1_183,
        n_replies=28_893,
        n_users=23_825,
    ),
    record="a product with asin and questions",
    rules=Rules(repeats=False, fold=False),
    read=read,
    recognises=recognises,
)


def kind_of(path: Path) -> Kind:
    """Return what a file holds, by its first rows.

    Raises:
        DataError: Nothing that is known, or nothing with user ids.
    """
    for row in islice(parsed_lines(path), _N_SNIFFED):
        if isinstance(row, Dropped) or not isinstance(row.value, dict):
            continue
        fields = cast("Mapping[str, object]", row.value)
        if "questions" in fields:
            return "questions"
        if "question" in fields and "answer" in fields:
            raise _refused(path, got="a single-answer file (qa_...), which has no user ids")
        if "reviewerID" in fields or {"user_id", "rating"} <= fields.keys():
            return "reviews"
        if {"asin", "parent_asin"} & fields.keys() and {"title", "description"} & fields.keys():
            return "items"
    raise _refused(path, got=looks_like(head_of(path))[0])


def _events(path: Path, kind: Kind) -> Iterator[Event]:
    for row in parsed_lines(path):
        yield from [row] if isinstance(row, Dropped) else _READ[kind](row)


def _product(row: Parsed) -> Iterator[Event]:
    product = checked(Product, row.value, what="product", place=row.number)
    if isinstance(product, Dropped):
        yield product
        return
    for value in product.questions:
        question = checked(Question, value, what="question", place=row.number)
        if isinstance(question, Dropped):
            yield question
            continue
        if question.asker and question.asker not in _NOBODY:
            yield Said(question.asker, product.asin, question.text, day(question.time))
        for answer in question.answers:
            yield _answer(answer, question, asin=product.asin, place=row.number)


def _answer(value: object, question: Question, *, asin: str, place: int) -> Event:
    answer = checked(Answer, value, what="answer", place=place)
    if isinstance(answer, Dropped):
        return answer
    if answer.user.strip() in _NOBODY:
        return Dropped("answer of nobody in particular", place, broken=False)
    return Reply(
        user=answer.user,
        conversation=asin,
        query=question.text,
        response=answer.text,
        time=day(answer.time),
        earlier=(),  # other questions about a product are no conversation
    )


def _review(row: Parsed) -> Iterator[Event]:
    review = checked(Review, row.value, what="review", place=row.number)
    if isinstance(review, Dropped):
        yield review
        return
    text = " ".join(part.strip() for part in (review.summary, review.text) if part.strip())
    yield Said(review.user, review.asin, text, seconds(review.time))


def _item(row: Parsed) -> Iterator[Event]:
    item = checked(Item, row.value, what="item", place=row.number)
    if isinstance(item, Dropped):
        yield item
        return
    parts = [part.strip() for part in item.texts() if part.strip()]
    if parts:
        yield About(item.asin, " ".join(". ".join(parts).split()[:ITEM_WORDS]))


_READ = {"questions": _product, "reviews": _review, "items": _item}
_ORDER: tuple[Kind, ...] = ("questions", "reviews", "items")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@lru_cache(maxsize=10_000)
def day(text: str | None) -> float | None:
    """Read a date such as `June 29, 2014`; None where it is none.

    Without `strptime`, which is slow and follows the locale.
    """
    match = re.fullmatch(r"\s*([A-Za-z]{3})[a-z]*\.? (\d{1,2}), (\d{4})\s*", text or "")
    if match is None or match[1].lower() not in _MONTHS:
        return None
    month = _MONTHS.index(match[1].lower()) + 1
    return seconds(f"{match[3]}-{month:02}-{int(match[2]):02}")
