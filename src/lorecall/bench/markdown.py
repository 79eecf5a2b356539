"""A bench's view as Markdown."""

from collections.abc import Iterator

from lorecall.bench.answers import Case
from lorecall.bench.view import DatasetView, Grid, View
from lorecall.report.words import plain

_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#~&"})


def to_markdown(view: View) -> str:
    """Write it down."""
    return "\n".join(_lines(view)) + "\n"


def escaped(text: str) -> str:
    """Put a text on one line in which it means nothing to Markdown."""
    return plain(text).translate(_MARKS)


def _lines(view: View) -> Iterator[str]:
    yield "# lorecall bench"
    yield ""
    yield from (f"- {name}: {escaped(value)}" for name, value in view.facts.items())
    for warning in view.warnings:
        yield ""
        yield f"> **{escaped(warning)}**"
    for dataset in view.datasets:
        yield from _dataset(dataset)
    if not view.datasets:
        yield from ("", "No user has every system finished yet.")
    yield from ("", "## Settings and versions", "")
    yield from (f"- {escaped(name)}: {escaped(value)}" for name, value in view.settings.items())
    yield from (f"- {escaped(name)} {escaped(value)}" for name, value in view.versions.items())


def _dataset(dataset: DatasetView) -> Iterator[str]:
    yield from ("", f"## {escaped(dataset.name)}", "", dataset.lead)
    for grid in dataset.grids:
        yield from _grid(grid)
    if dataset.cases:
        yield from ("", "### Cases", "", "Test queries picked by no answer. Texts are masked.")
    for case in dataset.cases:
        yield from _case(case)
    yield from ("", "### Signatures", "")
    yield from (f"- {escaped(name)}: `{text}`" for name, text in dataset.signature.items())


def _grid(grid: Grid) -> Iterator[str]:
    yield from ("", f"### {escaped(grid.title)}", "")
    yield _row(grid.columns)
    yield "|" + " --- |" * len(grid.columns)
    yield from map(_row, grid.rows)
    if grid.note:
        yield from ("", escaped(grid.note))


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def _case(case: Case) -> Iterator[str]:
    yield from ("", f"**{escaped(case.query)}**", "")
    yield from (f"- the user wrote: {escaped(text)}" for text in case.about)
    yield f"- true: {escaped(case.truth)}"
    for system, text in case.responses.items():
        yield f"- {escaped(system)}: {escaped(text) or '(nothing)'}"
