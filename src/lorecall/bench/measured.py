"""One dataset's finished cells as numbers: users x samples x systems.

Only users count for whom every system is finished, so that all systems are compared on the same
samples. The seeds of a user are averaged sample by sample: a further seed is no further user.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache

import numpy as np

from lorecall.bench.scores import CellScores
from lorecall.errors import RunError
from lorecall.metrics.paired import Floats, Over, Resampled

Value = Callable[[CellScores], Sequence[float]]


class Measured:
    """The finished cells of one dataset.

    Args:
        finished: They.
        systems: The systems to compare, those without a finished cell left out.
        users: The users, in order.
        n_resamples: Of every bootstrap.

    Attributes:
        systems: Those with a finished cell.
        users: complete user -> system -> its cells, a seed each.
        n_resamples: Of every bootstrap.
    """

    def __init__(
        self,
        finished: Sequence[CellScores],
        *,
        systems: Sequence[str],
        users: Sequence[str],
        n_resamples: int,
    ) -> None:
        done = {scores.cell.system for scores in finished}
        self.systems = tuple(system for system in systems if system in done)
        self.users: dict[str, Mapping[str, tuple[CellScores, ...]]] = {}
        for user in users:
            own = [scores for scores in finished if scores.cell.user == user]
            if cells := _complete(own, self.systems):
                self.users[user] = cells
        self.n_resamples = n_resamples
        self.resampled = cache(self._resampled)

    @property
    def first(self) -> list[CellScores]:
        """Return one cell of each user: what all of a user's cells have in common is in it."""
        return [cells[self.systems[0]][0] for cells in self.users.values()]

    def of(self, system: str) -> list[tuple[CellScores, ...]]:
        """Return a system's cells, user by user."""
        return [cells[system] for cells in self.users.values()]

    def index(self, system: str) -> int:
        """Return a system's column."""
        return self.systems.index(system)

    def means(self, metric: str) -> Floats:
        """Return each user's mean of each system. *Shape:* (U, S)."""
        return np.stack([x.mean(axis=0) for x in self.matrices(metric)])

    def matrices(self, metric: str) -> list[Floats]:
        """Return a score a sample and system of each user. *Shape:* U of (n_u, S)."""
        return [
            np.stack(
                [averaged(cells[s], lambda c: asdict(c.scores)[metric]) for s in self.systems], 1
            )
            for cells in self.users.values()
        ]

    def _resampled(self, metric: str, over: Over) -> Resampled:
        return Resampled(self.matrices(metric), over=over, n_resamples=self.n_resamples)


def averaged(cells: Sequence[CellScores], value: Value) -> Floats:
    """Average the seeds of one user and system, sample by sample. *Shape:* (n_u,)."""
    return np.mean([value(scores) for scores in cells], axis=0)


def _complete(
    own: Sequence[CellScores], systems: Sequence[str]
) -> dict[str, tuple[CellScores, ...]] | None:
    """Return a user's cells of the seeds for which every system is finished, if there are any."""
    by_seed: dict[int, dict[str, CellScores]] = {}
    for scores in own:
        by_seed.setdefault(scores.cell.seed, {})[scores.cell.system] = scores
    whole = [cells for _, cells in sorted(by_seed.items()) if set(systems) <= set(cells)]
    if not whole:
        return None
    for cells in whole:
        if len({cells[system].sample_ids for system in systems}) > 1:
            raise RunError(
                "all systems of a user are read on the same samples",
                expected="one list of samples",
                got=f"several for user {own[0].cell.user!r}",
                next_step="The scores are of two benches: start again in another folder.",
            )
    return {system: tuple(cells[system] for cells in whole) for system in systems}
