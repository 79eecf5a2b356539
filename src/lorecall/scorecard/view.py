"""A scorecard on a terminal. What is broken comes first, and loudly."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from lorecall.core.text import plain
from lorecall.report.tables import TEXT_WIDTH, Column, FittingTable
from lorecall.report.words import signed
from lorecall.scorecard.absence import Absence
from lorecall.scorecard.card import Change, Scorecard
from lorecall.scorecard.personal import Personal

_Row = tuple[str, Change, int, str]  # what, its values, their decimals, of what


def scorecard_view(card: Scorecard) -> Iterator[RenderableType]:
    """Show one card: verdicts, then the numbers, then a few answers."""
    yield Text(f"Does it know {plain(card.user)[:12]} ({plain(card.dataset)})?", style="bold")
    for verdict in card.verdicts:
        bad = verdict.startswith("DAMAGED") or "WORSE" in verdict or ": NOT " in verdict
        loud = "bold red" if bad else ""
        yield Text(f"  {verdict}", style=loud)
    if card.personal is not None:
        yield _swapped(card.personal)
    yield _numbers(card)
    if card.absence is not None:
        yield from _answers(card.absence)


def _swapped(found: Personal) -> FittingTable:
    """Show what swapping memories says, before anything else."""
    columns = [Column(heading=name, folds_at=TEXT_WIDTH) for name in ("memories swapped", "", "of")]
    rows = [
        ("personal gain (PG), nats", signed(found.gain), "others' less own, same replies"),
        ("own less without", signed(found.own_less_shared), "below 0 it helps"),
        ("rank of own", f"{found.rank} of {found.n_memories}", "1 is best"),
        ("single replies that prefer own", f"{100 * found.auc:.0f}%", "chance 50%"),
    ]
    return FittingTable(columns=columns, rows=rows)


def _numbers(card: Scorecard) -> FittingTable:
    without = "base" if card.shared is None else "shared"
    columns = (
        Column(heading=""),
        *(Column(heading=name) for name in (without, "memory", "change")),
        Column(heading="of", folds_at=TEXT_WIDTH),
    )
    rows = [
        (
            name,
            f"{change.before.value:.{decimals}f}",
            f"{change.after.value:.{decimals}f}",
            signed(change.change, decimals),
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
    general = Change(after=ability.after, before=ability.before, change=ability.change)
    yield "ability: loss", general, 3, "general text"


def _answers(absence: Absence) -> Iterator[Text]:
    yield Text("Asked about things never said:")
    for asked in absence.answers:
        yield Text(f"  {plain(asked.question)}")
        yield Text(f"    base:   {plain(asked.before) or '(nothing)'}")
        yield Text(f"    memory: {plain(asked.after) or '(nothing)'}")
