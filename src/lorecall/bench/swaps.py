"""Memories swapped: one person's test replies read with their own memory and with other people's.

```
DIR/memories/CELL/    a cell's memory, of the systems that are swapped
DIR/swaps.jsonl       a line a cell whose replies were read so, only ever added to
```
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from lorecall.bench.cells import Cell, finished_cells
from lorecall.bench.people import load_person, read_snapshot
from lorecall.bench.plan import BenchPlan
from lorecall.bench.reading import plain_encoded
from lorecall.core.jsonl import append_records, whole_records
from lorecall.errors import RunError
from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import format_for
from lorecall.lm.token_kinds import TOKEN_KINDS, TokenKind, token_kinds
from lorecall.memory.memory import StoredMemory
from lorecall.metrics.personal import SwappedLosses
from lorecall.records import Sample, evenly_spaced
from lorecall.reply.responder import ModelResponder
from lorecall.train.reading import EncodedPart, Reader

SWAPS_FILE = "swaps.jsonl"
_DIGITS = 6  # nats that are kept; what the formats differ by is more
_Tokens = Sequence[Sequence[float]]
"""The losses of some replies' tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapReading:
    """The test replies of one cell's person, read with everyone's memory of its system.

    Args:
        cell: Whose replies, and of which system the memories are.
        sample_ids: Which replies.
        new_partner: Of each, whether it answers someone never met in training; None where that is
            not known.
        losses: Of each, with every memory; of the bare base where a shared memory is in the base.
        kinds: kind of token -> the same of those tokens alone, replies without any left out.

    Examples:
        >>> from lorecall.bench import Cell, SwapReading
        >>> from lorecall.metrics import SwappedLosses
        >>> found = SwapReading(
        ...     cell=Cell(dataset="chitchat", user="ann", seed=0, system="personal"),
        ...     sample_ids=("a", "b"),
        ...     new_partner=(True, False),
        ...     losses=SwappedLosses(
        ...         user="ann", own=(3.0, 3.2), others={"bob": (3.3, 3.5)}, shared=(3.1, 3.3)
        ...     ),
        ...     kinds={},
        ... )
        >>> round(found.losses.gain, 2)
        0.3
    """

    cell: Cell
    sample_ids: tuple[str, ...]
    new_partner: tuple[bool | None, ...]
    losses: SwappedLosses
    kinds: Mapping[TokenKind, SwappedLosses]


def finished_swaps(folder: Path) -> list[SwapReading]:
    """Read what was read so, each cell once.

    Raises:
        RunError: A line that is no such reading.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import finished_swaps
        >>> finished_swaps(Path("bench"))  # a bench of a time when nothing was swapped
        []
    """
    found: dict[Cell, SwapReading] = {}
    again = "Take the line out: the replies are then read again."
    for reading in whole_records(folder / SWAPS_FILE, SwapReading, error=RunError, next_step=again):
        found.setdefault(reading.cell, reading)
    return list(found.values())


def finish_swap(folder: Path, reading: SwapReading) -> None:
    """Count a cell's replies as read."""
    append_records(folder / SWAPS_FILE, [reading])


def memory_folder(folder: Path, cell: Cell) -> Path:
    """Return where a cell's memory is kept."""
    return folder / "memories" / cell.id


def swaps_of(plan: BenchPlan, finished: Collection[Cell]) -> list[Cell]:
    """Return the cells whose replies are to be read so: those who have others beside them."""
    cells = [cell for cell in plan.cells() if cell.system in plan.swapped and cell in finished]
    return [cell for cell in cells if any(map(cell.is_beside, cells))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapping:
    """Reads replies with everyone's memories, in one process.

    Args:
        plan: The bench.
        folder: Its folder.
        base: Its base.
        bare: Loads the base without the shared memory; None where there is none in it.
    """

    plan: BenchPlan
    folder: Path
    base: LanguageModel
    bare: Callable[[], LanguageModel] | None = None

    def read(self, cell: Cell) -> SwapReading:
        """Read one person's replies with their own memory, other people's, and none.

        Raises:
            ArtefactError: A memory is not there, or not whole.
            RunError: Nothing is kept of the person.
        """
        settings = self.plan.settings
        tested = read_snapshot(self.folder, cell).tested
        n = min(len(tested), settings.swap_samples or len(tested))
        samples = evenly_spaced(tested, n)
        losses = self._read(cell, samples)
        form = format_for(self.base, settings.learn.train)
        kinds = [token_kinds(form, sample.response) for sample in samples]
        by_kind: dict[TokenKind, SwappedLosses] = {}
        for kind in TOKEN_KINDS:
            if any(places := [_places(each, kind) for each in kinds]):
                by_kind[kind] = losses.at(places)
        person = load_person(self.plan.source(cell.dataset), cell.user, settings.history_samples)
        met = {sample.partner for sample in person.split.train}
        return SwapReading(
            cell=cell,
            sample_ids=tuple(sample.id for sample in samples),
            new_partner=tuple(
                None if sample.partner is None else sample.partner not in met for sample in samples
            ),
            losses=losses.at([range(len(each)) for each in losses.own]),
            kinds=by_kind,
        )

    def _read(self, cell: Cell, samples: Sequence[Sample]) -> "_TokenLosses":
        """Read replies with each memory, what no memory changes of them computed once."""
        train = self.plan.settings.learn.train
        encoded = plain_encoded(samples, self.base, train)
        part = EncodedPart(samples=tuple(samples), encoded=tuple(encoded))
        reader = Reader(self.base, train)

        def read(owner: Cell) -> _Tokens:
            stored = StoredMemory.load(memory_folder(self.folder, owner))
            with_it = ModelResponder(self.base, stored, limits=train)
            return reader.token_losses(part, injection=with_it.injection)

        return _TokenLosses(
            user=cell.user,
            own=read(cell),
            others={other.user: read(other) for other in self._others(cell)},
            shared=reader.token_losses(part),
            base=Reader(self.bare(), train).token_losses(part) if self.bare else (),
        )

    def _others(self, cell: Cell) -> list[Cell]:
        """Return the cells beside one, those of like training size first, as many as wanted."""
        n_train = {scores.cell: scores.n_train for scores in finished_cells(self.folder)}
        beside = [
            other for other in self.plan.cells() if other in n_train and cell.is_beside(other)
        ]
        beside.sort(key=lambda other: abs(n_train[other] - n_train[cell]))  # of equals in order
        return beside[: self.plan.settings.swap_others]


@dataclass(frozen=True, slots=True, kw_only=True)
class _TokenLosses:
    """The losses of every token of some replies with every memory; as `SwappedLosses`."""

    user: str
    own: _Tokens
    others: Mapping[str, _Tokens]
    shared: _Tokens
    base: _Tokens

    def at(self, places: Sequence[Iterable[int]]) -> SwappedLosses:
        """Average some tokens of each reply; replies without any are left out."""
        chosen = [list(each) for each in places]

        def means(tokens: _Tokens) -> tuple[float, ...]:
            replies = zip(tokens, chosen, strict=True)
            return tuple(round(fmean(t[i] for i in at), _DIGITS) for t, at in replies if at)

        return SwappedLosses(
            user=self.user,
            own=means(self.own),
            others={user: means(tokens) for user, tokens in self.others.items()},
            shared=means(self.shared),
            base=means(self.base) if self.base else (),
        )


def _places(kinds: Sequence[TokenKind], kind: TokenKind) -> list[int]:
    return [i for i, each in enumerate(kinds) if each == kind]
