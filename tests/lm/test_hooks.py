"""Pairs in transformers' own forward pass: where, when and in whose thread they act."""

import copy
from collections.abc import Callable
from threading import Thread

import pytest
import torch
from torch import Tensor, nn

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.plain import acting_on
from lorecall.lm.hooks import Acting, acting, hook_linears
from lorecall.lm.lora import CallPair
from lorecall.records import InjectionConfig

Fill = Callable[..., dict[str, Tensor]]
IDS = torch.tensor([[5, 9, 30, 77]])
MEMORY = InjectionConfig(layers=(0, 2), n_loras=2, rank=4)


def hooked() -> tuple[nn.Linear, Acting]:
    """Make a linear that has a hook, and a pair for it that adds the sum of the inputs."""
    linear = nn.Linear(3, 2)
    hook_linears([linear])
    pair = CallPair(torch.ones(1, 3), torch.ones(2, 1), 1.0)
    return linear, Acting(pairs={linear: pair})


def test_a_pair_acts_within_its_block_alone() -> None:
    """Also after an error in it; a block within a block has its own."""
    linear, memory = hooked()
    x = torch.ones(1, 3)
    alone = linear(x)
    with acting(memory):
        assert torch.equal(linear(x), alone + 3)
        with acting(None):
            assert torch.equal(linear(x), alone)
        assert torch.equal(linear(x), alone + 3)
    with pytest.raises(RuntimeError, match="stop"), acting(memory):
        raise RuntimeError("stop")
    assert torch.equal(linear(x), alone)


def test_a_pair_acts_on_the_tokens_it_is_told_to() -> None:
    """1 where it acts, 0 where not."""
    linear, memory = hooked()
    x = torch.ones(1, 2, 3)
    some = Acting(pairs=memory.pairs, tokens=torch.tensor([[[0.0], [1.0]]]))
    with acting(some):
        found = linear(x)
    assert torch.equal(found, linear(x) + torch.tensor([[[0.0], [3.0]]]))


def test_hooking_twice_is_hooking_once() -> None:
    """Also where the linear is a copy of one with a hook."""
    linear, memory = hooked()
    other = copy.deepcopy(linear)
    hook_linears([linear, other])
    x = torch.ones(1, 3)
    alone = linear(x)
    pair = memory.pairs[linear]
    with acting(Acting(pairs={linear: pair, other: pair})):
        assert torch.equal(linear(x), alone + 3)
        assert torch.equal(other(x), alone + 3)


def test_another_thread_has_none(base: LanguageModel, fill: Fill) -> None:
    """What acts in one thread's block does not act in another's."""
    injection = Injection(base, MEMORY)
    fill(injection)
    found: list[Tensor] = []

    def alone() -> None:
        with torch.no_grad():
            found.append(base.hidden(IDS, torch.ones_like(IDS)))

    with acting(acting_on(injection)), torch.no_grad():
        thread = Thread(target=alone)
        thread.start()
        thread.join()
        with_memory = base.model.base_model(IDS).last_hidden_state
    alone()
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], with_memory, atol=1e-2)
