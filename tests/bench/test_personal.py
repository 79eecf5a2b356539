"""Personal gain over people: what is averaged, what is counted, and how it is shown."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lorecall.bench.cells import Cell
from lorecall.bench.people import Source
from lorecall.bench.personal import averaged_losses, personal_rows
from lorecall.bench.personal_grids import personal_grids
from lorecall.bench.plan import BenchPlan
from lorecall.bench.render import MARKDOWN, PAGE, TABLES, bench_view, render_bench
from lorecall.bench.settings import BenchSettings
from lorecall.bench.swaps import SWAPS_FILE, SwapReading, finish_swap
from lorecall.metrics.personal import SwappedLosses

USERS = ("ann", "bob", "cem")
Make = Callable[..., Path]


@pytest.fixture
def plan(settings: BenchSettings) -> BenchPlan:
    """Return a bench of three people and two systems, of which one is swapped."""
    source = Source(name="d", users=USERS)
    systems = ("vanilla", "personal")
    return BenchPlan(
        sources=(source,), systems=systems, settings=replace(settings, swap_others=None)
    )


def reading(cell: Cell, *, own: float = 3.0, base: bool = True) -> SwapReading:
    """Make what was read of one person: others lose half a nat more, the end is nobody's."""

    def losses(value: float, apart: float, n: int) -> SwappedLosses:
        return SwappedLosses(
            user=cell.user,
            own=(value, value + 0.2)[:n],
            others={u: (value + apart, value + 0.2 + apart)[:n] for u in USERS if u != cell.user},
            shared=(value + 0.1, value + 0.3)[:n],
            base=(value + 0.8, value + 1.0)[:n] if base else (),
        )

    return SwapReading(
        cell=cell,
        sample_ids=(f"{cell.user}-0", f"{cell.user}-1"),
        new_partner=(False, True),
        losses=losses(own, 0.5, 2),
        kinds={"content": losses(own + 1, 0.7, 2), "end": losses(1.0, 0.0, 1)},
    )


def cell_of(user: str, *, dataset: str = "d", seed: int = 0, system: str = "personal") -> Cell:
    """Name a cell."""
    return Cell(dataset=dataset, user=user, seed=seed, system=system)


def test_people_count_alike(plan: BenchPlan) -> None:
    """Worked out by hand: the whole, kinds of tokens, and partners."""
    readings = [reading(cell_of(user), own=3.0 + i) for i, user in enumerate(USERS)]
    (row,) = personal_rows(plan, "d", readings)
    gain = row.whole.gain
    assert row.system == "personal"
    assert (row.whole.n_people, row.whole.n_replies) == (3, 6)
    assert gain.gain.value == pytest.approx(0.5)
    assert gain.own_less_shared.value == pytest.approx(-0.1)
    assert gain.others_less_shared.value == pytest.approx(0.4)
    assert gain.generic_gain is not None
    assert gain.generic_gain.value == pytest.approx(0.7)
    assert (gain.n_first, gain.n_memories, gain.n_better) == (3, 3, 3)
    assert list(row.parts) == ["content", "end", "met", "new"]
    assert row.parts["content"].gain.gain.value == pytest.approx(0.7)
    assert row.parts["end"].gain.gain.value == 0
    assert row.parts["end"].gain.auc.value == 0.5
    assert (row.parts["new"].n_replies, row.parts["met"].n_people) == (3, 3)
    assert row.parts["met"].gain.gain.value == pytest.approx(0.5)


def test_a_further_seed_is_no_further_person(plan: BenchPlan) -> None:
    """Its losses are averaged with the first's; others that one of them lacks do not count."""
    plan = replace(plan, seeds=(0, 1))
    two = [reading(cell_of("ann", seed=seed), own=3.0 + seed) for seed in (0, 1)]
    (row,) = personal_rows(plan, "d", two)
    assert row.whole.n_people == 1
    assert row.whole.gain.own_less_shared.value == pytest.approx(-0.1)
    without = replace(two[1].losses, others={"bob": two[1].losses.others["bob"]})
    found = averaged_losses([two[0].losses, without])
    assert found is not None
    assert found.own == pytest.approx((3.5, 3.7))
    assert {*found.others} == {"bob"}
    assert averaged_losses([]) is None
    assert averaged_losses([two[0].losses, replace(without, others={"dan": (3.0, 3.0)})]) is None


