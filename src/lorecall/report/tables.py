"""Tables that fit any terminal, and with them what `lorecall data` prints."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lorecall.core.files import write_text
from lorecall.core.text import plain, printable
from lorecall.data.history import LONG_ENOUGH
from lorecall.data.loading import Summary
from lorecall.data.purpose import purpose
from lorecall.data.redaction import by_kind
from lorecall.report.words import counted

_PICTURE_COLUMNS = 96
TEXT_WIDTH = 16
"""Columns that a running text needs; a number is never folded."""

CellText = str | Text
"""A string is shown as it is: neither markup nor control characters in it have an effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Args:
        heading: What stands above it, or beside the cell where rows are stacked.
        is_right: Whether it is aligned to the right, as plain numbers are.
        folds_at: Columns of the terminal down to which it may be folded; None: never.
    """

    heading: str
    is_right: bool = False
    folds_at: int | None = None

    def width(self, cells: Iterable[CellText]) -> int:
        """Return the columns of the terminal that it needs at least."""
        texts = (self.heading, *(str(cell) for cell in cells))
        widest = max(cell_len(line) for text in texts for line in text.split("\n"))
        return widest if self.folds_at is None else min(widest, self.folds_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittingTable:
    """A table where the terminal is wide enough for it, else its rows one under another.

    No number is cut or folded either way.

    Args:
        columns: The columns; the first one names the rows.
        rows: The cells of each row; one without cells leaves a blank line.
        styles: A style for each row, where they have any.
        title: What stands above; nothing when empty.
        gap: Blanks between columns.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[CellText]]
    styles: Sequence[str] = ()
    title: str = ""
    gap: int = 2

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Draw it for a terminal's width."""
        if self.title:
            yield Text(plain(self.title), style="italic")
        full = [row for row in self.rows if row]
        cells = zip(*full, strict=True) if full else ((),) * len(self.columns)
        widths = [c.width(column) for c, column in zip(self.columns, cells, strict=True)]
        needed = sum(widths) + self.gap * (len(widths) - 1)
        yield self._table() if needed <= options.max_width else self._stacked()

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, self.gap, 0, 0))
        for column in self.columns:
            table.add_column(
                Text(column.heading),
                justify="right" if column.is_right else "left",
                no_wrap=column.folds_at is None,
                overflow="fold",
            )
        for row, style in self._styled_rows():
            table.add_row(*map(as_text, row), style=style)
        return table

    def _stacked(self) -> Group:
        parts: list[RenderableType] = []
        for row, style in self._styled_rows():
            if row:
                heading = self.columns[0].heading
                name = Text(f"{heading} " if heading else "", style=style or "bold")
                parts.append(name.append_text(as_text(row[0])))
                named = zip(self.columns[1:], row[1:], strict=True)
                rows = [(column.heading, cell) for column, cell in named if str(cell).strip()]
                parts.append(Padding(facts(rows), (0, 0, 0, 2)))
        return Group(*parts)

    def _styled_rows(self) -> Iterator[tuple[Sequence[CellText], str]]:
        return zip(self.rows, self.styles or [""] * len(self.rows), strict=True)


def as_text(cell: CellText) -> Text:
    """Return a cell to be shown as it is."""
    return cell if isinstance(cell, Text) else Text(plain(cell))


def facts(rows: Iterable[tuple[str, CellText]]) -> Table:
    """Return names with their values, a line each; either is folded where it must be."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", overflow="fold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(as_text(name), as_text(value))
    return table


def dataset_table(entries: Sequence[Mapping[str, object]]) -> RenderableType:
    """Show the catalogue."""
    names = ("name", "title", "licence", "origin")
    columns = [Column(heading=n, folds_at=None if n == "name" else TEXT_WIDTH) for n in names]
    rows = [[str(entry[name]) for name in names] for entry in entries]
    return FittingTable(columns=columns, rows=rows, title="datasets")


def description_table(described: Mapping[str, object]) -> RenderableType:
    """Show one dataset's numbers, Table 1's rows among them."""
    known = {name: value for name, value in described.items() if value is not None}
    return facts((name, _number(value)) for name, value in known.items())


def user_table(users: Sequence[Mapping[str, object]]) -> RenderableType:
    """Show users, those with the longest histories first."""
    counts = ("samples", "conversations", "words")
    columns = [Column(heading="user"), *(Column(heading=n, is_right=True) for n in counts)]
    fields = ("user", "n_samples", "n_conversations", "response_words")
    rows = [[_number(user[field]) for field in fields] for user in users]
    table = FittingTable(columns=columns, rows=rows, title="users, longest history first")
    return Group(table, Text("words: mean of a response", style="dim"))


def drop_table(summary: Summary) -> RenderableType:
    """Show what is no sample, by reason."""
    if not summary.dropped:
        return Text("nothing dropped")
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for reason, count in sorted(summary.dropped.items(), key=lambda item: -item[1]):
        table.add_row(f"{count:,}", as_text(reason))
    return Group(Text("dropped", style="italic"), table)


def check_view(summary: Summary) -> RenderableType:
    """Show what is wrong with a file, row by row, and who is in it."""
    counts = (
        counted(summary.n_replies, "pair"),
        counted(summary.n_users, "user"),
        counted(summary.n_problems, "problem"),
    )
    lines = [f"read as {summary.dataset.title.partition(':')[0]}", ", ".join(counts)]
    lines += [
        f"  {plain(problem.file)}{', ' if problem.file else ''}line {problem.line}:"
        f" {plain(problem.reason)}"
        for problem in summary.problems
    ]
    if summary.n_problems > len(summary.problems):
        lines.append(f"  and {summary.n_problems - len(summary.problems)} more")
    lines += [f"  {count} dropped: {plain(reason)}" for reason, count in summary.dropped.items()]
    if summary.pii is not None:
        lines.append(f"names people outright: {by_kind(summary.pii)}")
    if summary.n_untimed:
        where = "they stay between their neighbours in the file"
        lines.append(f"  {counted(summary.n_untimed, 'pair')} without a time: {where}")
    lines += [
        f"  user {plain(user.user)}: {counted(user.n_samples, 'sample')}"
        f" in {counted(user.n_conversations, 'conversation')}"
        f"{'' if user.learnable else ': too short to learn'}"
        for user in summary.users
    ]
    if summary.n_users > len(summary.users):
        lines.append(f"  and {counted(summary.n_users - len(summary.users), 'more user')}")
    lines.append(summary.refusal or _learnable(summary))
    return Group(*(Text(printable(line), overflow="fold") for line in lines))


def _learnable(summary: Summary) -> str:
    """Return how many can be learnt, what of the others, and what a memory will be."""
    needs = f"; a user needs {LONG_ENOUGH}" if summary.n_learnable < summary.n_users else ""
    return (
        f"{summary.n_learnable} of {counted(summary.n_users, 'user')} can be learnt{needs}.\n"
        + purpose(summary.authored_by, who="the person")
    )


def save_picture(view: RenderableType, path: Path, *, title: str) -> None:
    """Draw a view as an SVG picture, as a terminal would show it."""
    console = Console(record=True, width=_PICTURE_COLUMNS, file=io.StringIO())
    console.print(view, highlight=False)
    picture = console.export_svg(title=plain(title))
    # the fonts it would fetch from elsewhere; any other of equal widths serves
    write_text(path, re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL))


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
