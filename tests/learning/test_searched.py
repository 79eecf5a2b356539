"""The memory as a system: what `learn` makes, without its control and its test."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter

from lorecall.data.history import samples_hash
from lorecall.learning.pipeline import learn
from lorecall.learning.result import RunResult
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.records import default_lora
from lorecall.search.records import SearchOutcome
from lorecall.settings import LearnSettings, Start
from lorecall.systems.contract import Budget, PersonData, System
from lorecall.systems.searched import SearchedMemory


def only(folder: Path) -> Path:
    """Return the one folder in a folder."""
    (found,) = folder.iterdir()
    return found


@pytest.mark.parametrize(
    ("finalists", "start"), [(1, "random"), (2, "random"), (1, "known"), (2, "known")]
)
def test_it_is_the_memory_that_learn_makes(
    llama: LanguageModel,
    make_person: Callable[..., PersonData],
    quick: LearnSettings,
    tmp_path: Path,
    finalists: int,
    start: Start,
) -> None:
    """The same theta, the same bytes, whatever else `learn` does besides."""
    person = make_person()
    quick = replace(quick, search=replace(quick.search, finalists=finalists, start=start))
    settings = replace(quick, seed=3)
    learnt = learn(person.history, base=llama, out=tmp_path / "run", settings=settings)
    result = RunResult.load(tmp_path / "run")
    system = SearchedMemory(quick, folder=tmp_path / "bench")
    fitted = system.fit(person, llama, Budget(train=quick.train, seed=3))
    made = StoredMemory.load(only(tmp_path / "bench"))
    assert made.manifest == learnt.manifest
    assert made.config == result.config == fitted.theta
    assert set(made.tensors) == set(learnt.stored.tensors)
    assert all(torch.equal(made.tensors[name], x) for name, x in learnt.stored.tensors.items())
    assert fitted.n_bytes == result.sizes["bytes"]
    assert fitted.samples_sha256 == samples_hash(person.split.train)
    assert fitted.facts["n_trials"] == 2
    assert fitted.train_s > fitted.facts["search_s"] > 0
    stage = only(tmp_path / "bench") / "stages" / "search.json"
    kept = TypeAdapter(SearchOutcome).validate_json(stage.read_bytes())
    taken = next(t for t in kept.trials if t.number == result.chosen_trial)
    assert taken.config == made.config
    assert [(t.config, t.loss) for t in kept.trials] == [(t.config, t.loss) for t in result.trials]
    assert isinstance(system, System)
    default = default_lora(llama.n_layers)
    assert (default in [trial.config for trial in kept.trials]) == (start == "known")


def test_it_is_made_once(
    llama: LanguageModel,
    make_person: Callable[..., PersonData],
    quick: LearnSettings,
    tmp_path: Path,
) -> None:
    """A second time it comes from the folder; a lost one is made again."""
    person, budget = make_person(), Budget(train=quick.train)
    first = SearchedMemory(quick, folder=tmp_path).fit(person, llama, budget)
    weights = only(tmp_path) / "memory" / "memory.safetensors"
    made_at = weights.stat().st_mtime_ns
    second = SearchedMemory(quick, folder=tmp_path).fit(person, llama, budget)
    assert weights.stat().st_mtime_ns == made_at
    assert second.train_s == first.train_s
    assert second.responder.reply("hello") == first.responder.reply("hello")
    weights.unlink()
    again = SearchedMemory(quick, folder=tmp_path).fit(person, llama, budget)
    assert weights.is_file()
    assert again.facts["n_trials"] == 2


def test_another_seed_is_another_memory(
    llama: LanguageModel,
    make_person: Callable[..., PersonData],
    quick: LearnSettings,
    tmp_path: Path,
) -> None:
    """Persons, seeds and spaces have folders of their own."""
    layer = replace(quick, search=replace(quick.search, searched="layer"))
    for settings, seed, user in ((quick, 0, "ann"), (quick, 1, "ann"), (layer, 0, "a/../b")):
        system = SearchedMemory(settings, folder=tmp_path)
        system.fit(make_person(user), llama, Budget(train=quick.train, seed=seed))
    folders = list(tmp_path.iterdir())
    assert len(folders) == 3
    memories = [StoredMemory.load(folder) for folder in folders]
    assert sorted(m.manifest.training.seed for m in memories) == [0, 0, 1]