def test_what_is_of_another_bench_is_left_out(plan: BenchPlan) -> None:
    """Another dataset, person or system; without any reading there is no row, and no table."""
    strange = [
        reading(cell_of("ann", dataset="e")),
        reading(cell_of("eve")),
        reading(cell_of("ann", seed=7)),
    ]
    assert personal_rows(plan, "d", strange) == ()
    assert personal_grids(()) == ()


def test_replies_can_be_picked() -> None:
    """Of every memory, the base where it was read."""
    losses = reading(cell_of("ann")).losses
    one = losses.of_replies([1])
    assert (one.own, one.shared, one.base) == ((3.2,), (3.3,), (4.0,))
    assert one.others["bob"] == (3.7,)
    assert replace(losses, base=()).of_replies([0]).base == ()


def swapped_folder(make: Make, *, shared: object = None) -> Path:
    """Make the folder of a finished bench whose memories were swapped, all but one person's."""
    folder = make()
    identity = json.loads((folder / "run.json").read_text()) | {"shared": shared}
    identity["settings"]["swap_others"] = None
    (folder / "run.json").write_text(json.dumps(identity))
    (source,) = identity["sources"]
    for user in USERS:
        finish_swap(folder, reading(cell_of(user, dataset=source["name"], system="memory")))
    return folder


def test_personal_gain_leads_every_table(finished_folder: Make) -> None:
    """On the page, in Markdown and on a terminal; the numbers are kept too."""
    folder = swapped_folder(finished_folder)
    view = render_bench(folder)
    (dataset,) = view.datasets
    whole, parts = dataset.personal
    assert whole.rows[0][:3] == (
        *("memory", "-0.100 [-0.100, -0.100] *\nbetter for 3 of 3", "+0.500 [+0.500, +0.500] *"),
    )
    assert whole.rows[0][4:] == (
        *("3 of 3\namong 3 memories", "1.00 [1.00, 1.00]", "+0.700 [+0.700, +0.700] *"),
    )
    assert [row[0] for row in parts.rows] == [
        *("memory, content words", "memory, end of a reply"),
        *("memory, to partners met in training", "memory, to partners never met"),
    ]
    markdown, page = ((folder / name).read_text() for name in (MARKDOWN, PAGE))
    console = Console(file=io.StringIO(), width=160, color_system=None)
    for part in bench_view(view):
        console.print(part)
    terminal = console.file.getvalue()  # type: ignore[attr-defined]
    for shown in (markdown, page, terminal):
        places = [shown.index(text) for text in (whole.title, parts.title, "Table 3")]
        assert places == sorted(places)
    assert "personal gain of memory" in markdown
    kept = json.loads((folder / TABLES).read_text())["datasets"][0]["personal"]
    assert kept[0]["system"] == "memory"
    assert kept[0]["whole"]["gain"]["ranks"] == [1, 1, 1]
    assert kept[0]["parts"]["content"]["n_replies"] == 6


def test_the_tables_say_what_is_under_them(finished_folder: Make) -> None:
    """Which shared memory all systems stand on, or none; lines of before say neither."""
    shared = {"name": "crowd [x]", "sha256": "5e1f" * 16}
    folder = swapped_folder(finished_folder, shared=shared)
    view = render_bench(folder)
    assert view.facts["Shared memory"] == "crowd [x] (5e1f5e1f5e1f), under every system"
    assert view.systems["vanilla"].startswith("the base with the shared memory crowd [x] alone")
    identity = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(identity | {"shared": None}))
    view = render_bench(folder)
    assert view.facts["Shared memory"].startswith("none")
    assert view.systems["vanilla"] == "the base alone: nothing of the person"
    del identity["shared"]
    (folder / "run.json").write_text(json.dumps(identity))
    assert "Shared memory" not in render_bench(folder).facts


def test_a_bench_that_is_still_swapped_says_so(finished_folder: Make) -> None:
    """The numbers are of those who were read; without any there is no such table."""
    folder = swapped_folder(finished_folder)
    path = folder / SWAPS_FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    view = render_bench(folder)
    assert any("2 of 3 memories are swapped" in warning for warning in view.warnings)
    assert view.datasets[0].personal[0].rows[0][4].startswith("2 of 2")
    path.unlink()
    view = render_bench(folder)
    assert view.datasets[0].personal == ()
    assert not any("swapped" in warning for warning in view.warnings)


def test_without_a_shared_memory_there_is_no_generic_gain(plan: BenchPlan) -> None:
    """What was not read is no number."""
    rows = personal_rows(plan, "d", [reading(cell_of(user), base=False) for user in USERS])
    assert personal_grids(rows)[0].rows[0][-1] == "-"
