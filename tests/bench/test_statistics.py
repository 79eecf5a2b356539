"""From finished cells to numbers: which users count, what is averaged, what is compared."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lorecall.bench.cells import Cell, CellScores
from lorecall.bench.people import Source
from lorecall.bench.plan import BenchPlan
from lorecall.bench.settings import BenchSettings
from lorecall.bench.statistics import tabulate
from lorecall.errors import RunError
from lorecall.metrics.paired import sign_flip_test

Make = Callable[..., CellScores]
SYSTEMS = ("vanilla", "malp", "default-lora", "memory", "memory:layer")
AHEAD = dict(zip(SYSTEMS, (0.0, 0.2, 0.5, 1.0, 0.7), strict=True))
USERS = tuple(f"u{i}" for i in range(8))


@pytest.fixture
def plan(settings: BenchSettings) -> BenchPlan:
    """Return a bench of eight users, five systems, two seeds."""
    source = Source(name="chitchat", users=USERS)
    return BenchPlan(sources=(source,), systems=SYSTEMS, seeds=(0, 1), settings=settings)


@pytest.fixture
def finished(plan: BenchPlan, make_scores: Make) -> list[CellScores]:
    """Return the scores of a bench in which the memory is ahead of all."""
    return [
        make_scores(cell, ahead=AHEAD[cell.system], n=2 + USERS.index(cell.user))
        for cell in plan.cells()
    ]


def test_rows_are_means_over_users(plan: BenchPlan, finished: list[CellScores]) -> None:
    """Worked out by hand from the samples; users count alike, pooled samples do not."""
    (tables,) = tabulate(plan, finished)
    row = tables.row("memory")
    assert row is not None
    values = [
        scores.scores["rougeL"]
        for scores in finished
        if scores.cell.system == "memory" and scores.cell.seed == 0
    ]
    by_user = [sum(each) / len(each) for each in values]
    every = [x for each in values for x in each]
    assert row.means["rougeL"].value == pytest.approx(sum(by_user) / 8)
    assert row.pooled["rougeL"] == pytest.approx(sum(every) / len(every))
    assert row.means["rougeL"].low < row.means["rougeL"].value < row.means["rougeL"].high
    assert tables.n_users == tables.n_asked == 8
    assert tables.n_samples == len(every)
    assert [row.system for row in tables.rows] == list(SYSTEMS)


def test_the_memory_is_compared_with_each(plan: BenchPlan, finished: list[CellScores]) -> None:
    """Paired by sample: with all differences alike the interval has no width."""
    (tables,) = tabulate(plan, finished)
    assert tables.focus == "memory"
    found = tables.comparison("rougeL", "malp")
    assert found is not None
    assert found.difference.value == pytest.approx(0.8)
    assert found.difference.low == pytest.approx(found.difference.high)
    assert found.better == 8
    loss = tables.comparison("loss", "malp")
    assert loss is not None
    assert loss.difference.value == pytest.approx(-0.08)
    assert loss.better == 8
    malp = tables.row("malp")
    assert malp is not None
    assert found.gain is not None
    assert found.gain.value == pytest.approx(0.8 / malp.means["rougeL"].value)
    assert tables.comparison("rougeL", "memory") is None


def test_tests_are_corrected_by_kind(plan: BenchPlan, finished: list[CellScores]) -> None:
    """Three other systems are one family in a metric, the ablated space another."""
    (tables,) = tabulate(plan, finished)
    p = sign_flip_test([1.0] * 8)
    others = [c for c in tables.comparisons if c.metric == "rougeL"]
    assert {c.p for c in others} == {p}
    assert {c.against: c.p_holm for c in others} == pytest.approx(
        {"vanilla": 3 * p, "malp": 3 * p, "default-lora": 3 * p, "memory:layer": p}
    )


def test_the_best_of_the_others(plan: BenchPlan, finished: list[CellScores]) -> None:
    """No memory among them; the paper's own baselines apart; lower is better for the loss."""
    (tables,) = tabulate(plan, finished)
    assert set(tables.best.values()) == {"default-lora"}
    assert set(tables.best_of_paper.values()) == {"malp"}
    assert set(tables.best) == {"loss", "rouge1", "rougeL", "persona_f1"}


