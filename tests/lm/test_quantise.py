"""A base in 4 bits: close to the plain one, and memories learn on it."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import nn

from lorecall.errors import MissingExtraError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.quantise import four_bit_config
from lorecall.lm.sampling import GreedyChooser
from lorecall.records import InjectionConfig, Sample
from lorecall.train.engine import FastEngine, PlainEngine

bitsandbytes = pytest.importorskip("bitsandbytes", reason="the extra four-bit is not installed")
CONFIG = InjectionConfig(layers=(1, 2), n_loras=2, rank=4)


def four_bit(family: str = "llama") -> LanguageModel:
    """Save a tiny base, and load it with its linears in 4 bits."""
    tiny = tiny_base(family, width=64)
    with TemporaryDirectory() as folder:
        tiny.model.save_pretrained(folder)
        tiny.tokenizer.save_pretrained(folder)
        return LanguageModel.load(folder, device="cpu", dtype="float32", four_bit=True)


@pytest.mark.parametrize("family", ["llama", "roberta", "gpt2", "gpt_neox", "gemma2"])
def test_every_linear_of_the_body_is_in_four_bits(family: str) -> None:
    """The head and the embeddings stay as they were."""
    base = four_bit(family)
    kinds = {type(m) for m in base.model.base_model.modules() if isinstance(m, nn.Linear)}
    assert kinds == {bitsandbytes.nn.Linear4bit}
    inside = set(base.model.base_model.modules())
    outside = {type(module) for module in base.model.modules() if module not in inside}
    assert bitsandbytes.nn.Linear4bit not in outside
    assert base.dtype == torch.float32


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_losses_are_close_to_the_plain_base(
    family: str, make_samples: Callable[..., tuple[Sample, ...]]
) -> None:
    """Within a few percent, on both paths, which agree with each other."""
    base, plain = four_bit(family), tiny_base(family, width=64)
    layout = PromptFormat(base.tokenizer)
    samples = [layout.encode(sample) for sample in make_samples(4)]
    fast = FastEngine(base).read(samples).losses
    assert fast == pytest.approx(PlainEngine(base).read(samples).losses, rel=1e-5)
    assert fast == pytest.approx(PlainEngine(plain).read(samples).losses, rel=0.05)


def test_a_memory_gets_the_same_gradients_on_both_paths(
    make_samples: Callable[..., tuple[Sample, ...]], fill: Callable[..., dict[str, torch.Tensor]]
) -> None:
    """The pairs are fp32 beside weights in 4 bits."""
    base = four_bit()
    layout = PromptFormat(base.tokenizer)
    samples = [layout.encode(sample) for sample in make_samples(4)]
    found: list[list[torch.Tensor]] = []
    for engine in (FastEngine, PlainEngine):
        injection = Injection(base, CONFIG)
        fill(injection, size=0.05)
        engine(base, injection).losses(samples).mean().backward()
        found.append([p.grad for p in injection.parameters() if p.grad is not None])
    assert len(found[0]) == len(found[1]) == 8
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_answers_are_those_of_the_plain_path(
    make_samples: Callable[..., tuple[Sample, ...]],
) -> None:
    """Greedy decoding over 4-bit weights."""
    base = four_bit()
    layout = PromptFormat(base.tokenizer)
    samples = [layout.encode(sample) for sample in make_samples(3)]
    fast, plain = (
        engine(base).answer(samples, max_new_tokens=6, chooser=GreedyChooser(layout.stop_ids))
        for engine in (FastEngine, PlainEngine)
    )
    assert fast == plain


def test_loading_in_four_bits(tmp_path: Path) -> None:
    """From a folder, as `--four-bit` does; the fingerprint is that of the plain weights."""
    tiny = tiny_base(width=64)
    tiny.model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    loaded = LanguageModel.load(str(tmp_path), device="cpu", dtype="float32", four_bit=True)
    plain = LanguageModel.load(str(tmp_path), device="cpu", dtype="float32")
    assert (loaded.four_bit, plain.four_bit) == (True, False)
    assert loaded.fingerprint == plain.fingerprint


@pytest.mark.parametrize("package", ["bitsandbytes", "accelerate"])
def test_the_missing_extra_says_how_to_install_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with the command."""
    found = find_spec
    monkeypatch.setattr(
        "lorecall.lm.quantise.find_spec", lambda name: None if name == package else found(name)
    )
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'lorecall\[four-bit\]'"):
        four_bit_config(tiny_base().model.config, torch.float32)
