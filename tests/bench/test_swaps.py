"""Replies read with swapped memories: by whom, with whose, and what is left of it when it stops."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.bench import people, swaps, work
from lorecall.bench.cells import Cell, Task, failures, finished_cells
from lorecall.bench.people import Source, load_person
from lorecall.bench.plan import BenchPlan, make_plan
from lorecall.bench.reading import plain_encoded
from lorecall.bench.run import bench_of
from lorecall.bench.settings import BenchSettings, bench_preset
from lorecall.bench.swaps import SWAPS_FILE, finished_swaps, memory_folder, swaps_of
from lorecall.bench.work import Bench
from lorecall.core.files import locked
from lorecall.errors import ConfigError, RunError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.merging import merge
from lorecall.lm.prompts import format_for
from lorecall.lm.token_kinds import token_kinds
from lorecall.memory.memory import StoredMemory
from lorecall.records import InjectionConfig, Sample
from lorecall.systems.contract import PersonData
from lorecall.train.engine import PlainEngine
from lorecall.train.loop import read_samples

USERS = ("ann", "bob", "cem")
MakeBase = Callable[..., LanguageModel]


@pytest.fixture
def plan(users_file: Path, settings: BenchSettings) -> BenchPlan:
    """Return a bench of three users whose memories are swapped, two test replies each."""
    source = Source(name=str(users_file), users=USERS)
    settings = replace(settings, swap_others=None, swap_samples=2)
    return BenchPlan(sources=(source,), systems=("vanilla", "personal"), settings=settings)


@pytest.fixture
def bench(plan: BenchPlan, llama: LanguageModel, tmp_path: Path) -> Bench:
    """Return it at work in this process."""
    return bench_of(plan, llama, folder=tmp_path, session="s")


def test_everyones_replies_are_read_with_everyones_memory(bench: Bench) -> None:
    """When all cells are done: as the plain way reads them, memory by memory."""
    begun: list[Task] = []
    bench.work(on_task=begun.append)
    assert [task.swapped for task in begun] == [False] * 6 + [True] * 3
    assert bench.left() == []
    plan, base = bench.plan, bench.base
    known = {scores.cell: scores for scores in finished_cells(bench.folder)}
    for reading in finished_swaps(bench.folder):
        cell, losses = reading.cell, reading.losses
        person = load_person(plan.sources[0], cell.user)
        chosen = [s for s in person.split.test if s.id in reading.sample_ids]
        assert len(chosen) == len(losses.own) == 2
        encoded = plain_encoded(chosen, base, plan.settings.learn.train)
        assert losses.user == cell.user
        assert {*losses.others} == {*USERS} - {cell.user}
        for user, found in ((cell.user, losses.own), *losses.others.items()):
            stored = StoredMemory.load(memory_folder(bench.folder, replace(cell, user=user)))
            by_hand = read_samples(PlainEngine(base, Injection.of(base, stored)), encoded).losses
            assert found == pytest.approx(by_hand, abs=1e-4)
        alone = known[replace(cell, system="vanilla")]
        at = [alone.sample_ids.index(i) for i in reading.sample_ids]
        expected = [alone.scores["loss"][i] for i in at]
        assert losses.shared == pytest.approx(expected, abs=1e-4)
        assert losses.base == ()
        assert reading.new_partner == (None, None)


def test_kinds_of_tokens_add_up(bench: Bench) -> None:
    """The losses of all kinds, each as often as it is there, are those of the whole reply."""
    bench.work()
    form = format_for(bench.base, bench.plan.settings.learn.train)
    for reading in finished_swaps(bench.folder):
        split = load_person(bench.plan.sources[0], reading.cell.user).split
        by_id = {sample.id: sample for sample in split.test}
        kinds = [token_kinds(form, by_id[i].response) for i in reading.sample_ids]
        assert {*reading.kinds} == {kind for each in kinds for kind in each}
        for of in (lambda losses: losses.own, lambda losses: next(iter(losses.others.values()))):
            values = {kind: iter(of(losses)) for kind, losses in reading.kinds.items()}
            whole = [
                sum(next(values[kind]) * each.count(kind) for kind in sorted({*each})) / len(each)
                for each in kinds
            ]
            assert of(reading.losses) == pytest.approx(whole, abs=1e-4)


def test_the_bare_base_is_read_under_a_shared_memory(
    bench: Bench, make_base: MakeBase, fill: Callable[..., object]
) -> None:
    """It is loaded when it is needed; the losses are other ones than the shared memory's."""
    shared = make_base("llama")
    injection = Injection(shared, InjectionConfig(layers=(0, 2), n_loras=2, rank=2))
    fill(injection, size=0.05)
    merge(injection, name="crowd", sha256="5e1f")
    loaded: list[LanguageModel] = []

    def bare() -> LanguageModel:
        loaded.append(make_base("llama"))
        return loaded[-1]

    bench = replace(bench, base=shared, bare=bare)
    bench.work()
    assert len(loaded) == 3
    for reading in finished_swaps(bench.folder):
        losses, split = reading.losses, load_person(bench.plan.sources[0], reading.cell.user).split
        chosen = [s for s in split.test if s.id in reading.sample_ids]
        encoded = plain_encoded(chosen, loaded[0], bench.plan.settings.learn.train)
        assert losses.base == pytest.approx(
            read_samples(PlainEngine(loaded[0]), encoded).losses, abs=1e-4
        )
        assert losses.shared == pytest.approx(
            read_samples(PlainEngine(shared), encoded).losses, abs=1e-4
        )
        assert losses.shared != pytest.approx(losses.base, abs=1e-3)
        assert losses.generic_gain is not None


