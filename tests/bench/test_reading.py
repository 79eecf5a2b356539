"""Reading any system on test samples: quality and cost."""

from collections.abc import Callable

import pytest

from lorecall.bench.reading import longest_response, plain_encoded, read_fitted, read_losses
from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import Retriever
from lorecall.memory.memory import StoredMemory
from lorecall.reply.responder import ModelResponder
from lorecall.settings import LearnSettings
from lorecall.systems.contract import Budget, FittedSystem, PersonData
from lorecall.train.trial import TrialRunner


@pytest.fixture
def budget(quick: LearnSettings) -> Budget:
    """Return limits that keep it short."""
    return Budget(train=quick.train)


def fitted(responder: ModelResponder) -> FittedSystem:
    """Wrap a responder."""
    return FittedSystem(responder=responder, samples_sha256="")


def test_the_base_is_read_as_learn_reads_it(
    llama: LanguageModel, make_person: Callable[..., PersonData], budget: Budget
) -> None:
    """Losses, answers and prompts are those of a run's vanilla stage."""
    person = make_person()
    split = person.split
    reading = read_fitted(
        fitted(ModelResponder(llama, limits=budget.train)), split.test, person=person, budget=budget
    )
    trials = TrialRunner(llama, settings=budget.train, seed=0)
    n = trials.data(split, split.train).max_new_tokens
    assert n == longest_response(person, llama, budget.train)
    wanted = trials.read(trials.encode(split.test), max_new_tokens=n)
    assert reading.losses == wanted.losses
    assert reading.responses == wanted.responses
    assert set(reading.extra_prompt_tokens) == {0}
    assert reading.latency_s > 0
    assert reading.seconds > 0


def test_notes_cost_prompt_tokens(
    llama: LanguageModel, make_person: Callable[..., PersonData], budget: Budget, note: Retriever
) -> None:
    """What a system puts in the prompt is counted against the base alone."""
    person = make_person()
    responder = ModelResponder(llama, retriever=note, limits=budget.train)
    reading = read_fitted(fitted(responder), person.split.test, person=person, budget=budget)
    assert min(reading.extra_prompt_tokens) > 0
    assert [
        a - b for a, b in zip(reading.prompt_tokens, reading.extra_prompt_tokens, strict=True)
    ] == [len(e.prompt) for e in plain_encoded(person.split.test, llama, budget.train)]


def test_a_memory_is_read_and_taken_off(
    llama: LanguageModel,
    make_person: Callable[..., PersonData],
    make_memory: Callable[..., StoredMemory],
    budget: Budget,
    state_hash: Callable[[LanguageModel], str],
) -> None:
    """It costs no prompt tokens, changes the losses, and leaves the base as it was."""
    person, before = make_person(), state_hash(llama)
    responder = ModelResponder(llama, memory=make_memory(llama), limits=budget.train)
    vanilla = ModelResponder(llama, limits=budget.train)
    ours, base = (
        read_fitted(fitted(r), person.split.test, person=person, budget=budget, n_timed=1)
        for r in (responder, vanilla)
    )
    assert ours.losses != base.losses
    assert set(ours.extra_prompt_tokens) == {0}
    assert state_hash(llama) == before
    encoded = plain_encoded(person.split.test, llama, budget.train)
    assert read_losses(responder, encoded) == pytest.approx(ours.losses, rel=1e-5)
