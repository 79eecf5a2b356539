"""What `masks.py` asks: whose memories, in which layers, at which scalings; and what is done."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean

from lorecall import DataError, InjectionConfig, LanguageModel, load_history, preset
from lorecall.core import whole_records
from lorecall.data import Split, split_history
from lorecall.settings import TrainSettings

DESIGN = "the shipped design"
N_AGAIN = 4
N_DRAWN = 6
RANK = 4
SCALINGS = (16.0, 32.0, 64.0)
MOST_SCALINGS = 5
SETTINGS = preset("laptop", reply_length="free").train


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One training: whose, where, at which scaling, from which seed."""

    user: str
    mask: str
    scaling: float
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRow:
    """What one training came to.

    `valid` and `test` are own less shared, with the factor that validation chose; `test` is None of
    those on whom the scaling is tuned.
    """

    cell: Cell
    layers: tuple[int, ...]
    rank: int
    valid: float
    test: float | None
    factor: float
    best_epoch: float
    n_train: int
    seconds: float
    machine: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is asked: whose memories, where, on which base."""

    base: LanguageModel
    folder: Path
    tuned: tuple[str, ...]
    read: tuple[str, ...]
    masks: Mapping[str, tuple[int, ...]]
    dataset: str = "chitchat"
    rank: int = RANK
    scalings: tuple[float, ...] = SCALINGS
    train: TrainSettings = SETTINGS
    splits: dict[str, Split] = field(default_factory=dict)

    @property
    def again(self) -> tuple[str, ...]:
        """Those who get a second seed."""
        return self.read[:N_AGAIN]

    def theta(self, cell: Cell) -> InjectionConfig:
        """Return what is trained."""
        if cell.mask == DESIGN:
            return preset("laptop").design.config(self.base.n_layers)
        layers = self.masks[cell.mask]
        return InjectionConfig(
            layers=layers, n_loras=len(layers), rank=self.rank, scaling=cell.scaling
        )

    def split(self, user: str) -> Split:
        """Return someone's samples, read once."""
        if user not in self.splits:
            self.splits[user] = split_history(load_history(self.dataset, user=user))
        return self.splits[user]

    def rows(self) -> dict[Cell, MaskRow]:
        """Return what is finished, by any process."""
        kept = [
            row
            for file in sorted(self.folder.glob("part-*.jsonl"))
            for row in whole_records(file, MaskRow, error=DataError, next_step="Remove the line.")
        ]
        return {row.cell: row for row in kept}

    def as_json(self) -> dict[str, object]:
        """Return what the rows depend on."""
        base = self.base
        return json.loads(
            json.dumps(
                {
                    "base": base.name,
                    "shared": base.shared and base.shared.sha256,
                    "dtype": str(base.dtype),
                    "dataset": self.dataset,
                    "tuned": self.tuned,
                    "read": self.read,
                    "masks": dict(self.masks),
                    "rank": self.rank,
                    "scalings": self.scalings,
                    "train": asdict(self.train),
                }
            )
        )


def people_for_choices(path: Path, starts: Sequence[str]) -> tuple[str, ...]:
    """Return people by the starts of their ids, of those who are neither tested nor donors.

    Raises:
        SystemExit: One of them is not there.
    """
    people = path.read_text(encoding="utf-8").split("for choices:")[1].split()
    found = tuple(each for each in people if each.startswith(tuple(starts)))
    if len(found) != len(starts):
        raise SystemExit(f"{len(starts)} people are asked for, {len(found)} are in {path}")
    return found


def masks_of(n_layers: int, *, n_drawn: int = N_DRAWN, seed: int = 0) -> dict[str, tuple[int, ...]]:
    """Return masks of a fifth of the layers, by name."""
    n = n_layers // 5
    masks = {f"{i}-{i + n - 1}": tuple(range(i, i + n)) for i in range(0, 5 * n, n)}
    masks["every fifth"] = tuple(range(2, 5 * n, 5))
    rng = random.Random(seed)
    while len(masks) < 6 + n_drawn:
        drawn = tuple(sorted(rng.sample(range(n_layers), n)))
        if drawn not in masks.values():
            masks[" ".join(map(str, drawn))] = drawn
    return masks


def tuning_cells(study: Study, scalings: Iterable[float]) -> list[Cell]:
    """Return the trainings by which scalings are chosen."""
    return [
        Cell(user=user, mask=mask, scaling=scaling)
        for user in study.tuned
        for mask in study.masks
        for scaling in scalings
    ]


def reading_cells(study: Study, scalings: Mapping[str, float]) -> list[Cell]:
    """Return the trainings that are read, person by person, second seeds last."""
    design = preset("laptop").design.scaling
    first = [
        Cell(user=user, mask=mask, scaling=scaling)
        for user in study.read
        for mask, scaling in (*scalings.items(), (DESIGN, design))
    ]
    return first + [
        Cell(user=user, mask=mask, scaling=scaling, seed=1)
        for user in study.again
        for mask, scaling in scalings.items()
    ]


def further_scaling(study: Study, rows: Mapping[Cell, MaskRow]) -> tuple[float, ...]:
    """Return one more scaling to try, where half of the masks have theirs at one end."""
    tried = sorted(by_scaling(study, rows))
    best = [*tuned_scalings(study, rows).values()]
    if len(tried) < MOST_SCALINGS:
        for end, further in ((tried[-1], 2 * tried[-1]), (tried[0], tried[0] / 2)):
            if 2 * best.count(end) >= len(best):
                return (further,)
    return ()


def tuned_scalings(study: Study, rows: Mapping[Cell, MaskRow]) -> dict[str, float]:
    """Return each mask's best scaling: the lowest mean of own less shared, of validation."""
    tried = by_scaling(study, rows)
    return {mask: min(tried, key=lambda scaling: tried[scaling][mask]) for mask in study.masks}


def by_scaling(study: Study, rows: Mapping[Cell, MaskRow]) -> dict[float, dict[str, float]]:
    """Return each mask's mean at every scaling that all were tried at, the lowest first."""
    scalings = sorted({cell.scaling for cell in rows if cell.user in study.tuned})
    return {
        scaling: {
            mask: fmean(
                rows[Cell(user=user, mask=mask, scaling=scaling)].valid for user in study.tuned
            )
            for mask in study.masks
        }
        for scaling in scalings
        if all(cell in rows for cell in tuning_cells(study, (scaling,)))
    }
