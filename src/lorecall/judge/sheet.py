"""Human validation: N blind pairs on a sheet, as CSV and as one page, and the key to it.

A rater sees what a judge sees, no more: the conversation, the user's own content and two
responses, masked. Which system is `first` is drawn for each pair; only the key tells.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import ClassVar, Literal

from pydantic import ConfigDict

from lorecall.core.files import new_folder, write_json, write_text
from lorecall.core.jsonl import read_record
from lorecall.errors import ConfigError, DataError, RunError
from lorecall.judge.judge import TASKS, JudgeItem, item_of
from lorecall.judge.pairs import Pair
from lorecall.report.pages import render_page

SHEET_CSV, SHEET_HTML, KEY = "sheet.csv", "sheet.html", "key.json"
COLUMNS = ("sheet", "pair", "conversation", "person wrote", "question", "first", "second", "label")
N_PAIRS = 50  # the paper's
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """What a rater must not know of one pair: whose response is shown first."""

    pair: int
    id: str
    first: Literal["a", "b"]
    system_a: str
    system_b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a sheet's labels mean; `pairs` are numbered from 1, as on the sheet."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    sheet: str
    seed: int
    pairs: tuple[KeyEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Blind pairs in the order they are rated, and their key."""

    items: tuple[JudgeItem, ...]
    key: Key


def make_sheet(pairs: Sequence[Pair], *, n: int = N_PAIRS, seed: int = 0) -> Sheet:
    """Draw pairs, their order and their sides.

    Raises:
        ConfigError: There are fewer pairs, or n is below 1.
    """
    if not 1 <= n <= len(pairs):
        raise ConfigError(
            "a sheet holds pairs of the file, each once",
            expected=f"a number from 1 to {len(pairs)}",
            got=str(n),
            next_step="Give such a number with --n, or a file with more pairs.",
        )
    random = Random(seed)
    drawn = random.sample(list(pairs), n)
    swaps = [random.random() < 1 / 2 for _ in drawn]
    items = tuple(
        item.swapped() if swap else item
        for item, swap in zip(map(item_of, drawn), swaps, strict=True)
    )
    entries = tuple(
        KeyEntry(
            pair=number,
            id=pair.id,
            first="b" if swap else "a",
            system_a=pair.system_a,
            system_b=pair.system_b,
        )
        for number, (pair, swap) in enumerate(zip(drawn, swaps, strict=True), start=1)
    )
    texts = json.dumps([asdict(item) for item in items], ensure_ascii=False)
    name = f"s{hashlib.sha256(texts.encode()).hexdigest()[:10]}"  # never a number to a spreadsheet
    return Sheet(items=items, key=Key(sheet=name, seed=seed, pairs=entries))


def write_sheet(sheet: Sheet, out: Path) -> None:
    """Write the sheet as CSV and as a page, and the key, into a folder of their own.

    Raises:
        RunError: The folder holds something: labels, perhaps.
    """
    if out.is_dir() and any(out.iterdir()):
        raise RunError(
            "a sheet gets a folder of its own",
            expected=f"no folder, or an empty one, at {out}",
            got="a folder with other things in it",
            next_step="Choose another --out.",
        )
    with new_folder(out) as folder:
        write_text(folder / SHEET_CSV, _csv(sheet))
        write_text(folder / SHEET_HTML, sheet_page(sheet))
        write_json(folder / KEY, asdict(sheet.key))


def read_key(path: Path) -> Key:
    """Read a sheet's key.

    Raises:
        DataError: It is not there, or it is no key.
    """
    step = f"Give the {KEY} that `lorecall judge sheet` wrote beside the sheet, with --key."
    return read_record(path, Key, what="a sheet's key", error=DataError, next_step=step)


def sheet_page(sheet: Sheet) -> str:
    """Make the page's HTML. Texts reach it as JSON and are only ever set as text."""
    values = {
        "sheet": sheet.key.sheet,
        "items": [_page_item(item) for item in sheet.items],
    }
    return render_page("sheet.html.j2", values, package="lorecall.judge")


def _page_item(item: JudgeItem) -> dict[str, object]:
    by_author = [*(turn.by_author for turn in item.earlier), False]
    said = zip(item.conversation, by_author, strict=True)
    return {
        "task": TASKS[item.authored_by],
        "turns": [{"who": who, "text": text, "author": own} for (who, text), own in said],
        "content": list(item.user_content),
        "responses": [item.first, item.second],
    }


def _csv(sheet: Sheet) -> str:
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(COLUMNS)
    for entry, item in zip(sheet.key.pairs, sheet.items, strict=True):
        said = "\n".join(f"{who}: {text}" for who, text in item.conversation)
        texts = (said, "\n".join(item.user_content), TASKS[item.authored_by])
        cells = _without_formulas((*texts, item.first, item.second))
        table.writerow([sheet.key.sheet, entry.pair, *cells, ""])
    mark = "\ufeff"  # without it, spreadsheets take UTF-8 for something else
    return mark + file.getvalue()


def _without_formulas(cells: Iterable[str]) -> list[str]:
    """Keep a spreadsheet from running a text as a formula."""
    return [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells]
