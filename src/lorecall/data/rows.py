"""One row of a file: its fields, their types, and what can be wrong with it.

The only module that knows pydantic's errors; each loader describes its rows as `Record`s.
"""

import ast
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from lorecall.core.jsonl import explain
from lorecall.data.events import Dropped
from lorecall.data.lines import lines


def whole(text: str) -> str:
    """Refuse half a surrogate pair, which cannot be written to any file.

    Raises:
        ValueError: There is one.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("half a surrogate pair") from None
    return text


Text = Annotated[str, AfterValidator(whole)]
Name = Annotated[Text, StringConstraints(pattern=r"\S")]


class Record(BaseModel):
    """A row, or a part of one, with its types checked; other fields are not read."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


R = TypeVar("R", bound=BaseModel)


class Wrong(NamedTuple):
    """What is wrong with a row."""

    detail: str

    def dropped(self, reason: str, place: int) -> Dropped:
        """Return the row as a drop."""
        return Dropped(reason, place, detail=f"{reason}: {self.detail}")


def checked(model: type[R], value: object) -> R | Wrong:
    """Check a value read from a file."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        return Wrong(explain(error))


class Parsed(NamedTuple):
    """The value a line holds."""

    number: int
    value: object


def parsed_lines(path: Path) -> Iterator[Parsed | Dropped]:
    """Return the value of each line that is not blank: JSON, or a Python literal."""
    for line in lines(path):
        if isinstance(line, Dropped):
            yield line
            continue
        try:
            yield Parsed(line.number, parsed(line.text))
        except ValueError as reason:
            detail = f"neither JSON nor a Python literal: {reason}"
            yield Dropped("neither JSON nor a Python literal", line.number, detail=detail)


def parsed(text: str) -> Any:
    """Read JSON or, where it is none, a Python literal (which is never evaluated).

    Raises:
        ValueError: It is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a text may hold what looks like a wrong escape
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as reason:
        raise ValueError(type(reason).__name__) from None
