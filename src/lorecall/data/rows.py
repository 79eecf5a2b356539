"""One row of a file: its fields, their types, and what can be wrong with it.

The only module that knows pydantic's errors; each loader describes its rows as `Record`s.
"""

import ast
import json
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

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


# with any constraint a string must be one that can be written: no half of a surrogate pair
Text = Annotated[str, StringConstraints(min_length=0)]
Name = Annotated[str, StringConstraints(pattern=r"\S")]


class Record(BaseModel):
    """A row, or a part of one, with its types checked; other fields are not read."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


R = TypeVar("R", bound=BaseModel)


def checked(model: type[R], value: object, *, what: str, place: int) -> R | Dropped:
    """Return a value read from a file with its types checked, or the drop that it is."""
    try:
        return model.__pydantic_validator__.validate_python(value)  # `model_validate`, bare
    except ValidationError as error:
        return broken(what, explain(error), place=place)


def broken(what: str, reason: str, *, place: int) -> Dropped:
    """Return the drop of what does not fit its format."""
    return Dropped(f"broken {what}", place, detail=f"broken {what}: {reason}")


def texts_in(
    value: object,
    *,
    under: Collection[str] = (),
    wanted: Callable[[Mapping[str, object]], bool] = lambda part: True,  # noqa: ARG005
) -> Iterator[str]:
    """Return the texts in a value, in their order; of an object those under some keys, or all.

    Objects that are not `wanted` are left out with all that is in them.
    """
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, list):
            left += reversed(cast("list[object]", part))
        elif isinstance(part, dict) and wanted(fields := cast("dict[str, object]", part)):
            left += [fields[key] for key in reversed([*(under or fields)]) if key in fields]


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


_decode = json.JSONDecoder().raw_decode


def parsed(text: str) -> Any:
    """Read JSON or, where it is none, a Python literal (which is never evaluated).

    Raises:
        ValueError: It is neither.
    """
    bare = text.strip(" \t\n\r")
    try:
        value, end = _decode(bare)
    except (ValueError, RecursionError):
        pass
    else:
        if end == len(bare):
            return value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a text may hold what looks like a wrong escape
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as reason:
        raise ValueError(type(reason).__name__) from None
