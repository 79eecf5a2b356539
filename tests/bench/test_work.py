"""Cells done by one process and by several, with systems made on the spot."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lorecall.bench.cells import Task, failures, finished_cells, responses_of
from lorecall.bench.people import load_person, read_snapshot
from lorecall.bench.plan import BenchPlan
from lorecall.bench.work import Bench
from lorecall.core.files import locked
from lorecall.data.history import samples_hash
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.metrics.overlap import persona_f1, persona_tokens
from lorecall.metrics.registry import Metric, metrics
from lorecall.reply.responder import ModelResponder
from lorecall.systems.about import SystemInfo
from lorecall.systems.catalog import about
from lorecall.systems.contract import Budget, FittedSystem, PersonData


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """The base alone, under any name; it notes whom it was made for."""

    about: SystemInfo
    made: list[tuple[str, str]]
    samples_sha256: str | None = None
    memory: StoredMemory | None = None

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Return the base; `broken` cannot."""
        self.made.append((person.history.user, self.about.name))
        if self.about.name == "broken":
            raise MemoryError("none left")
        return FittedSystem(
            responder=ModelResponder(base, memory=self.memory, limits=budget.train),
            samples_sha256=self.samples_sha256 or samples_hash(person.split.train),
            n_bytes=7,
            facts={"notes": 3.0},
        )


@pytest.fixture
def made() -> list[tuple[str, str]]:
    """Return the list of what was made."""
    return []


@pytest.fixture
def bench(
    plan: BenchPlan, llama: LanguageModel, tmp_path: Path, made: list[tuple[str, str]]
) -> Bench:
    """Return a bench of two users and two systems at work in this process."""

    def make(name: str) -> Bare:
        return Bare(about=SystemInfo(name=name, title="the base alone"), made=made)

    return Bench(plan=plan, folder=tmp_path, base=llama, make=make, session="s")


def test_every_cell_is_done_once(bench: Bench, made: list[tuple[str, str]]) -> None:
    """User by user, and not again when the bench goes on."""
    begun: list[Task] = []
    bench.work(on_task=begun.append)
    assert begun == [Task(cell=cell) for cell in bench.plan.cells()]
    assert made == [(task.cell.user, task.cell.system) for task in begun]
    replace(bench, session="another").work()
    assert len(made) == 4
    assert bench.left() == []


def test_what_a_cell_holds(bench: Bench, plan: BenchPlan) -> None:
    """Scores of each sample, Persona F1 against the user and the next one, and what it cost."""
    cell = plan.cells()[0]
    bench.do(cell)
    (scores,) = finished_cells(bench.folder)
    ann, bob = (load_person(plan.sources[0], user) for user in ("ann", "bob"))
    answers = responses_of(bench.folder, cell)
    for content, values, n in (
        (ann.split.own_content, scores.scores["persona_f1"], scores.n_persona),
        (bob.split.own_content, scores.persona_f1_other, scores.n_persona_other),
    ):
        tokens = persona_tokens(content)
        assert n == len(tokens)
        assert values == tuple(persona_f1(answer, tokens) for answer in answers)
    shown = read_snapshot(bench.folder, cell)
    assert scores.sample_ids == tuple(sample.id for sample in shown.tested)
    assert len(scores.scores["loss"]) == len(answers) == 3
    assert scores.n_bytes == 7
    assert scores.facts == {"notes": 3}
    assert scores.theta is None
    assert scores.samples_sha256 == samples_hash(ann.split.train)
    assert min(scores.latency_s, scores.read_s, scores.fit_s) > 0


def test_all_systems_of_a_user_have_one_control(bench: Bench) -> None:
    """Though others came into the bench between two of them."""
    first, *_, second = (cell for cell in bench.plan.cells() if cell.user == "bob")
    bench.do(first)
    (source,) = bench.plan.sources
    more = replace(bench.plan, sources=(replace(source, users=("ann", "bob", "cem")),))
    replace(bench, plan=more).do(second)
    one, other = finished_cells(bench.folder)
    assert one.persona_f1_other == other.persona_f1_other
    assert one.n_persona_other == other.n_persona_other


def test_a_cell_tells_where_the_memory_is(
    bench: Bench, made: list[tuple[str, str]], make_memory: Callable[..., StoredMemory]
) -> None:
    """Theta is kept with the scores, so that a table can be made again without its searches."""
    memory = make_memory(bench.base)
    system = Bare(about=about("vanilla"), made=made, memory=memory)
    replace(bench, make=lambda _: system).do(bench.plan.cells()[0])
    (scores,) = finished_cells(bench.folder)
    assert scores.theta == memory.config


