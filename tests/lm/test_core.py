"""Cores between the directions of a shared memory: what they compute, and what they refuse."""

from collections.abc import Callable

import pytest
import torch

from lorecall.errors import ArtefactError, ConfigError
from lorecall.lm.attach import Injection, n_parameters_of
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.families.tiny import tiny_base
from lorecall.memory.shared import SharedMemory
from lorecall.records import InjectionConfig
from lorecall.train.engine import FastEngine, PlainEngine

MakeShared = Callable[..., SharedMemory]
SAMPLES = (
    Encoded(prompt=(3, 72, 105, 4), response=(79, 107, 2)),
    Encoded(prompt=(3, 72, 4), response=(79, 107, 90, 2)),
)
CORE = InjectionConfig(layers=(0, 2), n_loras=2, rank=3, scaling=2.0, form="core")
FAMILIES = pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])


def with_shared(family: str, make_shared: MakeShared) -> LanguageModel:
    """Return a tiny base with a shared memory in singular form in it."""
    base = tiny_base(family)
    make_shared(base).cut(4).merge_into(base, name="shared")
    return base


def filled_core(base: LanguageModel) -> Injection:
    """Return cores that do something."""
    core, generator = Injection(base, CORE), torch.Generator().manual_seed(0)
    tensors = core.tensors()
    core.load({name: torch.randn(t.shape, generator=generator) for name, t in tensors.items()})
    return core


def as_pairs(core: Injection) -> Injection:
    """Return the pairs that say the same: A = V, B = U C."""
    base, config = core.base, core.config
    pairs = Injection(
        base,
        InjectionConfig(
            layers=config.layers, n_loras=config.n_loras, rank=config.rank, scaling=config.scaling
        ),
    )
    tensors = {}
    for name, tensor in core.tensors().items():
        key = name.removesuffix(".core")
        inputs, outputs = base.directions[key]
        tensors[f"{key}.down"] = inputs[: config.rank]
        tensors[f"{key}.up"] = outputs[:, : config.rank] @ tensor
    pairs.load(tensors)
    return pairs


@FAMILIES
def test_a_core_is_the_pair_it_stands_for(family: str, make_shared: MakeShared) -> None:
    """The same losses on both paths, in training and in reading."""
    base = with_shared(family, make_shared)
    core = filled_core(base)
    pairs = as_pairs(core)
    for engine in (FastEngine, PlainEngine):
        torch.testing.assert_close(
            engine(base, core).losses(SAMPLES), engine(base, pairs).losses(SAMPLES)
        )
        assert engine(base, core).read(SAMPLES).losses == pytest.approx(
            engine(base, pairs).read(SAMPLES).losses, abs=1e-5
        )


@FAMILIES
def test_its_gradient_is_that_of_the_plain_path(family: str, make_shared: MakeShared) -> None:
    """The directions get none."""
    base = with_shared(family, make_shared)
    gradients = []
    for engine in (FastEngine, PlainEngine):
        core = filled_core(base)
        engine(base, core).losses(SAMPLES).mean().backward()
        gradients.append([p.grad for p in core.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-5)
    assert all(not part.requires_grad for found in base.directions.values() for part in found)


def test_it_starts_as_the_base(make_shared: MakeShared) -> None:
    """C is zero."""
    base = with_shared("llama", make_shared)
    found = PlainEngine(base, Injection(base, CORE)).losses(SAMPLES)
    torch.testing.assert_close(found, PlainEngine(base).losses(SAMPLES))


def test_it_is_small(make_shared: MakeShared) -> None:
    """R x r numbers a linear, counted alike before it is made and after."""
    base = with_shared("llama", make_shared)
    core = Injection(base, CORE)
    assert core.n_parameters == n_parameters_of(base, CORE) == 2 * 2 * 9
    assert {tuple(tensor.shape) for tensor in core.tensors().values()} == {(3, 3)}


def test_directions_are_of_length_one_and_at_right_angles(make_shared: MakeShared) -> None:
    """The shared memory is in singular form."""
    base = with_shared("llama", make_shared)
    for inputs, outputs in base.directions.values():
        one = torch.eye(len(inputs))
        torch.testing.assert_close(inputs @ inputs.T, one, atol=0.02, rtol=0)  # bf16
        torch.testing.assert_close(outputs.T @ outputs, one, atol=0.02, rtol=0)


def test_without_a_shared_memory_there_is_nothing_to_mix() -> None:
    """Said with what to do."""
    with pytest.raises(ConfigError, match="shared memory"):
        Injection(tiny_base(), CORE)


def test_it_mixes_no_more_than_there_are(make_shared: MakeShared) -> None:
    """The shared memory's rank is 4."""
    base = with_shared("llama", make_shared)
    with pytest.raises(ConfigError, match="at most 4, got 5"):
        Injection(base, InjectionConfig(layers=(0,), n_loras=1, rank=5, form="core"))


def test_a_pairs_tensors_are_no_core(make_shared: MakeShared) -> None:
    """Names and shapes are checked."""
    base = with_shared("llama", make_shared)
    pairs = as_pairs(filled_core(base)).tensors()
    with pytest.raises(ArtefactError, match="must fit theta"):
        Injection(base, CORE, tensors=pairs)
