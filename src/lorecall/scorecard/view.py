"""A scorecard on a terminal. What is broken comes first, and loudly."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from lorecall.core.text import plain
from lorecall.records import Interval
from lorecall.report.tables import TEXT_WIDTH, Column, FittingTable
from lorecall.scorecard.absence import Absence
from lorecall.scorecard.card import Change, Scorecard

_NUMBERS = ("base", "memory", "change")
_Row = tuple[str, Change, int, str]  # what, its values, their decimals, of what


def scorecard_view(card: Scorecard) -> Iterator[RenderableType]:
    """Show one card: verdicts, then the numbers, then a few answers."""
    yield Text(f"Does it know {plain(card.user)[:12]} ({plain(card.dataset)})?", style="bold")
    for verdict in card.verdicts:
        loud = "bold red" if verdict.startswith("DAMAGED") or "WORSE" in verdict else ""
        yield Text(f"  {verdict}", style=loud)
    yield _numbers(card)
    if card.absence is not None:
        yield from _answers(card.absence)


def _numbers(card: Scorecard) -> FittingTable:
    columns = (
        Column(heading=""),
        *(Column(heading=name) for name in _NUMBERS),
        Column(heading="of", folds_at=TEXT_WIDTH),
    )
    rows = [
        (
            name,
            f"{change.before.value:.{decimals}f}",
            f"{change.after.value:.{decimals}f}",
            _difference(change.change, decimals),
            of,
        )
        for name, change, decimals, of in _changes(card)
    ]
    return FittingTable(columns=columns, rows=rows)


def _changes(card: Scorecard) -> Iterator[_Row]:
    style, recall, absence, ability = card.style, card.recall, card.absence, card.ability
    yield "style: loss", style.loss, 3, f"{style.n} test responses"
    yield "style: Persona F1", style.own, 2, f"own content, |H| {style.n_own}"
    if style.other is not None:
        yield "  the same answers", style.other, 2, f"another's content, |H| {style.n_other}"
    if recall is not None:
        hits = Change(after=recall.hits, before=recall.hits_before, change=recall.gain)
        yield "recall: hits, %", hits, 1, f"{recall.n} cut responses, chance {recall.chance:.1f}"
    if absence is not None:
        admitted = Change(
            after=absence.admitted, before=absence.admitted_before, change=absence.change
        )
        yield "absence: admits, %", admitted, 1, f"{absence.n} questions, by phrases"
    if card.control is not None:
        yield "control: loss", card.control, 3, "other people's responses"
    general = Change(after=ability.after, before=ability.before, change=ability.change)
    yield "ability: loss", general, 3, "general text"


def _difference(change: Interval, decimals: int) -> str:
    form = f"+.{decimals}f"
    sure = " *" if change.excludes_zero else ""
    return f"{change.value:{form}} [{change.low:{form}}, {change.high:{form}}]{sure}"


def _answers(absence: Absence) -> Iterator[Text]:
    yield Text("Asked about things never said:")
    for asked in absence.answers:
        yield Text(f"  {plain(asked.question)}")
        yield Text(f"    base:   {plain(asked.before) or '(nothing)'}")
        yield Text(f"    memory: {plain(asked.after) or '(nothing)'}")