def test_a_user_counts_when_every_system_is_finished(
    plan: BenchPlan, finished: list[CellScores]
) -> None:
    """Seed by seed: one whole seed is enough."""

    def gone(scores: CellScores) -> bool:
        cell = scores.cell
        return cell.system == "malp" and (cell.user == "u3" or (cell.user, cell.seed) == ("u4", 0))

    (tables,) = tabulate(plan, [scores for scores in finished if not gone(scores)])
    assert tables.n_users == 7
    assert tables.n_asked == 8
    assert tabulate(plan, [scores for scores in finished if scores.cell.system != "malp"])[
        0
    ].missing == ("malp",)
    assert tabulate(plan, []) == ()


def test_seeds_are_averaged(plan: BenchPlan, finished: list[CellScores]) -> None:
    """Sample by sample; a further seed makes no interval narrower."""

    def other(scores: CellScores) -> CellScores:
        if scores.cell.seed == 0:
            return scores
        moved = tuple(x + 2 for x in scores.scores["rougeL"])
        return replace(scores, scores={**scores.scores, "rougeL": moved})

    (both,) = tabulate(plan, [other(scores) for scores in finished])
    (one,) = tabulate(replace(plan, seeds=(0,)), finished)
    rows = [tables.row("memory") for tables in (both, one)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert rows[0].means["rougeL"].value == pytest.approx(rows[1].means["rougeL"].value + 1)
    assert rows[0].means["loss"] == rows[1].means["loss"]


def test_systems_are_read_on_the_same_samples(plan: BenchPlan, finished: list[CellScores]) -> None:
    """Scores of two benches in one file are refused."""
    odd = replace(finished[0], sample_ids=("other",) * len(finished[0].sample_ids))
    with pytest.raises(RunError, match="same samples"):
        tabulate(plan, [odd, *finished[1:]])


def test_costs_and_controls(plan: BenchPlan, finished: list[CellScores]) -> None:
    """Means over users; Persona F1 against another's content where there is another."""
    noted = [
        replace(s, facts={"hit_rate": 0.5}) if s.cell.system == "malp" else s for s in finished
    ]
    (tables,) = tabulate(plan, noted)
    memory, malp = tables.row("memory"), tables.row("malp")
    assert memory is not None
    assert malp is not None
    assert memory.cost.n_bytes == 1_000_000
    assert memory.cost.train_s == 25
    assert memory.cost.latency_s == pytest.approx(0.8)
    assert malp.cost.facts == {"hit_rate": 0.5}
    assert memory.persona_other is not None
    (alone,) = tabulate(plan, [replace(scores, persona_f1_other=()) for scores in finished])
    assert alone.rows[0].persona_other is None


def test_without_a_memory_the_last_system_is_compared(
    plan: BenchPlan, finished: list[CellScores]
) -> None:
    """So that baselines alone can be compared too."""
    plan = replace(plan, systems=("vanilla", "malp"))
    (tables,) = tabulate(plan, finished)
    assert tables.focus == "malp"
    assert tables.best_of_paper["rougeL"] == "vanilla"


def test_signatures_say_how(plan: BenchPlan, finished: list[CellScores]) -> None:
    """What is averaged and what is drawn is in them."""
    (tables,) = tabulate(plan, finished)
    assert "mean over 8 users" in tables.signature["rougeL"]
    assert "rouge-score" in tables.signature["rougeL"]
    assert f"n={tables.n_samples}" in tables.signature["loss"]


def test_other_cells_are_left_out(plan: BenchPlan, finished: list[CellScores]) -> None:
    """What the plan does not hold does not count."""
    strange = replace(finished[0], cell=Cell(dataset="x", user="y", seed=0, system="vanilla"))
    assert tabulate(plan, [*finished, strange]) == tabulate(plan, finished)
