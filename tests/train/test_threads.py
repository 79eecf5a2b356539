"""Threads that use different memories on one base at once: each gets what it gets alone."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.sampling import GreedyChooser
from lorecall.memory.memory import StoredMemory
from lorecall.records import InjectionConfig, Sample
from lorecall.reply.responder import ModelResponder
from lorecall.train.engine import engine_for

Fill = Callable[..., dict[str, Tensor]]
MakeSamples = Callable[..., tuple[Sample, ...]]
CONFIGS = (
    None,
    InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=4),
    InjectionConfig(layers=(1,), n_loras=2, rank=8, scaling=0.7),
    InjectionConfig(layers=(0, 2), n_loras=2, rank=4, inject="response"),
)
N_TIMES = 4


def all_at_once(works: Sequence[Callable[[], object]]) -> list[object]:
    """Do each work several times in a thread of its own, all starting together."""
    start = Barrier(len(works))

    def repeat(work: Callable[[], object]) -> list[object]:
        start.wait()
        return [work() for _ in range(N_TIMES)]

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(repeat, works))


def work_of(
    base: LanguageModel, injection: Injection | None, samples: Sequence[Encoded], *, plain: bool
) -> Callable[[], object]:
    """Return what reads, answers and trains with one memory, and gives all of its numbers."""
    engine = engine_for(base, injection, plain=plain)

    def work() -> object:
        reading = engine.read(samples, keep=True)
        answers = engine.answer(samples, reading, max_new_tokens=6, chooser=GreedyChooser(()))
        gradients: list[list[float]] = []
        if injection is not None:
            engine.losses(samples).sum().backward()
            for half in injection.parameters():
                assert half.grad is not None
                gradients.append(half.grad.flatten().tolist())
                half.grad = None
        return reading.losses, answers, gradients

    return work


@pytest.mark.parametrize("n_threads", [2, 4])
@pytest.mark.parametrize("plain", [False, True], ids=["fast", "plain"])
def test_engines_in_threads_are_each_alone(
    base: LanguageModel, fill: Fill, make_samples: MakeSamples, n_threads: int, *, plain: bool
) -> None:
    """Losses, answers and gradients, bit for bit; the base alone is one of them."""
    layout = PromptFormat(base.tokenizer)
    samples = [layout.encode(sample) for sample in make_samples(5)]
    works: list[Callable[[], object]] = []
    for seed, config in enumerate(CONFIGS[:n_threads]):
        injection = None if config is None else Injection(base, config)
        if injection is not None:
            fill(injection, seed=seed, size=0.2)
        works.append(work_of(base, injection, samples, plain=plain))
    found = all_at_once(works)  # the first of them makes the copies of the weights
    assert found == [[work()] * N_TIMES for work in works]
    assert len({str(each) for each in found}) == n_threads


@pytest.mark.parametrize("n_threads", [2, 4])
@pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])
def test_responders_in_threads_are_each_alone(
    llama: LanguageModel,
    make_memory: Callable[..., StoredMemory],
    n_threads: int,
    *,
    fast: bool,
) -> None:
    """The first replies at once fill the copies of the weights that all of them share."""
    llama.has_fast_path = fast
    queries = ["hello there", "what did the cat say", "yes"]
    memories = [config and make_memory(llama, config, seed=i) for i, config in enumerate(CONFIGS)]
    responders = [ModelResponder(llama, memory=memory) for memory in memories[:n_threads]]
    works = [lambda each=each: each.reply_all(queries) for each in responders]
    found = all_at_once(works)
    assert found == [[work()] * N_TIMES for work in works]
    assert len({str(replies) for replies in found}) == n_threads