def test_what_is_under_a_bench_says_how_the_bare_base_is_loaded(
    plan: BenchPlan, llama: LanguageModel, tmp_path: Path
) -> None:
    """Not at all where nothing is in the base."""
    assert bench_of(plan, llama, folder=tmp_path, session="s").bare is None
    merge(
        Injection(llama, InjectionConfig(layers=(0,), n_loras=1, rank=2)), name="m", sha256="5e1f"
    )
    assert bench_of(plan, llama, folder=tmp_path, session="s").bare is not None


def test_others_of_like_size_come_first(
    plan: BenchPlan, llama: LanguageModel, tmp_path: Path, write_users: Callable[..., Path]
) -> None:
    """As many as wanted; of equal ones those who are first in the bench."""
    sizes = {"ann": 8, "bob": 20, "cem": 10, "dan": 8}
    file = tmp_path / "sizes.jsonl"
    file.write_text(
        "".join(
            write_users(tmp_path / f"{user}.jsonl", [user], n_conversations=n).read_text()
            for user, n in sizes.items()
        )
    )
    source = Source(name=str(file), users=tuple(sizes))
    settings = replace(plan.settings, swap_others=1)
    plan = replace(plan, sources=(source,), settings=settings)
    bench = bench_of(plan, llama, folder=tmp_path / "bench", session="s")
    bench.folder.mkdir()
    bench.work()
    found = {r.cell.user: [*r.losses.others] for r in finished_swaps(bench.folder)}
    assert found == {"ann": ["dan"], "bob": ["cem"], "cem": ["ann"], "dan": ["ann"]}


def test_what_was_read_is_not_read_again(bench: Bench) -> None:
    """A line that was torn off is; a claimed one is left to its owner."""
    bench.work()
    path = bench.folder / SWAPS_FILE
    whole = path.read_text()
    path.write_text(whole[:-9])
    again = replace(bench, session="t")
    (task,) = again.left()
    with locked(bench.folder / "claims" / f"swap-{task.cell.id}.lock", wait=False):
        assert not again._try(task, None)
    again.work()
    assert path.read_text() == whole
    assert len(finished_swaps(bench.folder)) == 3


