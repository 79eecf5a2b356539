"""The loss of a sample, against a loop over samples through the model's own loss."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.engine.plain import acting_on
from lorecall.lm.hooks import acting
from lorecall.lm.prompts import PromptFormat
from lorecall.records import InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.train.engine import Engine, FastEngine, PlainEngine
from lorecall.train.loop import read_samples
from lorecall.train.reading import EncodedPart, Reader

MakeSamples = Callable[..., tuple[Sample, ...]]
Fill = Callable[..., dict[str, Tensor]]
MakeEngine = Callable[..., Engine]


@pytest.fixture(params=[PlainEngine, FastEngine])
def engine_of(request: pytest.FixtureRequest) -> MakeEngine:
    """Return each engine in turn."""
    return request.param


def encode(base: LanguageModel, samples: tuple[Sample, ...]) -> list[Encoded]:
    """Turn samples into tokens."""
    layout = PromptFormat(base.tokenizer)
    return [layout.encode(sample) for sample in samples]


@torch.no_grad()
def by_hand(base: LanguageModel, sample: Encoded) -> float:
    """Take one sample's loss from the model itself, the prompt's labels masked."""
    ids = torch.tensor([[*sample.prompt, *sample.response]])
    labels = torch.tensor([[-100] * len(sample.prompt) + list(sample.response)])
    return float(base.model(ids, labels=labels).loss)


def test_losses_equal_the_models_own(
    base: LanguageModel, make_samples: MakeSamples, engine_of: MakeEngine
) -> None:
    """A mean over response tokens; padding changes none of them."""
    samples = encode(base, make_samples(9))
    assert len({sample.n_tokens for sample in samples}) > 4
    expected = [by_hand(base, sample) for sample in samples]
    with torch.no_grad():
        ours = engine_of(base).losses(samples).tolist()
    assert ours == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_token_losses_are_the_models_own(
    base: LanguageModel, make_samples: MakeSamples, engine_of: MakeEngine, fill: Fill
) -> None:
    """Token by token, as its logits say; their means are the losses, of whole conversations too."""
    samples = encode(base, make_samples(5))
    talk = Encoded(prompt=(9, 8), response=(*range(30, 40),), replies=((0, 3), (6, 10)))
    injection = Injection(base, InjectionConfig(layers=(1, 2), n_loras=2, rank=4))
    fill(injection, size=0.1)
    expected: list[Tensor] = []
    with torch.no_grad(), acting(acting_on(injection)):
        for each in (*samples, talk):
            logits = base.model(torch.tensor([[*each.prompt, *each.response]])).logits[0].float()
            rows = logits[len(each.prompt) - 1 : -1].log_softmax(dim=-1)
            every = -rows[torch.arange(len(each.response)), torch.tensor(each.response)]
            expected += [every[start:end] for start, end in each.spans]
    engine = engine_of(base, injection)
    with torch.no_grad():
        ours = engine.token_losses([*samples, talk])
    torch.testing.assert_close(ours, torch.cat(expected), atol=1e-4, rtol=1e-4)
    reading = engine.read([*samples, talk])
    assert [len(each) for each in reading.token_losses] == [len(each) for each in expected]
    means = [float(each.mean()) for each in expected]
    assert reading.losses == pytest.approx(means, abs=1e-4)
    assert engine.losses([*samples, talk]).tolist() == pytest.approx(means, abs=1e-4)


def test_losses_equal_the_models_own_with_a_memory(
    base: LanguageModel, make_samples: MakeSamples, fill: Fill, engine_of: MakeEngine
) -> None:
    """The memory is part of the model it is on."""
    samples = encode(base, make_samples(4))
    vanilla = read_samples(engine_of(base), samples).losses
    injection = Injection(base, InjectionConfig(layers=(0, 2), n_loras=3, rank=4))
    fill(injection)
    with acting(acting_on(injection)):
        expected = [by_hand(base, sample) for sample in samples]
    ours = read_samples(engine_of(base, injection), samples).losses
    assert ours == pytest.approx(expected, abs=1e-5, rel=1e-5)
    assert vanilla != pytest.approx(expected, rel=1e-2)


def test_losses_are_read_in_the_samples_order(
    base: LanguageModel, make_samples: MakeSamples, engine_of: MakeEngine
) -> None:
    """Over several batches, whatever the lengths."""
    samples = encode(base, make_samples(35))
    engine = engine_of(base)
    alone = [read_samples(engine, [sample]).losses[0] for sample in samples]
    assert read_samples(engine, samples).losses == pytest.approx(alone, abs=1e-5, rel=1e-5)
    part = EncodedPart(samples=(), encoded=tuple(samples))
    tokens = Reader(base, TrainSettings()).token_losses(part)
    assert [len(each) for each in tokens] == [len(sample.response) for sample in samples]
    assert [sum(t) / len(t) for t in tokens] == pytest.approx(alone, abs=1e-5, rel=1e-5)


def test_what_fills_the_rows_does_not_matter(
    base: LanguageModel, make_samples: MakeSamples, engine_of: MakeEngine
) -> None:
    """Padding is masked, whichever token it is."""
    samples = encode(base, make_samples(5))
    losses: list[Tensor] = []
    for pad in (base.pad_id, 77):
        base.tokenizer.pad_token = base.tokenizer.convert_ids_to_tokens(pad)
        assert base.pad_id == pad
        with torch.no_grad():
            losses.append(engine_of(base).losses(samples))
    one, other = losses
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_reading_leaves_no_gradients(
    llama: LanguageModel, make_samples: MakeSamples, engine_of: MakeEngine
) -> None:
    """Nothing of it is trained on; no samples give no losses."""
    injection = Injection(llama, InjectionConfig(layers=(0,), n_loras=1, rank=4))
    read_samples(engine_of(llama, injection), encode(llama, make_samples(3)))
    assert all(parameter.grad is None for parameter in injection.parameters())
    assert read_samples(engine_of(llama), []).losses == ()


def test_a_bf16_base_gives_fp32_losses(
    make_samples: MakeSamples, make_base: Callable[..., LanguageModel], engine_of: MakeEngine
) -> None:
    """Close to those of the same weights in fp32."""
    losses = {}
    for dtype in (torch.float32, torch.bfloat16):
        base = make_base("gpt2", dtype=dtype, gain=1.0)
        with torch.no_grad():
            losses[dtype] = engine_of(base).losses(encode(base, make_samples(4)))
        assert losses[dtype].dtype == torch.float32
    torch.testing.assert_close(*losses.values(), atol=0.05, rtol=0.05)
