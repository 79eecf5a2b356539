"""What `learn` reads of a person's test: without them, with their memory, with other people's."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch

from lorecall.core.progress import SilentReporter
from lorecall.data.history import split_history
from lorecall.decoding import READABLE
from lorecall.errors import ConfigError, DataError, ModelError, RunError
from lorecall.learning.others import candidates_of
from lorecall.learning.pipeline import learn
from lorecall.learning.result import RunResult
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.memory.shared import SharedMemory, load_base
from lorecall.metrics import SwappedLosses
from lorecall.records import History
from lorecall.reply.messages import messages_of
from lorecall.reply.responder import ModelResponder
from lorecall.settings import DesignSettings, LearnSettings
from lorecall.train.fit import fit_memory
from lorecall.train.reading import Reader
from made_up import a_history


class Told(SilentReporter):
    """Counts the stages that are finished, and keeps what is said to be going on."""

    def __init__(self) -> None:
        self.planned = self.finished = self.skipped = 0
        self.stages: list[str] = []
        self.said: list[str] = []

    def plan(self, n: int) -> None:
        """Note how many there will be."""
        self.planned = n

    def doing(self, line: str) -> None:
        """Note what is done."""
        self.stages.append(line)

    def say(self, line: str) -> None:
        """Keep it."""
        self.said.append(line)

    def finish(self, n: int = 1) -> None:
        """Count."""
        self.finished += n

    def skip(self, n: int = 1) -> None:
        """Count what was finished before."""
        self.skipped += n


@pytest.fixture(scope="module")
def settings(quick: LearnSettings) -> LearnSettings:
    """Return settings without a search, of a design that learns something in one epoch."""
    return replace(
        quick,
        search=replace(quick.search, searched="none"),
        design=DesignSettings(rank=2, scaling=8.0),
        train=replace(quick.train, max_epochs=2, learning_rate=5e-3),
    )


@pytest.fixture(scope="module")
def people() -> tuple[History, ...]:
    """Return one person, and two others."""
    return tuple(a_history(user, n_conversations=14) for user in ("ann", "bob", "cleo"))


@pytest.fixture(scope="module")
def base_folder(
    make_base: Callable[..., LanguageModel], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Save a tiny base, so that it can be loaded again by its name."""
    folder, base = tmp_path_factory.mktemp("bases") / "base", make_base()
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def shared_base(
    base_folder: Path, make_shared: Callable[..., SharedMemory], _cache: Path
) -> LanguageModel:
    """Load it with a shared memory in its weights, of which Ann and Bob are donors."""
    folder = base_folder.parent / "shared"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORECALL_CACHE", str(_cache))
        bare = LanguageModel.load(str(base_folder), device="cpu", dtype="float32")
        make_shared(bare).save(folder)
        return load_base(str(base_folder), shared=str(folder), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def swapped_run(
    shared_base: LanguageModel,
    people: tuple[History, ...],
    settings: LearnSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Learn Ann, with two others' memories beside hers; nobody changes the folder."""
    out = tmp_path_factory.mktemp("runs") / "run"
    learn(people[0], others=people[1:], base=shared_base, settings=settings, out=out)
    return out


@pytest.fixture(scope="module")
def alone_run(
    make_base: Callable[..., LanguageModel],
    people: tuple[History, ...],
    settings: LearnSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Learn Ann on the base alone, nobody beside her; nobody changes the folder."""
    out = tmp_path_factory.mktemp("alone") / "run"
    learn(people[0], base=make_base(), settings=settings, out=out)
    return out


def losses_of(
    base: LanguageModel, history: History, settings: LearnSettings, memory: StoredMemory | None
) -> tuple[float, ...]:
    """Read someone's test part anew."""
    reader = Reader(base, settings.train)
    part = reader.encode(split_history(history).test)
    return reader.losses(part, injection=memory and Injection.of(base, memory))


def learnt(
    people: Sequence[History], base: LanguageModel, settings: LearnSettings, out: Path
) -> RunResult:
    """Learn the first person, compare with the others, and read the result."""
    learn(people[0], others=people[1:], base=base, settings=settings, out=out)
    return RunResult.load(out)


class TestWithoutASearch:
    """The default."""

    def test_the_memory_is_the_design_trained_once(
        self,
        llama: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        alone_run: Path,
    ) -> None:
        """The same bytes as `fit_memory` makes of it; nothing of a search is left."""
        result = RunResult.load(alone_run)
        theta = settings.design.config(llama.n_layers)
        made = fit_memory(theta, split_history(people[0]), llama, settings=settings.train).memory
        kept = StoredMemory.load(alone_run)
        assert result.config == kept.config == theta
        assert made.manifest == kept.manifest.model_copy(update={"weights_sha256": ""})
        assert all(torch.equal(made.tensors[name], x) for name, x in kept.tensors.items())
        assert (result.chosen_trial, result.hypervolume, result.storage) == (None, None, None)
        assert (result.trials, result.front, result.importance) == ((), (), {})
        assert not (alone_run / "study.db").exists()
        assert set(result.seconds) == {"own", "evaluate", "total"}

    def test_where_nothing_is_shared_the_base_takes_its_place(
        self,
        llama: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        alone_run: Path,
    ) -> None:
        """And where nobody else is read, nothing is said of them."""
        result = RunResult.load(alone_run)
        assert result.shared is None
        assert list(result.scores) == ["base", "own"]
        assert list(result.difference_to_shared) == ["own"]
        losses = [
            losses_of(llama, people[0], settings, m) for m in (None, StoredMemory.load(alone_run))
        ]
        without, own = map(fmean, losses)
        assert result.scores["base"]["loss"].value == pytest.approx(without)
        found = result.personal
        assert found.own_less_shared.value == pytest.approx(own - without)
        assert {found.gain, found.rank, found.of, found.auc, found.which_of_eight} == {None}
        assert set(result.replies[0].responses) == {"base", "own"}

    def test_a_design_for_some_layers(
        self,
        llama: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        tmp_path: Path,
    ) -> None:
        """As the settings name them; one that the base does not have is refused."""
        some = replace(settings, design=DesignSettings(rank=3, layers=(1, 2)))
        assert learnt(people[:1], llama, some, tmp_path / "run").config.layers == (1, 2)
        none = replace(settings, design=DesignSettings(layers=(1, 7)))
        with pytest.raises(ConfigError, match=r"design.layers must be in range.*0 to 2, got 7"):
            learnt(people[:1], llama, none, tmp_path / "other")
        assert not (tmp_path / "other").exists()


class TestSwapped:
    """Everyone's memory on the same text."""

    def test_each_reading_is_what_reading_it_anew_gives(
        self,
        base_folder: Path,
        shared_base: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        swapped_run: Path,
    ) -> None:
        """The bare base, the shared memory, one's own, and the others' in the mean."""
        result = RunResult.load(swapped_run)
        bare = LanguageModel.load(str(base_folder), device="cpu", dtype="float32")
        theta, split = settings.design.config(3), split_history(people[0])
        others = {
            other.user: losses_of(
                shared_base,
                people[0],
                settings,
                fit_memory(
                    theta, split_history(other), shared_base, settings=settings.train
                ).memory,
            )
            for other in people[1:]
        }
        base, shared, own = (
            losses_of(on, people[0], settings, memory)
            for on, memory in (
                (bare, None),
                (shared_base, None),
                (shared_base, StoredMemory.load(swapped_run)),
            )
        )
        found = {name: scores["loss"].value for name, scores in result.scores.items()}
        expected = {"base": base, "shared": shared, "own": own}
        assert found == pytest.approx(
            {name: fmean(losses) for name, losses in expected.items()}
            | {"other": fmean(map(fmean, others.values()))}
        )
        swapped = SwappedLosses(user="ann", own=own, others=others, shared=shared, base=base)
        personal = result.personal
        assert personal.gain is not None
        assert personal.gain.value == pytest.approx(swapped.gain)
        assert personal.own_less_shared.value == pytest.approx(swapped.own_less_shared)
        assert (personal.rank, personal.of, personal.auc) == (swapped.rank, 3, swapped.auc)
        generic = result.difference_to_shared["base"]["loss"].value
        assert generic == pytest.approx(swapped.generic_gain)
        assert result.shared == str((base_folder.parent / "shared").resolve())
        assert len(split.test) == result.split["test"]

    def test_the_picked_reply_gains_most(
        self,
        shared_base: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        swapped_run: Path,
    ) -> None:
        """Each candidate read by itself, with the memory and without."""
        result = RunResult.load(swapped_run)
        reader, memory = Reader(shared_base, settings.train), StoredMemory.load(swapped_run)
        split, *others = map(split_history, people)
        injection, right = Injection.of(shared_base, memory), 0
        rows = candidates_of(split, others, seed=settings.seed)
        for row in rows:
            parts = [reader.encode([each]) for each in row]
            gains = [
                reader.losses(part)[0] - reader.losses(part, injection=injection)[0]
                for part in parts
            ]
            right += gains[0] > max(gains[1:])  # cut to 16 tokens, some are one and the same
        picked = result.personal.which_of_eight
        assert picked is not None
        assert (picked.right, picked.of, picked.chance) == (right, len(rows), 1 / 8)

    def test_replies_that_are_shown_are_drawn(
        self,
        shared_base: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        swapped_run: Path,
    ) -> None:
        """As the public class draws them; metrics are of greedy ones."""
        result = RunResult.load(swapped_run)
        names = ["base", "shared", "own", "other"]
        assert [list(reply.responses) for reply in result.replies] == [names] * 5
        assert result.drawn == {"temperature": 0.7, "min_p": 0.1, "seed": 0}
        memory = StoredMemory.load(swapped_run)
        own = ModelResponder(shared_base, memory)
        own.max_new_tokens = longest(shared_base, people[0], settings)
        split = split_history(people[0])
        said = {reply.query: reply.responses["own"] for reply in result.replies}
        first = split.test[0]
        asked = messages_of(first.query, first.earlier)
        drawn = own.reply(asked, decoding=memory.decoding.drawn_as(READABLE))
        assert said[first.query] == drawn
        stage = json.loads((swapped_run / "stages" / "own.json").read_text())
        assert stage["responses"][0] == own.reply(asked)

    def test_a_searched_memory_is_swapped_too(
        self,
        shared_base: LanguageModel,
        people: tuple[History, ...],
        quick: LearnSettings,
        tmp_path: Path,
    ) -> None:
        """Others have a memory of the same theta; the control is read beside."""
        result = learnt(people, shared_base, quick, tmp_path / "run")
        assert list(result.scores) == ["base", "shared", "own", "other", "default-lora"]
        assert len(result.trials) == 2
        assert result.chosen_trial in {trial.number for trial in result.trials}
        assert result.personal.of == 3
        assert set(result.seconds) == {
            *("own", "others", "search", "default-lora", "evaluate", "total")
        }
        assert result.seconds["total"] == pytest.approx(
            sum(s for name, s in result.seconds.items() if name != "total")
        )


def longest(base: LanguageModel, history: History, settings: LearnSettings) -> int:
    """Return the longest response outside the test, in tokens."""
    split, reader = split_history(history), Reader(base, settings.train)
    return max(reader.encode(part).longest_response for part in (split.train, split.valid))


class TestGoingOn:
    """A run that was killed."""

    def test_what_is_finished_is_not_done_again(
        self,
        shared_base: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        swapped_run: Path,
        tmp_path: Path,
    ) -> None:
        """Killed while the last other person's memory was trained: that one is."""
        out, told = tmp_path / "run", Told()
        shutil.copytree(swapped_run, out)
        first = RunResult.load(out)
        (out / "result.json").unlink()
        (out / "stages" / "other-2.json").unlink()
        learn(
            people[0],
            others=people[1:],
            base=shared_base,
            settings=settings,
            out=out,
            reporter=told,
        )
        assert told.stages == ["training another person's memory, to compare"]
        assert (told.finished, told.skipped) == (1, told.planned - 1)
        again = RunResult.load(out)
        for name in ("scores", "personal", "replies", "config", "difference_to_shared"):
            assert getattr(again, name) == getattr(first, name)

    def test_a_donor_is_told(
        self,
        shared_base: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        tmp_path: Path,
    ) -> None:
        """Their test may have been learnt from; of anyone else nothing is said."""
        for who, is_donor in ((people[0], True), (people[2], False)):
            told = Told()
            learn(who, base=shared_base, settings=settings, out=tmp_path / who.user, reporter=told)
            assert any("learnt from" in line and "too" in line for line in told.said) == is_donor

    @pytest.mark.parametrize("n_others", [0, 1])
    def test_as_many_stages_are_finished_as_were_planned(
        self,
        shared_base: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        tmp_path: Path,
        n_others: int,
    ) -> None:
        """So that the time left is told rightly."""
        told = Told()
        others = people[1 : 1 + n_others]
        learn(
            people[0],
            others=others,
            base=shared_base,
            settings=settings,
            out=tmp_path / "run",
            reporter=told,
        )
        assert told.finished + told.skipped == told.planned == 4 + n_others + bool(n_others)

    def test_others_memories_are_not_kept(self, swapped_run: Path) -> None:
        """One memory is in the folder, and no word of theirs."""
        files = [file for file in swapped_run.rglob("*") if file.is_file()]
        assert len([file for file in files if file.suffix == ".safetensors"]) == 1
        for file in files:
            assert b"says bob" not in file.read_bytes(), file

    def test_other_others_are_another_run(
        self,
        shared_base: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        swapped_run: Path,
    ) -> None:
        """The folder is refused, whoever is missing or comes first."""
        ann, bob, cleo = people
        for other in ((ann, bob), (ann, cleo, bob)):
            with pytest.raises(RunError, match="a folder holds one run"):
                learnt(other, shared_base, settings, swapped_run)


class TestRefused:
    """Before any work is done."""

    def test_others_are_others(
        self, llama: LanguageModel, people: tuple[History, ...], tmp_path: Path
    ) -> None:
        """Neither the person, nor someone twice."""
        ann, bob, _ = people
        for others in ([ann], [bob, bob]):
            with pytest.raises(ConfigError, match="memories are swapped between people"):
                learn(ann, others=others, base=llama, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_others_must_be_long_enough(
        self, llama: LanguageModel, people: tuple[History, ...], tmp_path: Path
    ) -> None:
        """As the person must."""
        with pytest.raises(DataError, match=r"long enough.*'bob'"):
            learn(
                people[0],
                others=[a_history("bob", n_conversations=2)],
                base=llama,
                out=tmp_path / "run",
            )
        assert not (tmp_path / "run").exists()

    def test_a_start_needs_a_search(
        self,
        llama: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        tmp_path: Path,
    ) -> None:
        """It would change nothing otherwise."""
        with pytest.raises(ConfigError, match="runs to start from are for a search"):
            learn(
                people[0],
                base=llama,
                settings=settings,
                out=tmp_path / "run",
                warm_start=[tmp_path / "another"],
            )
        assert not (tmp_path / "run").exists()

    def test_a_base_that_cannot_be_loaded_again_is_refused(
        self,
        llama: LanguageModel,
        people: tuple[History, ...],
        settings: LearnSettings,
        make_shared: Callable[..., SharedMemory],
        tmp_path: Path,
    ) -> None:
        """What it was without the shared memory is nowhere."""
        shared = make_shared(llama)
        shared.save(tmp_path / "shared")
        shared.merge_into(llama, name=str(tmp_path / "shared"))
        with pytest.raises(ModelError):
            learn(people[0], base=llama, settings=settings, out=tmp_path / "run")
