"""AmazonQA as processed by others: parallel files, the n-th line of each belongs together.

`{train,valid,test}.{src,tgt,fact,pers}`: the question, the answer, a Python list of facts about the
item (may be missing), a Python list of what the answerer wrote elsewhere. There are no user ids:
each distinct `pers` is a user, named by its hash, and a row whose `pers` is empty is one of its
own. So rows that share what is known of their author are never on two sides of a split. The
published parts are read one after the other and split anew, because authors may be in several.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import cast

from lorecall.data.events import Dropped, Event, Reply, Said
from lorecall.data.history import name_by_hash
from lorecall.data.lines import Line, files_in, lines, unreadable
from lorecall.data.loader import NOT_STATED, Dataset, Loader, Paths
from lorecall.data.rows import parsed, whole
from lorecall.data.samples import Rules
from lorecall.records import Turn

NEEDED = ("src", "tgt", "pers")
SIDES = (*NEEDED, "fact")
_PARTS = ("train", "valid", "test")
_refused = partial(
    unreadable,
    expected="{train,valid,test}.{src,tgt,fact,pers} with as many lines each, such as",
    next_step="Give the folder of these files, or the four of a part.",
)


def read(paths: Paths) -> Iterator[Event]:
    """Return the pairs of each part, and what their authors wrote elsewhere."""
    for part, files in parts_of(paths).items():
        sides = tuple(side for side in SIDES if side in files)
        n_lines: Counter[str] = Counter()
        columns = (lines(files[side], blank=True) for side in sides)
        for number, row in enumerate(zip_longest(*columns), start=1):
            found = {side: line for side, line in zip(sides, row, strict=True) if line}
            n_lines.update(found.keys())
            if len(found) == len(sides):
                yield from _events(found, number, part=part)
        if len({n_lines[side] for side in sides}) > 1 or not n_lines:
            raise _refused(files["src"], got=_counts(n_lines))


def parts_of(paths: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Sort files into parts, train, valid and test first: part -> side -> file.

    Raises:
        DataError: A file that is none of them, or one that is missing.
    """
    parts: dict[str, dict[str, Path]] = {}
    for file in files_in(paths):
        part, _, side = file.name.removesuffix(".gz").rpartition(".")
        if side in SIDES and part:
            if other := parts.setdefault(part, {}).get(side):
                raise _refused(file, got=f"another {part}.{side}, {other}")
            parts[part][side] = file
        elif file in paths:  # a folder may hold other things
            raise _refused(file, got="a file of another name")
    if not parts:
        raise _refused(paths[0], got="no such file")
    for part, files in parts.items():
        if missing := [f"{part}.{side}" for side in NEEDED if side not in files]:
            raise _refused(next(iter(files.values())), got=f"no {', '.join(missing)}")
    known = [part for part in _PARTS if part in parts]
    return {part: parts[part] for part in (*known, *sorted(set(parts) - set(known)))}


LOADER = Loader(
    dataset=Dataset(
        name="amazon_qa_processed",
        title="AmazonQA as parallel files: src, tgt, fact, pers",
        licence=NOT_STATED,
        origin="Deng et al. 2022",
    ),
    record="a question, an answer and two lists in lines of the same number",
    rules=Rules(),
    read=read,
)


def _events(row: Mapping[str, Line | Dropped], number: int, *, part: str) -> Iterator[Event]:
    name = f"{part} {number}"
    texts: dict[str, str] = {}
    for side, line in row.items():
        if isinstance(line, Dropped):
            yield line._replace(detail=f"{name}: {side} {line.detail or line.reason}")
            return
        texts[side] = line.text
    lists: dict[str, list[str]] = {}
    for side in ("pers", "fact"):
        found = _texts(texts.get(side, "[]"))
        if found is None:
            yield Dropped(f"{side} is no list of texts", number, detail=f"{name}: {side} is none")
            return
        lists[side] = found
    written = lists["pers"]
    user = f"pers-{name_by_hash(*written)}" if written else name
    for text in written:
        yield Said(user, name, text, again=True)
    fact = " ".join(" ".join(lists["fact"]).split())
    yield Reply(
        user=user,
        conversation=name,
        query=texts["src"],
        response=texts["tgt"],
        earlier=(Turn(by_author=False, text=fact),) if fact else (),
    )


def _texts(literal: str) -> list[str] | None:
    """Read a Python list of texts; None where it is none."""
    try:
        value = parsed(literal)
        if isinstance(value, list) and all(isinstance(text, str) for text in value):
            return [whole(text) for text in cast("list[str]", value)]
    except ValueError:
        pass
    return None


def _counts(n_lines: Counter[str]) -> str:
    return ", ".join(f"{n} in {side}" for side, n in n_lines.items()) or "no lines"
