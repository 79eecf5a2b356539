"""A shared memory in a base's weights: what it computes is the base with the pairs beside it."""

import copy
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from torch import Tensor

from lorecall.errors import ModelError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel, SharedName
from lorecall.lm.elsewhere import BaseAt
from lorecall.lm.encoded import Encoded
from lorecall.lm.engine.plain import acting_on
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.hooks import acting
from lorecall.lm.merging import merge
from lorecall.memory.memory import StoredMemory
from lorecall.memory.peft import export_peft
from lorecall.records import InjectionConfig
from lorecall.train.engine import FastEngine, PlainEngine

Fill = Callable[..., dict[str, Tensor]]
MakeMemory = Callable[..., StoredMemory]
THETA = InjectionConfig(layers=(0, 1, 2), n_loras=5, rank=4, scaling=0.7)
IDS = torch.tensor([[5, 9, 30, 77, 8, 200], [6, 6, 101, 12, 40, 41]])
SAMPLES = [
    Encoded(prompt=(5, 9, 30), response=(77, 8, 200)),
    Encoded(prompt=(6, 6, 101, 12), response=(40, 41)),
]
FAMILIES = pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "roberta", "phi3"])


def logits(base: LanguageModel, injection: Injection | None = None) -> Tensor:
    """Return what transformers' own forward pass says, with pairs beside the weights or none."""
    with torch.no_grad(), acting(acting_on(injection)):
        return base.model(IDS).logits


@FAMILIES
def test_merged_is_beside(family: str, fill: Fill) -> None:
    """To 1e-5 in fp32, transposed weights and joined gates too, on both engines."""
    bare, base = tiny_base(family), tiny_base(family)
    beside = Injection(bare, THETA)
    drawn = fill(beside, size=0.1)
    expected, vanilla = logits(bare, beside), logits(bare)
    losses = PlainEngine(bare, beside).read(SAMPLES).losses
    pairs = Injection(base, THETA, tensors=drawn)
    merge(pairs, name="shared", sha256="5e1f")
    torch.testing.assert_close(logits(base), expected, atol=1e-5, rtol=1e-5)
    assert (expected - vanilla).abs().max() > 1e-3
    for engine in (PlainEngine(base), FastEngine(base)):
        assert engine.read(SAMPLES).losses == pytest.approx(losses, abs=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
def test_merged_is_beside_in_bf16(family: str, fill: Fill) -> None:
    """Within what bf16 rounds: the weights stay in it, the sum is made in fp32."""
    bare, base = (tiny_base(family, dtype=torch.bfloat16) for _ in range(2))
    beside = Injection(bare, THETA)
    drawn = fill(beside, size=0.1)
    merge(Injection(base, THETA, tensors=drawn), name="shared", sha256="5e1f")
    expected, vanilla = logits(bare, beside).float(), logits(bare).float()
    assert base.dtype == torch.bfloat16
    error = (logits(base).float() - expected).abs().max()
    assert error <= 0.02 * expected.abs().max()
    assert error < 0.5 * (expected - vanilla).abs().max()
    for path, module in bare.model.named_modules():
        pair = next((p for p in beside.pairs if p.linear is module), None)
        if pair is not None:
            weight = base.model.get_submodule(path).weight
            update = pair.scaling * (pair.up @ pair.down).detach()
            exact = module.weight.float() + (update.T if family == "gpt2" else update)
            assert torch.equal(weight, exact.to(torch.bfloat16))


@FAMILIES
def test_it_is_what_peft_merges(family: str, make_memory: MakeMemory, tmp_path: Path) -> None:
    """The exported adapter, merged by `peft` into the same weights."""
    base = tiny_base(family)
    memory = make_memory(base, THETA)
    export_peft(memory, tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(base.model), tmp_path / "adapter")
    merge(Injection.of(base, memory), name="shared", sha256="5e1f")
    with torch.no_grad():
        expected = theirs.merge_and_unload().eval()(IDS).logits
    torch.testing.assert_close(logits(base), expected, atol=1e-5, rtol=1e-5)


def test_pairs_stack_on_it(fill: Fill) -> None:
    """A person's pairs beside merged weights are both updates at once."""
    base, other = tiny_base(), tiny_base()
    shared, own = Injection(base, THETA), InjectionConfig(layers=(1,), n_loras=1, rank=2)
    drawn = fill(shared, size=0.1)
    merge(shared, name="shared", sha256="5e1f")
    beside = Injection(base, own)
    fill(beside, seed=1, size=0.1)
    merge(Injection(other, THETA, tensors=drawn), name="shared", sha256="5e1f")
    for pair, on in zip(beside.pairs, Injection(other, own).pairs, strict=True):
        on.linear.weight.data += pair.scaling * (pair.up @ pair.down).detach()
    torch.testing.assert_close(logits(base, beside), logits(other), atol=1e-5, rtol=1e-5)


class TestWhichBaseItIs:
    """A base with a shared memory is another base."""

    def merged(self, sha256: str = "5e1f") -> LanguageModel:
        """Return a base with pairs merged into it."""
        base = tiny_base()
        merge(Injection(base, THETA), name="shared", sha256=sha256)
        return base

    def test_it_has_another_fingerprint(self) -> None:
        """One for each shared memory; the hash of what was shipped stays."""
        bare, one, same, other = tiny_base(), self.merged(), self.merged(), self.merged("0ther")
        assert len({bare.fingerprint, one.fingerprint, other.fingerprint}) == 3
        assert one.fingerprint == same.fingerprint
        assert {each.weights_hash for each in (bare, one, other)} == {bare.fingerprint}

    def test_it_says_what_is_in_it(self) -> None:
        """By name and hash; nothing is in a bare one."""
        assert self.merged().shared == SharedName(name="shared", sha256="5e1f")
        assert self.merged().title == "tiny-llama with shared"
        assert (tiny_base().shared, tiny_base().title) == (None, "tiny-llama")

    def test_another_process_loads_it_with_it(self) -> None:
        """What is in it goes along."""
        place = BaseAt.of(self.merged(), 1)
        assert place.shared == SharedName(name="shared", sha256="5e1f")
        assert BaseAt.of(tiny_base(), 1).shared is None


class TestRefusals:
    """Merged once, into whole weights."""

    def test_a_second_one_is_refused(self, fill: Fill) -> None:
        """The weights stay as they are."""
        base = tiny_base()
        merge(Injection(base, THETA), name="first", sha256="5e1f")
        before = logits(base)
        second = Injection(base, THETA)
        fill(second)
        with pytest.raises(ModelError, match=r"whole weights, once: .* got tiny-llama with first"):
            merge(second, name="second", sha256="0ther")
        assert torch.equal(logits(base), before)
        assert base.shared == SharedName(name="first", sha256="5e1f")

    def test_a_base_in_four_bits_is_refused(self) -> None:
        """What is added would be lost in rounding."""
        tiny = tiny_base()
        base = LanguageModel(tiny.model, tiny.tokenizer, name="tiny", four_bit=True)
        with pytest.raises(ModelError, match="a base in 4 bits"):
            merge(Injection(base, THETA), name="shared", sha256="5e1f")
        assert base.shared is None
