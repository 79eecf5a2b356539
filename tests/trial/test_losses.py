"""The loss of a sample, against a loop over samples through the model's own loss."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lorecall.lm.base import BaseModel
from lorecall.lm.inject import Injection
from lorecall.lm.prompts import Encoded, PromptFormat
from lorecall.records import InjectionConfig, Sample
from lorecall.trial.batches import collate
from lorecall.trial.train import read_losses, sample_losses

MakeSamples = Callable[..., tuple[Sample, ...]]
Fill = Callable[..., dict[str, Tensor]]


def encode(base: BaseModel, samples: tuple[Sample, ...]) -> list[Encoded]:
    """Turn samples into tokens."""
    layout = PromptFormat(base.tokenizer)
    return [layout.encode(sample) for sample in samples]


@torch.no_grad()
def by_hand(base: BaseModel, sample: Encoded) -> float:
    """Take one sample's loss from the model itself, the prompt's labels masked."""
    ids = torch.tensor([[*sample.prompt, *sample.response]])
    labels = torch.tensor([[-100] * len(sample.prompt) + list(sample.response)])
    return float(base.model(ids, labels=labels).loss)


def test_losses_equal_the_models_own(base: BaseModel, make_samples: MakeSamples) -> None:
    """A mean over response tokens; padding changes none of them."""
    samples = encode(base, make_samples(9))
    assert len({sample.n_tokens for sample in samples}) > 4
    expected = [by_hand(base, sample) for sample in samples]
    batch = collate(samples, pad_id=base.pad_id, device=base.device)
    with torch.no_grad():
        ours = sample_losses(base, batch).tolist()
    assert ours == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_losses_equal_the_models_own_with_a_memory(
    base: BaseModel, make_samples: MakeSamples, fill: Fill
) -> None:
    """The memory is part of the model it is on."""
    samples = encode(base, make_samples(4))
    vanilla = read_losses(base, samples)
    with Injection(base, InjectionConfig(layers=(0, 2), n_loras=3, rank=4)) as injection:
        fill(injection)
        expected = [by_hand(base, sample) for sample in samples]
        assert read_losses(base, samples) == pytest.approx(expected, abs=1e-5, rel=1e-5)
    assert vanilla != pytest.approx(expected, rel=1e-2)


def test_losses_are_read_in_the_samples_order(base: BaseModel, make_samples: MakeSamples) -> None:
    """Over several batches, whatever the lengths."""
    samples = encode(base, make_samples(35))
    losses = read_losses(base, samples)
    assert losses == pytest.approx(
        [read_losses(base, [sample])[0] for sample in samples], abs=1e-5, rel=1e-5
    )


def test_what_fills_the_rows_does_not_matter(base: BaseModel, make_samples: MakeSamples) -> None:
    """Padding is masked, whichever token it is."""
    samples = encode(base, make_samples(5))
    with torch.no_grad():
        one, other = (
            sample_losses(base, collate(samples, pad_id=pad, device=base.device))
            for pad in (base.pad_id, 77)
        )
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_reading_leaves_no_gradients(llama: BaseModel, make_samples: MakeSamples) -> None:
    """Nothing of it is trained on; no samples give no losses."""
    with Injection(llama, InjectionConfig(layers=(0,), n_loras=1, rank=4)) as injection:
        read_losses(llama, encode(llama, make_samples(3)))
        assert all(parameter.grad is None for parameter in injection.parameters())
    assert read_losses(llama, []) == []


def test_a_bf16_base_gives_fp32_losses(
    make_samples: MakeSamples, make_base: Callable[..., BaseModel]
) -> None:
    """Close to those of the same weights in fp32."""
    losses = {}
    for dtype in (torch.float32, torch.bfloat16):
        base = make_base("gpt2", dtype=dtype, gain=1.0)
        batch = collate(encode(base, make_samples(4)), pad_id=base.pad_id, device=base.device)
        with torch.no_grad():
            losses[dtype] = sample_losses(base, batch)
        assert losses[dtype].dtype == torch.float32
    torch.testing.assert_close(*losses.values(), atol=0.05, rtol=0.05)
