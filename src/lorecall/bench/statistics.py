"""From finished cells to the numbers of every table, dataset by dataset.

Only users count for whom every system is finished, so that all systems are compared on the same
samples. The seeds of a user are averaged sample by sample: a further seed is no further user.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from statistics import fmean

import numpy as np

from lorecall.bench.cells import CellScores
from lorecall.bench.plan import BenchPlan
from lorecall.bench.tables import Comparison, Cost, DatasetTables, SystemRow
from lorecall.errors import RunError
from lorecall.metrics.paired import Floats, Over, Resampled, holm, sign_flip_test
from lorecall.metrics.registry import Metric, metrics
from lorecall.metrics.scores import signatures
from lorecall.systems.about import headline
from lorecall.systems.catalog import about

Value = Callable[[CellScores], Sequence[float]]


class DatasetScores:
    """The finished cells of one dataset as numbers: users x samples x systems that have cells.

    Attributes:
        users: complete user -> system -> its cells, a seed each.
        metrics: Those that every finished cell has.
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
        self.metrics: tuple[Metric, ...] = tuple(
            metric
            for key, metric in metrics().items()
            if all(key in scores.scores for scores in finished)
        )
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
            np.stack([seed_means(cells[s], lambda c: c.scores[metric]) for s in self.systems], 1)
            for cells in self.users.values()
        ]

    def _resampled(self, metric: str, over: Over) -> Resampled:
        return Resampled(self.matrices(metric), over=over, n_resamples=self.n_resamples)


def tabulate(plan: BenchPlan, finished: Sequence[CellScores]) -> tuple[DatasetTables, ...]:
    """Make the numbers of every dataset that has a user with all systems finished.

    Args:
        plan: The bench.
        finished: Its finished cells.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import finished_cells, read_plan, tabulate
        >>> (tables,) = tabulate(read_plan(Path("bench"))[1], finished_cells(Path("bench")))
        >>> tables.n_users, tables.rows[0].system
        (2, 'vanilla')
    """
    wanted = set(plan.cells())
    mine = [scores for scores in finished if scores.cell in wanted]
    tables = (
        _tabulate(plan, source.name, [s for s in mine if s.cell.dataset == source.name])
        for source in plan.sources
    )
    return tuple(table for table in tables if table is not None)


def _tabulate(
    plan: BenchPlan, dataset: str, finished: Sequence[CellScores]
) -> DatasetTables | None:
    users, n_resamples = plan.source(dataset).users, plan.settings.learn.n_bootstrap
    measured = DatasetScores(finished, systems=plan.systems, users=users, n_resamples=n_resamples)
    if not measured.users:
        return None
    systems, first = measured.systems, measured.first
    focus = headline(systems)
    others = [system for system in systems if system != focus and not about(system).is_memory]
    return DatasetTables(
        dataset=dataset,
        focus=focus,
        n_users=len(first),
        n_asked=len(users),
        n_samples=sum(len(scores.sample_ids) for scores in first),
        n_persona=fmean(scores.n_persona for scores in first),
        n_persona_other=fmean(scores.n_persona_other for scores in first),
        rows=tuple(_row(system, measured) for system in systems),
        missing=tuple(system for system in plan.systems if system not in systems),
        comparisons=_compare(focus, measured),
        best=_best(others, measured),
        best_of_paper=_best([system for system in others if about(system).paper], measured),
        signature=_signatures(measured, n_resamples=n_resamples),
    )


def _row(system: str, measured: DatasetScores) -> SystemRow:
    i, cells = measured.index(system), measured.of(system)
    flat = [scores for seeds in cells for scores in seeds]
    others = [seed_means(seeds, lambda scores: scores.persona_f1_other)[:, None] for seeds in cells]
    names = sorted({name for scores in flat for name in scores.facts})
    return SystemRow(
        system=system,
        means={m.key: measured.resampled(m.key, "users").mean(i) for m in measured.metrics},
        pooled={
            m.key: float(measured.resampled(m.key, "samples").values[i]) for m in measured.metrics
        },
        persona_other=None
        if any(x.size == 0 for x in others)
        else Resampled(others, n_resamples=measured.n_resamples).mean(0),
        cost=Cost(
            extra_prompt_tokens=fmean(fmean(scores.extra_prompt_tokens) for scores in flat),
            latency_s=fmean(scores.latency_s for scores in flat),
            n_bytes=fmean(scores.n_bytes for scores in flat),
            train_s=fmean(scores.train_s for scores in flat),
            facts={name: fmean(s.facts[name] for s in flat if name in s.facts) for name in names},
        ),
    )


def _compare(focus: str, measured: DatasetScores) -> tuple[Comparison, ...]:
    """Compare the memory with each other system.

    In each metric the comparisons with other systems are corrected together, and so are those with
    other memories (Table 5), which answer another question.
    """
    others = [system for system in measured.systems if system != focus]
    return tuple(
        comparison
        for metric in measured.metrics
        for family in (
            [system for system in others if not about(system).is_memory],
            [system for system in others if about(system).is_memory],
        )
        for comparison in _family(metric, focus, family, measured)
    )


def _family(
    metric: Metric, focus: str, family: Sequence[str], measured: DatasetScores
) -> list[Comparison]:
    i, means = measured.index(focus), measured.means(metric.key)
    columns = [measured.index(system) for system in family]
    apart = [means[:, i] - means[:, j] for j in columns]
    p_values = [sign_flip_test(d.tolist()) for d in apart]
    over_users, pooled = (measured.resampled(metric.key, over) for over in ("users", "samples"))
    return [
        Comparison(
            metric=metric.key,
            against=system,
            difference=over_users.difference(i, j),
            pooled=pooled.difference(i, j),
            better=sum(metric.is_better(float(x)) for x in d),
            p=p,
            p_holm=corrected,
            gain=over_users.gain(i, j),
        )
        for system, j, d, p, corrected in zip(
            family, columns, apart, p_values, holm(p_values), strict=True
        )
    ]


def _best(among: Sequence[str], measured: DatasetScores) -> dict[str, str]:
    """Return the best system by its mean over users, metric by metric."""
    if not among:
        return {}
    return {
        metric.key: (min if metric.lower_is_better else max)(
            among, key=lambda s: measured.resampled(metric.key, "users").values[measured.index(s)]
        )
        for metric in measured.metrics
    }


def _signatures(measured: DatasetScores, *, n_resamples: int) -> dict[str, str]:
    first = measured.first
    made = signatures(
        sum(len(scores.sample_ids) for scores in first),
        n_resamples=n_resamples,
        seed=0,
        n_persona_tokens=round(fmean(scores.n_persona for scores in first)),
    )
    over = f"mean over {len(first)} users of their means|users drawn, then samples"
    return {m.key: f"{made[m.key]}|{over}" for m in measured.metrics}


def seed_means(cells: Sequence[CellScores], value: Value) -> Floats:
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