def test_a_failure_leaves_the_others_be(bench: Bench, made: list[tuple[str, str]]) -> None:
    """It is noted, not tried again in this session, and tried again in the next."""
    plan = replace(bench.plan, systems=("broken", "vanilla"))
    bench = replace(bench, plan=plan)
    bench.work()
    assert {scores.cell.system for scores in finished_cells(bench.folder)} == {"vanilla"}
    failed = failures(bench.folder, session="s")
    assert [f.reason for f in failed.values()] == ["MemoryError: none left"] * 2
    assert len(made) == 4
    replace(bench, session="next").work()
    assert len(made) == 6


def test_other_samples_are_no_training_set(bench: Bench, made: list[tuple[str, str]]) -> None:
    """A system whose artefact names other samples than the user's own fails its cell."""
    bench = replace(
        bench, make=lambda name: Bare(about=about(name), made=made, samples_sha256="f" * 64)
    )
    bench.work()
    assert finished_cells(bench.folder) == []
    (failure, *_) = failures(bench.folder, session="s").values()
    assert "own training samples" in failure.reason


def test_a_claimed_cell_is_waited_for(bench: Bench, made: list[tuple[str, str]]) -> None:
    """Others are done meanwhile; when its process has gone, it is taken over."""
    first = bench.plan.cells()[0]
    (bench.folder / "claims").mkdir()
    claim = locked(bench.folder / "claims" / f"{first.id}.lock", wait=False)
    claim.__enter__()
    waited: list[int] = []

    def on_wait() -> None:
        waited.append(len(made))
        if len(waited) == 2:
            claim.__exit__(None, None, None)

    bench.work(on_wait=on_wait)
    assert waited == [3, 3]
    assert made[-1] == (first.user, first.system)
    assert len(made) == 4


class Late(Bench):
    """Its first look is from before another process finished the cells."""

    def left(self) -> list[Task]:
        """Return a cell at first that is not left any more."""
        cells = self.plan.cells()[: 0 if self.folder.joinpath("looked").exists() else 1]
        return [Task(cell=cell) for cell in cells]


def test_cells_of_one_memory_are_not_done_at_once(
    bench: Bench, made: list[tuple[str, str]]
) -> None:
    """With and without retrieval it is the same memory; one of another space is another."""
    plan = replace(bench.plan, systems=("memory-with-retrieval", "memory:layer"))
    bench = replace(bench, plan=plan)
    both, layer, *_ = (Task(cell=cell) for cell in plan.cells())
    (bench.folder / "claims").mkdir()
    alone = replace(both.cell, system="memory")
    with locked(bench.folder / "claims" / f"{alone.id}.lock", wait=False):
        assert not bench._try(both, None)
        assert bench._try(layer, None)
    assert made == [("ann", "memory:layer")]
    assert bench._try(both, None)


def test_a_cell_that_another_finished_is_left(bench: Bench, made: list[tuple[str, str]]) -> None:
    """Even if that happened between the look and the claim."""
    late = Late(plan=bench.plan, folder=bench.folder, base=bench.base, make=bench.make, session="s")
    task = late.left()[0]
    (bench.folder / "looked").touch()
    assert late._try(task, None)
    assert made == []


def test_changed_data_stop_a_cell(
    bench: Bench, tmp_path: Path, write_users: Callable[..., Path]
) -> None:
    """A bench never mixes two versions of a history."""
    file = write_users(tmp_path / "own.jsonl")
    source = replace(bench.plan.sources[0], name=str(file))
    bench = replace(bench, plan=replace(bench.plan, sources=(source,)))
    first, second, *_ = bench.plan.cells()
    bench.do(first)
    write_users(file, n_conversations=9)
    changed = replace(bench.plan.settings, history_samples=24)
    replace(bench, plan=replace(bench.plan, settings=changed), session="t").work()
    failed = failures(bench.folder, session="t")
    assert "the data have changed" in failed[Task(cell=second)].reason


def test_a_further_metric_is_scored(
    bench: Bench, made_up_metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is in the registry goes into the cell."""
    monkeypatch.setitem(metrics(), made_up_metric.key, made_up_metric)
    cell = bench.plan.cells()[0]
    bench.do(cell)
    (scores,) = finished_cells(bench.folder)
    answers = responses_of(bench.folder, cell)
    assert scores.scores["words"] == tuple(float(len(answer.split())) for answer in answers)
