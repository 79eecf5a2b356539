"""Default LoRA and OPPU: where their pairs are, and what they are trained with."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.memory.artefact import in_bf16
from lorecall.memory.memory import StoredMemory
from lorecall.records import Sample, default_lora
from lorecall.reply.responder import ModelResponder
from lorecall.search.space import InjectionSpace
from lorecall.settings import TrainSettings, preset
from lorecall.systems.contract import Budget, PersonData
from lorecall.systems.lora import DefaultLora, LargestLora
from lorecall.systems.oppu import Oppu
from lorecall.systems.personal import PersonalMemory
from lorecall.systems.retrieval import bm25_retriever
from lorecall.train.fit import fit_memory
from lorecall.train.trial import TrialRunner

MakePerson = Callable[..., PersonData]
TRAIN = TrainSettings(learning_rate=2e-2, max_epochs=2, batch_size=4, factors=(1.0,))
BUDGET = Budget(train=TRAIN, seed=5)
LINES = [(f"c{i}", f"what about tea {i}?", f"tea {i} is fine") for i in range(8)]
LINES += [("valid", "tea?", "fine"), ("test", "tea?", "fine")]


def memory_of(
    system: DefaultLora | LargestLora | Oppu | PersonalMemory,
    person: PersonData,
    base: LanguageModel,
) -> StoredMemory:
    """Fit a system and give what it has in the weights."""
    responder = system.fit(person, base, BUDGET).responder
    assert isinstance(responder, ModelResponder)
    assert responder.memory is not None
    return responder.memory


def test_the_default_is_all_layers_at_rank_8(base: LanguageModel, make_person: MakePerson) -> None:
    """On the feed-forward linears, scaling 1; it is what a trial of that theta trains."""
    person = make_person(LINES)
    memory = memory_of(DefaultLora(), person, base)
    assert memory.config == default_lora(base.n_layers)
    assert memory.config.ranks() == dict.fromkeys(range(base.n_layers), 8)
    assert memory.config.scaling == 1
    assert set(memory.linears) == set(base.family.default)
    trials = TrialRunner(base, settings=TRAIN, seed=5)
    trained = trials.train(memory.config, trials.data(person.split, person.split.train))
    kept = in_bf16(trained.tensors)
    assert all(torch.equal(memory.tensors[name], t) for name, t in kept.items())


def test_the_personal_one_is_of_the_settings_design(
    base: LanguageModel, make_person: MakePerson
) -> None:
    """Rank, scaling and layers as they say, on which tokens too; trained once."""
    design = {"design.rank": 2, "design.scaling": 3.0, "design.layers": (0, 2)}
    settings = preset("laptop", {**design, "search.inject": "response"})
    person = make_person(LINES)
    memory = memory_of(PersonalMemory(settings=settings), person, base)
    assert memory.config.ranks() == {0: 2, 2: 2}
    assert (memory.config.scaling, memory.config.inject) == (3.0, "response")
    assert memory.manifest.recipe.thetas == (memory.config,)
    whole = PersonalMemory(settings=preset("laptop"))
    assert len(memory_of(whole, person, base).config.layers) == base.n_layers
    assert whole.about.is_memory
    assert not whole.about.is_ablation


def test_the_largest_is_all_that_a_search_may_take(make_person: MakePerson) -> None:
    """Every layer, n and r as the space's last point has them; as many parameters as that has."""
    base = tiny_base(n_layers=3, width=128)
    memory = memory_of(LargestLora(), make_person(LINES), base)
    space = InjectionSpace(n_layers=3)
    whole = {f"layer_{i:02d}": True for i in range(3)} | {"n_loras": 32, "rank": 96}
    assert memory.config == space.config(whole)
    assert memory.config.ranks() == {0: 11 * 96, 1: 11 * 96, 2: 10 * 96}


def test_the_largest_fits_a_narrow_base(make_person: MakePerson) -> None:
    """Of Table 2's ranks, the largest that the base takes."""
    memory = memory_of(LargestLora(), make_person(LINES), tiny_base(n_layers=2, width=48))
    assert memory.config.rank == 32


@pytest.mark.parametrize("n_notes", [0, 4])
def test_oppu_is_on_queries_and_values(
    base: LanguageModel, make_person: MakePerson, n_notes: int
) -> None:
    """Of every layer, at rank 8; it says so in its manifest."""
    memory = memory_of(Oppu(n_notes=n_notes), make_person(LINES), base)
    assert set(memory.linears) == set(base.family.attention)
    assert memory.config == default_lora(base.n_layers)
    assert Injection.of(base, memory).linears == memory.linears
    assert memory.manifest.training.user == "ann"
    assert memory.manifest.recipe.notes == ("bm25, at most 4 of 8 notes" if n_notes else "")


def test_oppu_trains_with_the_notes_it_is_asked_with(
    llama: LanguageModel, make_person: MakePerson
) -> None:
    """Each prompt holds notes from before its sample, and other weights come of it."""
    person = make_person(LINES)
    with_notes, without = (memory_of(Oppu(n_notes=n), person, llama) for n in (4, 0))
    assert any(not torch.equal(with_notes.tensors[k], without.tensors[k]) for k in without.tensors)
    retriever = bm25_retriever(person)
    by_hand = fit_memory(
        default_lora(llama.n_layers),
        person.split,
        llama,
        settings=BUDGET.train,
        seed=BUDGET.seed,
        linears=("q_proj", "v_proj"),
        retriever=retriever,
    ).memory
    assert all(torch.equal(with_notes.tensors[k], t) for k, t in by_hand.tensors.items())
    responder = Oppu(n_notes=4).fit(person, llama, BUDGET).responder

    def shown(sample: Sample) -> str:
        return str(llama.tokenizer.decode(list(responder.encode(sample).prompt)))

    assert "is fine" not in shown(person.split.train[0])
    assert "tea 0 is fine" in shown(person.split.train[1])
    assert "tea 1 is fine" not in shown(person.split.train[1])
    assert shown(person.split.test[0]).count("is fine") == 4


def test_both_paths_train_the_same_adapter(llama: LanguageModel, make_person: MakePerson) -> None:
    """To rounding."""
    person = make_person(LINES)
    plain = replace(BUDGET, train=replace(TRAIN, plain=True))
    losses = []
    for budget in (BUDGET, plain):
        responder = Oppu(n_notes=4).fit(person, llama, budget).responder
        assert isinstance(responder, ModelResponder)
        assert responder.memory is not None
        losses.append(responder.memory.tensors)
    for name, tensor in losses[0].items():
        torch.testing.assert_close(tensor, losses[1][name], rtol=1e-2, atol=1e-3)
