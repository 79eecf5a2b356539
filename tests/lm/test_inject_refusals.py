"""What cannot be put on a base, starts, and the exchange of pairs."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lorecall.errors import ArtefactError, ConfigError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.records import InjectionConfig

Fill = Callable[..., dict[str, Tensor]]
StateHash = Callable[[LanguageModel], str]
CONFIG = InjectionConfig(layers=(0, 2), n_loras=3, rank=4)


class TestRefusals:
    """Bad configurations are refused before the base is touched."""

    def test_a_layer_outside_the_model_is_refused(
        self, base: LanguageModel, state_hash: StateHash
    ) -> None:
        """The range is given, and no earlier layer was touched."""
        before = state_hash(base)
        with pytest.raises(ConfigError, match="expected 0 to 2, got 3"):
            Injection(base, InjectionConfig(layers=(0, 3), n_loras=2, rank=4))
        assert state_hash(base) == before

    @pytest.mark.parametrize(("rank", "fits"), [(32, "yes"), (33, "no")])
    def test_a_rank_above_the_linear_is_refused(
        self, base: LanguageModel, state_hash: StateHash, rank: int, fits: str
    ) -> None:
        """The largest useful rank is the smaller side of the linear."""
        assert base.max_rank == 32
        before = state_hash(base)
        config = InjectionConfig(layers=(0,), n_loras=1, rank=rank)
        if fits == "yes":
            Injection(base, config)
        else:
            with pytest.raises(ConfigError, match="expected at most 32, got 33"):
                Injection(base, config)
        assert state_hash(base) == before

    def test_the_rank_is_held_against_the_linears_asked_for(self, llama: LanguageModel) -> None:
        """Keys and values have fewer heads than queries."""
        fits = InjectionConfig(layers=(0,), n_loras=1, rank=16)
        Injection(llama, fits, linears=("q_proj", "v_proj"))
        with pytest.raises(ConfigError, match="expected at most 16, got 17"):
            Injection(llama, replace(fits, rank=17), linears=("q_proj", "v_proj"))
        Injection(llama, replace(fits, rank=17), linears=("q_proj",))

    @pytest.mark.parametrize("linears", [("k_proj",), ("up_proj", "none")])
    def test_unknown_linears_are_refused(
        self, llama: LanguageModel, linears: tuple[str, ...]
    ) -> None:
        """The family's are listed."""
        with pytest.raises(ConfigError, match="expected some of up_proj, down_proj, gate_proj"):
            Injection(llama, CONFIG, linears=linears)

    def test_a_linear_named_twice_leaves_the_base_as_it_was(
        self, llama: LanguageModel, state_hash: StateHash
    ) -> None:
        """Refused or taken once, but never left half on."""
        before = state_hash(llama)
        with contextlib.suppress(ConfigError):
            Injection(llama, CONFIG, linears=("up_proj", "up_proj"))
        assert state_hash(llama) == before


class TestStart:
    """Where training starts from."""

    def test_one_seed_one_start(self, base: LanguageModel) -> None:
        """Two seeds differ."""
        starts = []
        for seed in (1, 1, 2):
            injection = Injection(base, CONFIG, seed=seed)
            starts.append(injection.tensors()[f"layers.0.{base.family.default[0]}.down"])
        assert torch.equal(starts[0], starts[1])
        assert not torch.equal(starts[0], starts[2])

    def test_candidates_that_share_a_layer_start_alike_there(self, base: LanguageModel) -> None:
        """Whatever else they have."""
        injection = Injection(base, CONFIG, seed=5)
        one = injection.tensors()
        wider = InjectionConfig(layers=(1, 2), n_loras=2, rank=4)
        injection = Injection(base, wider, seed=5)
        other = injection.tensors()
        shared = [name for name in one if name.startswith("layers.2.")]
        assert len(shared) == 4
        assert all(torch.equal(one[name], other[name]) for name in shared)

    def test_layers_and_linears_start_apart(self, llama: LanguageModel) -> None:
        """No two of them from the same draw."""
        config = InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=4)
        injection = Injection(llama, config, linears=("up_proj", "gate_proj"))
        downs = [t for name, t in injection.tensors().items() if name.endswith("down")]
        assert len({tuple(t.flatten().tolist()) for t in downs}) == 6

    def test_making_a_memory_does_not_disturb_other_draws(self, llama: LanguageModel) -> None:
        """The global generator is left alone."""
        torch.manual_seed(0)
        expected = torch.rand(3)
        torch.manual_seed(0)
        Injection(llama, CONFIG)
        assert torch.equal(torch.rand(3), expected)


class TestExchange:
    """Pairs out, pairs in."""

    def test_tensors_are_copies(self, base: LanguageModel, fill: Fill) -> None:
        """What was taken out does not change with the pairs, nor the other way round."""
        injection = Injection(base, CONFIG)
        out = injection.tensors()
        fill(injection)
        assert all(
            torch.equal(out[name], torch.zeros_like(out[name]))
            for name in out
            if name.endswith(".up")
        )
        given = injection.tensors()
        injection.load(given)
        next(iter(given.values())).fill_(9.0)
        assert max(p.abs().max() for p in injection.parameters()) < 9

    def test_loaded_pairs_are_the_ones_given(self, base: LanguageModel, fill: Fill) -> None:
        """To the bit."""
        injection = Injection(base, CONFIG)
        given = fill(injection)
        got = injection.tensors()
        assert got.keys() == given.keys()
        assert all(torch.equal(got[name], given[name]) for name in given)

    def test_stored_pairs_can_be_begun_with(self, base: LanguageModel, fill: Fill) -> None:
        """As loaded ones, and copies of what was given."""
        given = fill(Injection(base, CONFIG))
        injection = Injection(base, CONFIG, tensors=given)
        got = injection.tensors()
        next(iter(given.values())).fill_(9.0)
        assert got.keys() == given.keys()
        assert max(p.abs().max() for p in injection.parameters()) < 9

    @pytest.mark.parametrize("change", ["missing", "extra", "renamed", "shape"])
    def test_pairs_that_do_not_fit_are_refused(self, base: LanguageModel, change: str) -> None:
        """None of them is taken over."""
        injection = Injection(base, CONFIG)
        before = injection.tensors()
        given = {name: torch.ones_like(tensor) for name, tensor in before.items()}
        last = list(given)[-1]
        if change in {"missing", "renamed"}:
            tensor = given.pop(last)
            if change == "renamed":
                given["layers.9.other.up"] = tensor
        elif change == "extra":
            given["layers.1.other.up"] = torch.ones(1)
        else:
            given[last] = torch.ones(3, 3)
        with pytest.raises(ArtefactError, match="expected 8 tensors of theta's shapes"):
            injection.load(given)
        with pytest.raises(ArtefactError, match="expected 8 tensors of theta's shapes"):
            Injection(base, CONFIG, tensors=given)
        after = injection.tensors()
        assert all(torch.equal(after[name], before[name]) for name in before)
