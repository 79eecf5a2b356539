"""What a bench computes, and its presets."""

import json
from dataclasses import replace

import pytest

from lorecall.bench.cells import Cell
from lorecall.bench.people import Source
from lorecall.bench.plan import BenchPlan
from lorecall.bench.settings import BenchSettings, bench_preset
from lorecall.errors import ConfigError


def test_cells_come_user_by_user(plan: BenchPlan) -> None:
    """All systems of a user, then the next user, then the next seed: each once."""
    plan = replace(plan, seeds=(0, 7))
    cells = plan.cells()
    assert [(c.seed, c.user, c.system) for c in cells[:4]] == [
        *((0, "ann", "vanilla"), (0, "ann", "memory")),
        *((0, "bob", "vanilla"), (0, "bob", "memory")),
    ]
    assert len(set(cells)) == len({cell.id for cell in cells}) == 8


def test_names_of_files_are_safe_and_distinct() -> None:
    """Whatever an id holds, and however alike two are."""
    ids = {
        Cell(dataset=dataset, user=user, seed=0, system="memory:n+rank").id
        for dataset, user in (("a/b", "../x"), ("a", "b-../x"), ("a-b", "../x"), ("ü" * 300, "x"))
    }
    assert len(ids) == 4
    assert all("/" not in name and len(name) < 120 for name in ids)


def test_a_plan_is_read_back(plan: BenchPlan) -> None:
    """From JSON, as other processes and tables do."""
    assert BenchPlan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


@pytest.mark.parametrize(
    "change",
    [
        {"systems": ()},
        {"systems": ("vanilla", "vanilla")},
        {"seeds": (1, 1)},
        {"seeds": (-1,)},
        {"sources": ()},
        {"sources": (Source(name="d", users=()),)},
        {"sources": (Source(name="d", users=("a", "a")),)},
    ],
)
def test_nothing_is_missing_or_twice(plan: BenchPlan, change: dict[str, object]) -> None:
    """Refused before any work."""
    with pytest.raises(ConfigError):
        replace(plan, **change)


def test_a_plan_grows(plan: BenchPlan) -> None:
    """By systems, people, seeds and datasets, in any order; what was there comes first."""
    (source,) = plan.sources
    more = replace(source, users=("cem", "bob", "ann"))
    wanted = BenchPlan(
        sources=(Source(name="d", users=("x",)), more),
        systems=("retrieval", "memory", "vanilla"),
        seeds=(7, 0),
        settings=plan.settings,
    )
    grown = plan.grown_to(wanted)
    assert grown == BenchPlan(
        sources=(replace(source, users=("ann", "bob", "cem")), wanted.sources[0]),
        systems=("vanilla", "memory", "retrieval"),
        seeds=(0, 7),
        settings=plan.settings,
    )
    assert grown.grown_to(plan) is None
    assert plan.grown_to(plan) == plan


@pytest.mark.parametrize("less", ["users", "systems", "seeds", "sources", "paths", "settings"])
def test_a_plan_that_lacks_something_is_another(plan: BenchPlan, less: str) -> None:
    """Whatever else it has more of."""
    (source,) = plan.sources
    changes: dict[str, dict[str, object]] = {
        "users": {"sources": (replace(source, users=("ann", "cem")),)},
        "systems": {"systems": ("vanilla", "retrieval", "malp")},
        "seeds": {"seeds": (1, 2)},
        "sources": {"sources": (replace(source, name="d"),)},
        "paths": {"sources": (replace(source, paths=("x",)),)},
        "settings": {"settings": replace(plan.settings, test_samples=9)},
    }
    assert plan.grown_to(replace(plan, **changes[less])) is None


def test_presets() -> None:
    """Smoke is small; laptop and paper are those of `learn`; numbers can be overridden."""
    smoke, laptop, paper = map(bench_preset, ("smoke", "laptop", "paper"))
    assert smoke.learn.search.trials == 2
    assert smoke.history_samples == 48
    assert laptop.learn.search.trials == 8
    assert laptop.history_samples is laptop.test_samples is None
    assert paper.learn.search.trials == 200
    changed = bench_preset("smoke", trials=5, max_epochs=2, test_samples=9)
    assert changed.learn.search.trials == 5
    assert changed.learn.train.max_epochs == changed.learn.search.epochs == 2
    assert changed.test_samples == 9
    with pytest.raises(ConfigError, match="smoke or laptop or paper"):
        bench_preset("tiny")
    with pytest.raises(ConfigError):
        BenchSettings(test_samples=0)
