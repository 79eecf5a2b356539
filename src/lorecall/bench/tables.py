"""From finished cells to the numbers of every table, dataset by dataset.

Every row of a table is of the same users and samples (`lorecall.bench.measured`).
"""

from collections.abc import Sequence
from statistics import fmean

from lorecall.bench.measured import Measured, averaged
from lorecall.bench.numbers import Comparison, Cost, DatasetTables, Row
from lorecall.bench.plan import VANILLA, BenchPlan
from lorecall.bench.scores import CellScores
from lorecall.metrics.paired import Resampled, holm, sign_flip_test
from lorecall.metrics.scores import signatures
from lorecall.report.words import METRICS, Metric
from lorecall.systems.searched import MEMORY

PAPER_BASELINES = (VANILLA, "dictionary-faithful", "dictionary-fair", "malp")
"""The paper's own baselines, as they are called here."""

Scores = Sequence[CellScores]


def tabulate(plan: BenchPlan, finished: Scores) -> tuple[DatasetTables, ...]:
    """Make the numbers of every dataset that has a user with all systems finished.

    Args:
        plan: The bench.
        finished: Its finished cells.
    """
    wanted = set(plan.cells())
    mine = [scores for scores in finished if scores.cell in wanted]
    tables = (
        _tabulate(plan, source.name, [s for s in mine if s.cell.dataset == source.name])
        for source in plan.sources
    )
    return tuple(table for table in tables if table is not None)


def is_better(metric: Metric, difference: float) -> bool:
    """Whether a difference is for the better."""
    return (difference < 0) if metric.lower_is_better else (difference > 0)


def is_memory(system: str) -> bool:
    """Whether a system is a searched memory, alone, of a part of the space, or with notes."""
    return system.startswith(MEMORY)


def _tabulate(plan: BenchPlan, dataset: str, finished: Scores) -> DatasetTables | None:
    users, n_resamples = plan.source(dataset).users, plan.settings.learn.n_bootstrap
    measured = Measured(finished, systems=plan.systems, users=users, n_resamples=n_resamples)
    if not measured.users:
        return None
    systems, first = measured.systems, measured.first
    focus = MEMORY if MEMORY in systems else systems[-1]
    others = [system for system in systems if system != focus and not is_memory(system)]
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
        best_of_paper=_best([system for system in others if system in PAPER_BASELINES], measured),
        signature=_signatures(measured, n_resamples=n_resamples),
    )


def _row(system: str, measured: Measured) -> Row:
    i, cells = measured.index(system), measured.of(system)
    flat = [scores for seeds in cells for scores in seeds]
    others = [averaged(seeds, lambda scores: scores.persona_f1_other)[:, None] for seeds in cells]
    names = sorted({name for scores in flat for name in scores.facts})
    return Row(
        system=system,
        means={m.key: measured.resampled(m.key, "users").mean(i) for m in METRICS},
        pooled={m.key: float(measured.resampled(m.key, "samples").values[i]) for m in METRICS},
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


def _compare(focus: str, measured: Measured) -> tuple[Comparison, ...]:
    """Compare the memory with each other system.

    In each metric the comparisons with other systems are corrected together, and so are those with
    other memories (Table 5), which answer another question.
    """
    others = [system for system in measured.systems if system != focus]
    return tuple(
        comparison
        for metric in METRICS
        for family in (
            [system for system in others if not is_memory(system)],
            [system for system in others if is_memory(system)],
        )
        for comparison in _family(metric, focus, family, measured)
    )


def _family(
    metric: Metric, focus: str, family: Sequence[str], measured: Measured
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
            better=sum(is_better(metric, float(x)) for x in d),
            p=p,
            p_holm=corrected,
            gain=over_users.gain(i, j),
        )
        for system, j, d, p, corrected in zip(
            family, columns, apart, p_values, holm(p_values), strict=True
        )
    ]


def _best(among: Sequence[str], measured: Measured) -> dict[str, str]:
    """Return the best system by its mean over users, metric by metric."""
    if not among:
        return {}
    return {
        metric.key: (min if metric.lower_is_better else max)(
            among, key=lambda s: measured.resampled(metric.key, "users").values[measured.index(s)]
        )
        for metric in METRICS
    }


def _signatures(measured: Measured, *, n_resamples: int) -> dict[str, str]:
    first = measured.first
    made = signatures(
        sum(len(scores.sample_ids) for scores in first),
        n_resamples=n_resamples,
        seed=0,
        n_persona_tokens=round(fmean(scores.n_persona for scores in first)),
    )
    over = f"mean over {len(first)} users of their means|users drawn, then samples"
    return {metric: f"{text}|{over}" for metric, text in made.items()}
