"""A rater's labels, read back from a CSV that may have been through a spreadsheet.

Commas, semicolons or tabs; UTF-8 with or without a byte order mark, UTF-16, Windows' code page;
blank rows, a `sep=` line, other columns and another order of rows: all are taken. What cannot be
read for sure is an error that names the row.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lorecall.errors import DataError
from lorecall.judge.win_rate import Label

_NEEDED = ("sheet", "pair", "label")
_DELIMITERS = ",;\t"
_LABELS: Mapping[str, Label] = MappingProxyType({"1": 1, "0": 0, "-1": -1})
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FIELD_LIMIT = 1 << 24  # a cell holds all a person wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterLabels:
    """What one rater said of a sheet.

    `labels` maps a pair's number to 1, 0 or -1: the first response is better, equal, the second;
    pairs without a label are in `unlabelled`.
    """

    rater: str
    sheet: str
    labels: dict[int, Label]
    unlabelled: tuple[int, ...]


def read_labels(paths: Sequence[Path]) -> list[RaterLabels]:
    """Read one file a rater; a rater's name is the file's, with its folder where two are alike.

    Raises:
        DataError: A file cannot be read, a row of it is wrong, it holds no label, two files are
            one, or they are of different sheets.
    """
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise DataError(
            "each rater has a file of labels",
            expected="every file once",
            got="one of them twice",
            next_step="Give it once.",
        )
    alike = Counter(path.stem for path in paths)
    read = [
        _read_file(path, rater=path.stem if alike[path.stem] == 1 else str(path.with_suffix("")))
        for path in paths
    ]
    for labels, path in zip(read, paths, strict=True):
        if labels.sheet != read[0].sheet:
            raise DataError(
                "raters are compared on one sheet",
                expected=f"labels of sheet {read[0].sheet}",
                got=f"{labels.sheet} in {path}",
                next_step="Give the labels of one sheet alone.",
            )
    return read


def _read_file(path: Path, *, rater: str) -> RaterLabels:
    rows = _rows(path)
    if not rows:
        raise _refused(path, got="an empty file")
    header = [name.strip().casefold() for name in rows[0][1]]
    if missing := [name for name in _NEEDED if name not in header]:
        raise _refused(path, got=f"no column {', '.join(missing)}")
    columns = [header.index(name) for name in _NEEDED]
    sheets: set[str] = set()
    labels: dict[int, Label | None] = {}
    for line, row in rows[1:]:
        sheet, pair, label = (row[i].strip() if i < len(row) else "" for i in columns)
        number = _pair_number(pair, path=path, line=line)
        if number in labels:
            raise _refused(path, got=f"pair {number} a second time in row {line}")
        labels[number] = _label(label, path=path, line=line)
        sheets.add(sheet)
    if len(sheets) > 1:
        raise _refused(path, got=f"labels of {len(sheets)} sheets")
    given: dict[int, Label] = {
        number: label for number, label in labels.items() if label is not None
    }
    if not given:
        raise _refused(path, got="no label at all")
    return RaterLabels(
        rater=rater,
        sheet=sheets.pop(),
        labels=given,
        unlabelled=tuple(number for number in sorted(labels) if number not in given),
    )


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, each with its number as a spreadsheet counts."""
    text = _text(path)
    first = text.lstrip().partition("\n")[0]
    if first.casefold().startswith("sep=") and len(first.strip()) > len("sep="):
        delimiter, skip = first.strip()[-1], first
    else:
        delimiter, skip = max(_DELIMITERS, key=first.count), None
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as reason:
        raise _refused(path, got=str(reason)) from reason
    rows = [(line, row) for line, row in enumerate(table, start=1) if any(map(str.strip, row))]
    return rows[1:] if skip is not None else rows


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as reason:
        raise _refused(path, got=f"{type(reason).__name__}: {reason}") from reason
    if content.startswith(_UTF_16):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # the labels are ASCII either way


def _pair_number(text: str, *, path: Path, line: int) -> int:
    bare = _bare(text)
    if not bare.isascii() or not bare.isdigit():
        raise _refused(path, got=f"{text[:40]!r} for a pair's number in row {line}")
    return int(bare)


def _label(text: str, *, path: Path, line: int) -> Label | None:
    """Read a label; None for none."""
    bare = _bare(text)
    if not bare:
        return None
    if bare not in _LABELS:
        raise _refused(path, got=f"the label {text[:40]!r} in row {line}")
    return _LABELS[bare]


def _bare(text: str) -> str:
    """Undo what spreadsheets do to a whole number: 1.0, 1,00, +1, '-1, and a typeset minus."""
    bare = text.strip().lstrip("'").strip().replace("\N{MINUS SIGN}", "-")
    bare = bare.replace("\N{EN DASH}", "-").replace("- ", "-").removeprefix("+")
    whole, mark, fraction = bare.partition("." if "." in bare else ",")
    bare = whole if mark and fraction.strip("0") == "" else bare
    return "0" if bare == "-0" else bare


def _refused(path: Path, *, got: str) -> DataError:
    return DataError(
        "a rater's labels are a CSV with the columns sheet, pair and label",
        expected=f"1, 0, -1 or nothing as each pair's label, each pair once, in {path}",
        got=got,
        next_step="Correct the file, or save it again from the sheet.",
    )
