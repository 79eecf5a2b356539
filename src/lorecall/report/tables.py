"""What `lorecall data` prints, and a picture of anything that is printed."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lorecall.core.files import write_text
from lorecall.data.catalog import Summary
from lorecall.data.history import LONG_ENOUGH
from lorecall.data.purpose import purpose
from lorecall.report.words import counted, plain

_PICTURE_COLUMNS = 96


def dataset_table(entries: Sequence[Mapping[str, object]]) -> RenderableType:
    """Show the catalogue."""
    table = Table(title="datasets", title_justify="left")
    table.add_column("name", no_wrap=True)
    for heading in ("title", "licence", "origin"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        table.add_row(*(str(entry[key]) for key in ("name", "title", "licence", "origin")))
    return table


def description_table(described: Mapping[str, object]) -> RenderableType:
    """Show one dataset's numbers, Table 1's rows among them."""
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in described.items():
        if value is None:  # what is not known of a format
            continue
        shown = f"{value:,.1f}" if isinstance(value, float) else str(value)
        table.add_row(key, f"{value:,}" if isinstance(value, int) else shown)
    return table


def user_table(users: Sequence[Mapping[str, object]]) -> RenderableType:
    """Show users, those with the longest histories first."""
    table = Table(title="users, longest history first", title_justify="left")
    table.add_column("user", no_wrap=True)
    for heading in ("samples", "conversations", "words"):
        table.add_column(heading, justify="right")
    table.caption = "words: mean of a response"
    table.caption_justify = "left"
    for user in users:
        words = user["response_words"]
        table.add_row(
            plain(str(user["user"])),
            str(user["n_samples"]),
            str(user["n_conversations"]),
            f"{words:.1f}" if isinstance(words, float) else str(words),
        )
    return table


def drop_table(summary: Summary) -> RenderableType:
    """Show what is no sample, by reason."""
    table = Table(title="dropped", title_justify="left", show_header=False, box=None)
    table.add_column(justify="right")
    for reason, count in sorted(summary.dropped.items(), key=lambda item: -item[1]):
        table.add_row(f"{count:,}", reason)
    return table if summary.dropped else "nothing dropped"


def check_view(summary: Summary) -> RenderableType:
    """Show what is wrong with a file, row by row, and who is in it."""
    counts = (
        counted(summary.n_replies, "pair"),
        counted(summary.n_users, "user"),
        counted(summary.n_problems, "problem"),
    )
    lines = [f"read as {summary.dataset.title}", ", ".join(counts)]
    lines += [
        f"  {plain(problem.file)}{', ' if problem.file else ''}line {problem.line}:"
        f" {plain(problem.reason)}"
        for problem in summary.problems
    ]
    if summary.n_problems > len(summary.problems):
        lines.append(f"  and {summary.n_problems - len(summary.problems)} more")
    lines += [f"  dropped: {count} {reason}" for reason, count in summary.dropped.items()]
    lines += [
        f"  user {plain(user.user)}: {counted(user.n_samples, 'sample')}"
        f" in {counted(user.n_conversations, 'conversation')}"
        f"{'' if user.learnable else ': too short to learn'}"
        for user in summary.users
    ]
    if summary.n_users > len(summary.users):
        lines.append(f"  and {counted(summary.n_users - len(summary.users), 'more user')}")
    lines.append(summary.refusal or _learnable(summary))
    return Group(*(Text(line, overflow="fold") for line in lines))


def _learnable(summary: Summary) -> str:
    """Say how many can be learnt, what of the others, and what a memory will be."""
    needs = f"; a user needs {LONG_ENOUGH}" if summary.n_learnable < summary.n_users else ""
    return (
        f"{summary.n_learnable} of {counted(summary.n_users, 'user')} can be learnt{needs}.\n"
        + purpose(summary.authored_by, who="the person")
    )


def save_picture(view: RenderableType, path: Path, *, title: str) -> None:
    """Draw a view as an SVG picture, as a terminal would show it."""
    console = Console(record=True, width=_PICTURE_COLUMNS, file=io.StringIO())
    console.print(view, highlight=False)
    picture = console.export_svg(title=title)
    # the fonts it would fetch from elsewhere; any other of equal widths serves
    write_text(path, re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL))
