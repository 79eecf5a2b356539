"""All that is shown of a bench, as text: the page, the Markdown and the terminal show the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from lorecall.bench.answers import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of texts.

    Args:
        title: What it shows.
        columns: Heads; the first column names the rows.
        rows: Texts; one may have several lines.
        note: How to read it.
        n_own: How many of the rows are ours; those after them are the paper's.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    n_own: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """One dataset's part of the page."""

    name: str
    lead: str
    grids: tuple[Grid, ...]
    cases: tuple[Case, ...]
    signature: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that is shown of a bench."""

    facts: Mapping[str, str]
    warnings: tuple[str, ...]
    datasets: tuple[DatasetView, ...]
    settings: Mapping[str, str]
    versions: Mapping[str, str]
