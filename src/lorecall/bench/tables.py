"""The numbers of every table of a dataset; `lorecall.bench.statistics` works them out."""

from collections.abc import Mapping
from dataclasses import dataclass

from lorecall.metrics.registry import Metric, metrics
from lorecall.records import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a system costs a user, means over users.

    Args:
        extra_prompt_tokens: A reply's, beyond the base's own prompt.
        latency_s: Of one reply by itself.
        n_bytes: Stored.
        train_s: Training and searching.
        facts: What else the system reports.

    Examples:
        >>> from lorecall.bench import Cost
        >>> facts = {"search_s": 600.0, "rank": 8.0}
        >>> cost = Cost(
        ...     extra_prompt_tokens=0, latency_s=0.8, n_bytes=5e7, train_s=900, facts=facts
        ... )
        >>> cost.facts["search_s"] / cost.train_s < 0.7
        True
    """

    extra_prompt_tokens: float
    latency_s: float
    n_bytes: float
    train_s: float
    facts: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRow:
    """One system: each metric over users, pooled over samples, and what it costs.

    `persona_other` is its Persona F1 against another user's content; None where there is none.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import finished_cells, read_plan, tabulate
        >>> (tables,) = tabulate(read_plan(Path("bench"))[1], finished_cells(Path("bench")))
        >>> row = tables.row("vanilla")
        >>> round(row.means["loss"].value, 2), round(row.pooled["loss"], 2)
        (4.41, 4.3)
    """

    system: str
    means: Mapping[str, Interval]
    pooled: Mapping[str, float]
    persona_other: Interval | None
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The memory against one other system in one metric, paired.

    Args:
        metric: Its key.
        against: The other system.
        difference: Memory less the other, over users.
        pooled: The same over all samples.
        better: For how many users the memory is better.
        p: Of the sign-flip test over users.
        p_holm: Corrected for the comparisons of this metric with systems of its kind.
        gain: Relative to the other; None where that may be 0.

    Examples:
        >>> from lorecall.bench import Comparison
        >>> from lorecall.records import Interval
        >>> found = Comparison(
        ...     metric="loss",
        ...     against="vanilla",
        ...     difference=Interval(value=-0.31, low=-0.38, high=-0.24),
        ...     pooled=Interval(value=-0.29, low=-0.35, high=-0.23),
        ...     better=30,
        ...     p=0.0001,
        ...     p_holm=0.0006,
        ...     gain=Interval(value=-0.07, low=-0.09, high=-0.06),
        ... )
        >>> found.difference.excludes_zero and found.p_holm < 0.05  # a lower loss, by no chance
        True
    """

    metric: str
    against: str
    difference: Interval
    pooled: Interval
    better: int
    p: float
    p_holm: float
    gain: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetTables:
    """All numbers of one dataset.

    Args:
        dataset: Its name.
        focus: The system that the others are compared with: a memory of ours.
        n_users: Users for whom every system is finished.
        n_asked: Users of the bench.
        n_samples: Test samples of those users.
        n_persona: |H|, mean over users.
        n_persona_other: |H| of the other users.
        rows: A row a system, in the plan's order.
        missing: Systems without any finished cell.
        comparisons: The memory against each other system in each metric.
        best: metric -> the best of the other systems that are no memories.
        best_of_paper: metric -> the best of the paper's own baselines.
        signature: metric -> how it was made.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import finished_cells, read_plan, tabulate
        >>> (tables,) = tabulate(read_plan(Path("bench"))[1], finished_cells(Path("bench")))
        >>> tables.focus, [metric.key for metric in tables.metrics]
        ('memory', ['loss', 'rouge1', 'rougeL', 'persona_f1'])
    """

    dataset: str
    focus: str
    n_users: int
    n_asked: int
    n_samples: int
    n_persona: float
    n_persona_other: float
    rows: tuple[SystemRow, ...]
    missing: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    best: Mapping[str, str]
    best_of_paper: Mapping[str, str]
    signature: Mapping[str, str]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return the metrics that there are numbers of."""
        return tuple(metric for key, metric in metrics().items() if key in self.rows[0].means)

    def row(self, system: str) -> SystemRow | None:
        """Find a system's row."""
        return next((row for row in self.rows if row.system == system), None)

    def comparison(self, metric: str, against: str) -> Comparison | None:
        """Find a comparison."""
        found = (c for c in self.comparisons if (c.metric, c.against) == (metric, against))
        return next(found, None)