def test_a_lost_memory_fails_its_readings_alone(bench: Bench) -> None:
    """It is noted, apart from the cells, which are finished; the next start tries again."""
    bench.work()
    lost = next(
        cell for cell in bench.plan.cells() if (cell.user, cell.system) == ("bob", "personal")
    )
    manifest = memory_folder(bench.folder, lost) / "manifest.json"
    kept = manifest.read_text()
    manifest.unlink()
    (bench.folder / SWAPS_FILE).unlink()
    again = replace(bench, session="t")
    again.work()
    failed = failures(bench.folder, session="t")
    assert {(task.cell.user, task.swapped) for task in failed} == {(u, True) for u in USERS}
    assert all("manifest.json" in failure.reason for failure in failed.values())
    assert len(finished_cells(bench.folder)) == 6
    manifest.write_text(kept)
    replace(bench, session="u").work()
    assert len(finished_swaps(bench.folder)) == 3


def test_nobody_is_swapped_alone(plan: BenchPlan) -> None:
    """One person has no others; nor has one whose others failed, or another system or seed."""
    cells = plan.cells()
    mine = [cell for cell in cells if cell.system == "personal"]
    assert swaps_of(plan, cells) == mine
    assert swaps_of(plan, cells[:2]) == swaps_of(plan, []) == []
    assert swaps_of(replace(plan, seeds=(0, 1)), {mine[0], replace(mine[1], seed=1)}) == []
    off = replace(plan, settings=replace(plan.settings, swap_others=0))
    assert swaps_of(off, cells) == []


def test_nothing_is_kept_that_is_not_swapped(plan: BenchPlan, bench: Bench) -> None:
    """The folder holds no memory of systems that nobody asked for."""
    settings = replace(plan.settings, swap_systems=("memory",))
    replace(bench, plan=replace(plan, settings=settings)).work()
    assert not (bench.folder / "memories").exists()
    assert finished_swaps(bench.folder) == []


def test_partners_met_in_training_are_told_from_new_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the data say who spoke."""

    def named(samples: Sequence[Sample], names: Sequence[str | None]) -> tuple[Sample, ...]:
        pairs = zip(samples, names * len(samples), strict=False)
        return tuple(replace(sample, partner=name) for sample, name in pairs)

    def load(source: Source, user: str, n_samples: int | None = None) -> PersonData:
        person = people.load_person(source, user, n_samples)
        split = person.split
        split = replace(
            split, train=named(split.train, ["p1"]), test=named(split.test, ["p1", None, "p9"])
        )
        return replace(person, split=split)

    for module in (work, swaps):
        monkeypatch.setattr(module, "load_person", load)
    settings = replace(bench.plan.settings, swap_samples=None)
    replace(bench, plan=replace(bench.plan, settings=settings)).work()
    for reading in finished_swaps(bench.folder):
        assert reading.new_partner[:3] == (False, None, True)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    """Nothing is dropped in silence; no file is no reading."""
    assert finished_swaps(tmp_path) == []
    (tmp_path / SWAPS_FILE).write_text('{"cell": 3}\n')
    with pytest.raises(RunError, match="line 1"):
        finished_swaps(tmp_path)


@pytest.mark.parametrize("name", ["vanilla", "retrieval", "personal-with-retrieval", "personl"])
def test_what_is_no_memory_alone_cannot_be_swapped(users_file: Path, name: str) -> None:
    """A system without one, one whose notes another's could not replace, and none at all."""
    settings = bench_preset("smoke", swap_systems=(name,))
    with pytest.raises(ConfigError, match=f"a memory in the weights alone.*got {name!r}"):
        make_plan([str(users_file)], users="ann", settings=settings)


def test_a_cell_names_its_memory() -> None:
    """In a folder of its own, whatever its user is called."""
    cells = [
        Cell(dataset="d", user=user, seed=seed, system="personal")
        for user in ("../x", "x")
        for seed in (0, 1)
    ]
    folders = {memory_folder(Path("bench"), cell) for cell in cells}
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {Path("bench/memories")}
