"""Putting a memory on a base and taking it off, on every family."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.family import ffn_linear, linear_shape
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.lora import LoraLinear
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


def logits_of(base: LanguageModel) -> Tensor:
    """Run the base on a few tokens. *Shape:* (2, 5, vocabulary)."""
    with torch.no_grad():
        return base.logits(base.hidden(IDS, torch.ones_like(IDS)))


class TestOnAndOff:
    """The base is bit-identical before and after."""

    @every_family_and_format
    def test_remove_leaves_the_base_as_it_was(
        self, family: str, dtype: torch.dtype, fill: Fill, state_hash: StateHash
    ) -> None:
        """Names, formats and bits; twice does no harm."""
        base = tiny_base(family, dtype=dtype)
        before, answer = state_hash(base), logits_of(base)
        injection = Injection(base, CONFIG)
        fill(injection)
        assert not torch.equal(logits_of(base), answer)
        injection.remove()
        injection.remove()
        assert state_hash(base) == before
        assert torch.equal(logits_of(base), answer)
        assert not any(isinstance(module, LoraLinear) for module in base.model.modules())

    @every_family_and_format
    def test_merge_and_unmerge_leave_the_base_as_it_was(
        self, family: str, dtype: torch.dtype, fill: Fill, state_hash: StateHash
    ) -> None:
        """Also when it is taken off while merged."""
        base = tiny_base(family, dtype=dtype)
        before = state_hash(base)
        with Injection(base, CONFIG) as injection:
            fill(injection)
            on = state_hash(base)
            injection.merge()
            assert state_hash(base) != on
            injection.unmerge()
            assert state_hash(base) == on
            injection.merge()
        assert state_hash(base) == before

    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_an_error_in_the_block_takes_it_off(
        self, family: str, error: type[BaseException], fill: Fill, state_hash: StateHash
    ) -> None:
        """Merged at that moment, and the error goes on."""
        base = tiny_base(family)
        before = state_hash(base)

        def work() -> None:
            with Injection(base, CONFIG) as injection:
                fill(injection)
                injection.merge()
                raise error

        with pytest.raises(error):
            work()
        assert state_hash(base) == before

    @pytest.mark.parametrize("family", FAMILIES)
    def test_merged_answers_as_unmerged(self, family: str, fill: Fill) -> None:
        """To 1e-5 in fp32."""
        base = tiny_base(family)
        with Injection(base, CONFIG) as injection:
            fill(injection)
            unmerged = logits_of(base)
            injection.merge()
            torch.testing.assert_close(logits_of(base), unmerged, atol=1e-5, rtol=1e-5)

    def test_pairs_loaded_while_merged_take_effect(self, fill: Fill) -> None:
        """The base answers with the pairs that are on, never with earlier ones."""
        base = tiny_base()
        with Injection(base, CONFIG) as injection:
            second = fill(injection, seed=1)
            expected = logits_of(base)
            fill(injection, seed=0)
            injection.merge()
            injection.load(second)
            torch.testing.assert_close(logits_of(base), expected, atol=1e-5, rtol=1e-5)

    def test_a_new_injection_answers_as_the_base(self, base: LanguageModel) -> None:
        """B is zero: the logits are equal to the bit."""
        before = logits_of(base)
        with Injection(base, CONFIG):
            assert torch.equal(logits_of(base), before)


class TestWhatIsTrained:
    """The pairs, all of them, and nothing else."""

    def test_only_the_pairs_get_gradients(self, base: LanguageModel, fill: Fill) -> None:
        """No parameter of the base has one, or asks for one."""
        with Injection(base, CONFIG) as injection:
            fill(injection)
            base.logits(base.hidden(IDS, torch.ones_like(IDS))).square().mean().backward()
            pairs = {id(parameter) for parameter in injection.parameters()}
            for parameter in base.model.parameters():
                assert parameter.requires_grad == (id(parameter) in pairs)
                assert (parameter.grad is not None) == (id(parameter) in pairs)
            assert all(p.grad.abs().max() > 0 for p in injection.parameters())

    def test_the_pairs_are_where_theta_says(self, base: LanguageModel) -> None:
        """Two linears in each layer with a module; attention is left alone."""
        with Injection(base, CONFIG):
            wrapped = {
                name
                for name, module in base.model.named_modules()
                if isinstance(module, LoraLinear)
            }
            paths = [base.family.linears[name] for name in base.family.default]
            assert wrapped == {path.format(layer=layer) for path in paths for layer in (0, 2)}

    def test_sizes_follow_from_theta(self, base: LanguageModel) -> None:
        """R (d + k) numbers for each linear; the lowest layer is known."""
        paths = [base.family.linears[name].format(layer=0) for name in base.family.default]
        shapes = [linear_shape(ffn_linear(base.model, path)) for path in paths]
        with Injection(base, CONFIG) as injection:
            sides = sum(sum(shape) for shape in shapes)
            assert injection.n_parameters == (8 + 4) * sides
            assert sum(p.numel() for p in injection.parameters()) == injection.n_parameters
            assert injection.first_layer == 0
            assert len(injection.tensors()) == 8

    def test_stacked_ranks_are_modules_times_rank(self, llama: LanguageModel) -> None:
        """Three modules on two layers: two on the first, one on the second."""
        with Injection(llama, CONFIG) as injection:
            tensors = injection.tensors()
            assert tensors["layers.0.up_proj.down"].shape == (8, 32)
            assert tensors["layers.2.up_proj.up"].shape == (64, 4)
            assert tensors["layers.2.down_proj.down"].shape == (4, 64)

    def test_other_linears_can_be_asked_for(self, llama: LanguageModel) -> None:
        """`gate_proj` alone."""
        with Injection(llama, CONFIG, linears=("gate_proj",)) as injection:
            assert {name.split(".")[2] for name in injection.tensors()} == {"gate_proj"}

    def test_a_model_without_the_pairs_has_nothing_to_train(self, base: LanguageModel) -> None:
        """The base is frozen."""
        assert not any(parameter.requires_grad for parameter in base.model.parameters())
        assert all(isinstance(p, nn.Parameter) for p in base.model.parameters())
