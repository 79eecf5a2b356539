"""A memory's pairs beside a base that stays as it is, on every family."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lorecall.lm.attach import Injection, n_parameters_of
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.plain import acting_on
from lorecall.lm.families.family import linear_shape
from lorecall.lm.families.tiny import tiny_base
from lorecall.records import InjectionConfig

Fill = Callable[..., dict[str, Tensor]]
StateHash = Callable[[LanguageModel], str]
CONFIG = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7)
IDS = torch.tensor([[5, 9, 30, 77, 8], [6, 6, 101, 12, 40]])
FAMILIES = ["llama", "gpt2", "roberta"]
every_family_and_format = pytest.mark.parametrize(
    ("family", "dtype"),
    [(family, dtype) for family in FAMILIES for dtype in (torch.float32, torch.bfloat16)],
)


def logits_of(base: LanguageModel, injection: Injection | None = None) -> Tensor:
    """Run the base on a few tokens. *Shape:* (2, 5, vocabulary)."""
    with torch.no_grad():
        return base.logits(base.hidden(IDS, torch.ones_like(IDS), memory=acting_on(injection)))


class TestTheBaseStaysAsItIs:
    """Nothing of a memory is on it: names, modules, bits and answers."""

    @every_family_and_format
    def test_a_memory_leaves_nothing_behind(
        self, family: str, dtype: torch.dtype, fill: Fill, state_hash: StateHash
    ) -> None:
        """Before, while and after it is used."""
        base = tiny_base(family, dtype=dtype)
        before, answer = state_hash(base), logits_of(base)
        modules = dict(base.model.named_modules())
        injection = Injection(base, CONFIG)
        fill(injection)
        assert not torch.equal(logits_of(base, injection), answer)
        assert state_hash(base) == before
        assert torch.equal(logits_of(base), answer)
        assert dict(base.model.named_modules()) == modules

    def test_memories_beside_each_other(self, base: LanguageModel, fill: Fill) -> None:
        """Each answers as if the others were not there."""
        first, second = Injection(base, CONFIG), Injection(base, CONFIG)
        fill(first, seed=0)
        alone = logits_of(base, first)
        fill(second, seed=1)
        assert torch.equal(logits_of(base, first), alone)
        assert not torch.allclose(logits_of(base, second), alone, atol=1e-2)

    def test_a_new_injection_answers_as_the_base(self, base: LanguageModel) -> None:
        """B is zero: the logits are equal to the bit."""
        assert torch.equal(logits_of(base, Injection(base, CONFIG)), logits_of(base))


class TestWhatIsTrained:
    """The pairs, all of them, and nothing else."""

    def test_only_the_pairs_get_gradients(self, base: LanguageModel, fill: Fill) -> None:
        """No parameter of the base has one, or asks for one."""
        injection = Injection(base, CONFIG)
        fill(injection)
        hidden = base.hidden(IDS, torch.ones_like(IDS), memory=acting_on(injection))
        base.logits(hidden).square().mean().backward()
        for parameter in base.model.parameters():
            assert not parameter.requires_grad
            assert parameter.grad is None
        for pair in injection.pairs:
            for half in (pair.down, pair.up):
                assert half.grad is not None
                assert half.grad.abs().max() > 0

    def test_the_pairs_are_where_theta_says(self, base: LanguageModel) -> None:
        """Two linears in each layer with a module; attention is left alone."""
        paths = [base.family.linears[name] for name in base.family.default]
        expected = [
            base.model.get_submodule(path.format(layer=layer)) for layer in (0, 2) for path in paths
        ]
        assert [pair.linear for pair in Injection(base, CONFIG).pairs] == expected

    def test_sizes_follow_from_theta(self, base: LanguageModel) -> None:
        """R (d + k) numbers for each linear; the lowest layer is known."""
        paths = [base.family.linears[name].format(layer=0) for name in base.family.default]
        shapes = [linear_shape(base.model.get_submodule(path)) for path in paths]
        injection = Injection(base, CONFIG)
        sides = sum(sum(shape) for shape in shapes)
        assert injection.n_parameters == (8 + 4) * sides == n_parameters_of(base, CONFIG)
        assert sum(p.numel() for p in injection.parameters()) == injection.n_parameters
        assert injection.first_layer == 0
        assert len(injection.tensors()) == 8

    def test_stacked_ranks_are_modules_times_rank(self, llama: LanguageModel) -> None:
        """Three modules on two layers: two on the first, one on the second."""
        tensors = Injection(llama, CONFIG).tensors()
        assert tensors["layers.0.up_proj.down"].shape == (8, 32)
        assert tensors["layers.2.up_proj.up"].shape == (64, 4)
        assert tensors["layers.2.down_proj.down"].shape == (4, 64)

    def test_other_linears_can_be_asked_for(self, llama: LanguageModel) -> None:
        """`gate_proj` alone."""
        injection = Injection(llama, CONFIG, linears=("gate_proj",))
        assert {name.split(".")[2] for name in injection.tensors()} == {"gate_proj"}

    def test_a_model_without_the_pairs_has_nothing_to_train(self, base: LanguageModel) -> None:
        """The base is frozen."""
        assert not any(parameter.requires_grad for parameter in base.model.parameters())
        assert all(isinstance(p, nn.Parameter) for p in base.model.parameters())
