"""The memory as a system: what `learn_memory` makes, without its control and its test."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lorecall.train.finals import take_finalist

from lorecall.data.history import samples_hash
from lorecall.errors import ConfigError, RunError
from lorecall.learning.pipeline import learn_memory
from lorecall.learning.search import SearchProblem
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.records import Take, default_lora
from lorecall.search.outcome import SearchOutcome
from lorecall.settings import LearnSettings, Start
from lorecall.systems.contract import Budget, Person, System
from lorecall.systems.searched import ABLATIONS, SearchedMemory, search_in, searched_space
from lorecall.train.trial import Trained, TrialRunner


def only(folder: Path) -> Path:
    """Return the one folder in a folder."""
    (found,) = folder.iterdir()
    return found


@pytest.mark.parametrize(
    ("finalists", "start", "take"),
    [
        (1, "random", "lowest"),
        (2, "random", "lowest"),
        (1, "known", "lowest"),
        (2, "known", "lowest"),
        (2, "known", "smallest"),
    ],
)
def test_it_is_the_memory_that_learn_makes(
    llama: LanguageModel,
    make_person: Callable[..., Person],
    quick: LearnSettings,
    tmp_path: Path,
    finalists: int,
    start: Start,
    take: Take,
) -> None:
    """The same theta, the same pairs to the bit, whatever else `learn_memory` does besides."""
    person = make_person()
    search = replace(quick.search, finalists=finalists, start=start, take=take)
    quick = replace(quick, search=search)
    settings = replace(quick, seed=3)
    in_full = SearchProblem(llama, person.history, settings).finalists
    result = learn_memory(person.history, llama, out=tmp_path / "run", settings=settings)
    system = SearchedMemory(quick, folder=tmp_path / "bench")
    fitted = system.fit(person, llama, Budget(train=quick.train, seed=3))
    learnt = StoredMemory.load(tmp_path / "run")
    made = StoredMemory.load(only(tmp_path / "bench"))
    assert made.config == learnt.config == result.config == fitted.theta
    assert set(made.tensors) == set(learnt.tensors)
    assert all(torch.equal(made.tensors[name], x) for name, x in learnt.tensors.items())
    assert fitted.n_bytes == result.sizes["bytes"]
    assert fitted.samples_sha256 == samples_hash(person.split.train)
    assert fitted.facts["n_trials"] == 2
    assert fitted.train_s > fitted.facts["search_s"] > 0
    kept = search_in(only(tmp_path / "bench"))
    taken = next(t for t in kept.trials if t.number == result.chosen_trial)
    assert taken.config == made.config
    assert taken in in_full(kept)
    ends = _trained_in_full(person, llama, settings, kept)
    losses = [loss for _, loss in result.curves["memory"]]
    assert min(losses) == ends[take_finalist(ends, take)].report.best.loss
    assert [(t.config, t.loss) for t in kept.trials] == [(t.config, t.loss) for t in result.trials]
    assert isinstance(system, System)
    default = default_lora(llama.n_layers)
    assert (default in [trial.config for trial in kept.trials]) == (start == "known")


def _trained_in_full(
    person: Person, base: LanguageModel, settings: LearnSettings, found: SearchOutcome
) -> list[Trained]:
    """Train each finalist by itself, with what the search's trials keep for it, as they do."""
    trials = TrialRunner(base, settings=settings.train, seed=settings.seed)
    searching = SearchProblem(base, person.history, settings, frozen=trials.frozen)
    data = trials.data(person.split, person.split.train)
    for each in found.trials:
        searching.full.trials.run(each.config, searching.full.data)
    finalists = searching.finalists(found)
    return [trials.train(each.config, data) for each in finalists]


def test_it_is_made_once(
    llama: LanguageModel,
    make_person: Callable[..., Person],
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


def test_a_search_that_cannot_be_read(
    llama: LanguageModel, make_person: Callable[..., Person], quick: LearnSettings, tmp_path: Path
) -> None:
    """None there, or one that was cut, is one clear line."""
    with pytest.raises(RunError, match="a finished search must be readable"):
        search_in(tmp_path)
    SearchedMemory(quick, folder=tmp_path / "m").fit(
        make_person(), llama, Budget(train=quick.train)
    )
    folder = only(tmp_path / "m")
    (folder / "stages" / "search.json").write_text('{"chosen": 0}')
    with pytest.raises(RunError, match="read as it was written"):
        search_in(folder)


def test_another_seed_is_another_memory(
    llama: LanguageModel, make_person: Callable[..., Person], quick: LearnSettings, tmp_path: Path
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


def test_a_screening_goes_before(
    llama: LanguageModel, make_person: Callable[..., Person], quick: LearnSettings, tmp_path: Path
) -> None:
    """As in `learn_memory`."""
    search = replace(quick.search, screen=2, screen_samples=8, screen_epochs=1, trials=1)
    settings = replace(quick, search=search)
    fitted = SearchedMemory(settings, folder=tmp_path).fit(
        make_person(), llama, Budget(train=quick.train)
    )
    assert fitted.facts["n_trials"] == 1


def test_spaces_have_names() -> None:
    """The rows of Table 5, and the whole."""
    assert [searched_space(name) for name in ABLATIONS] == [
        *("layer", "n", "rank", "n+rank", "n+layer", "rank+layer")
    ]
    assert searched_space("memory") == searched_space("memory:all") == "all"
    with pytest.raises(ConfigError, match="memory:layer"):
        searched_space("memory:width")
