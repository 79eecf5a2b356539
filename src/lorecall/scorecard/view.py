"""A scorecard on a terminal. What is broken comes first, and loudly."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lorecall.records import Interval
from lorecall.report.words import plain
from lorecall.scorecard.absence import Absence
from lorecall.scorecard.card import Change, Scorecard


def scorecard_view(card: Scorecard) -> Iterator[RenderableType]:
    """Show one card: verdicts, then the numbers, then a few answers."""
    yield Text(f"Does it know {plain(card.user)[:12]} ({plain(card.dataset)})?", style="bold")
    for verdict in card.verdicts:
        loud = "bold red" if verdict.startswith("DAMAGED") or "WORSE" in verdict else ""
        yield Text(f"  {verdict}", style=loud)
    yield _numbers(card)
    if card.absence is not None:
        yield from _answers(card.absence)


def _numbers(card: Scorecard) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", "base", "memory", "change", "of"):
        table.add_column(column)
    style, recall, ability = card.style, card.recall, card.ability
    rows: list[tuple[str, Change, int, str]] = [
        ("style: loss", style.loss, 3, f"{style.n} test responses"),
        ("style: Persona F1", style.own, 2, f"own content, |H| {style.n_own}"),
        ("  the same answers", style.other, 2, f"another's content, |H| {style.n_other}"),
        (
            "recall: hits, %",
            Change(after=recall.hits, before=recall.hits_before, change=recall.gain),
            1,
            f"{recall.n} cut responses, chance {recall.chance:.1f}",
        ),
        ("control: loss", card.control, 3, "other people's responses"),
        (
            "ability: loss",
            Change(after=ability.after, before=ability.before, change=ability.change),
            3,
            "general text",
        ),
    ]
    if (absence := card.absence) is not None:
        admitted = Change(
            after=absence.admitted, before=absence.admitted_before, change=absence.change
        )
        rows.insert(4, ("absence: admits, %", admitted, 1, f"{absence.n} questions, by phrases"))
    for name, change, decimals, of in rows:
        cells = (
            f"{change.before.value:.{decimals}f}",
            f"{change.after.value:.{decimals}f}",
            _difference(change.change, decimals),
        )
        table.add_row(*map(Text, (name, *cells, of)))
    return table


def _difference(change: Interval, decimals: int) -> str:
    form = f"+.{decimals}f"
    sure = " *" if change.excludes_zero else ""
    return f"{change.value:{form}} [{change.low:{form}}, {change.high:{form}}]{sure}"


def _answers(absence: Absence) -> Iterator[Text]:
    yield Text("Asked about things never said:")
    for asked in absence.answers:
        yield Text(f"  {asked.question}")
        yield Text(f"    base:   {asked.before or '(nothing)'}")
        yield Text(f"    memory: {asked.after or '(nothing)'}")
