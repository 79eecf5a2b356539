"""The loss of response tokens against torch's cross entropy over all logits."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig

from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.head import token_losses
from lorecall.lm.families.head import LogitScale
from lorecall.lm.families.tiny import tiny_tokenizer

WIDTH, LARGE = 16, 2**16
CLOSE = {"atol": 5e-5, "rtol": 1e-5}


def large_base(vocabulary: int = LARGE, *, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """Make a base of one layer whose vocabulary lets a chunk hold few rows: 128 of 65,536."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return LanguageModel(model, tiny_tokenizer(chat=True), name="large", fingerprint="0" * 64)


@pytest.fixture(scope="module")
def large() -> LanguageModel:
    """Return the base with the large vocabulary, with a head that is not all alike."""
    base = large_base()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        base.model.lm_head.weight.normal_(std=0.3, generator=generator)
    return base


def rows_of(n: int, vocabulary: int, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    """Draw rows that train, and what they are to predict."""
    generator = torch.Generator().manual_seed(n)
    h = torch.randn(n, width, generator=generator, requires_grad=True)
    return h, torch.randint(0, vocabulary, (n,), generator=generator)


def plain(base: LanguageModel, h: Tensor, targets: Tensor) -> Tensor:
    """Compute the losses from all logits, in fp64: torch's own sum over many is rough."""
    losses = F.cross_entropy(base.logits(h).double(), targets, reduction="none")
    return losses.float()


def assert_alike(base: LanguageModel, h: Tensor, targets: Tensor) -> None:
    """Compare values, and gradients under an uneven weighting of the rows."""
    found: list[tuple[Tensor, Tensor]] = []
    for compute in (token_losses, plain):
        leaf = h.detach().clone().requires_grad_()
        losses = compute(base, leaf, targets)
        (losses * torch.linspace(-1, 2, len(h))).sum().backward()
        assert leaf.grad is not None
        found.append((losses.detach(), leaf.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("n", [1, 2, 40])
def test_equals_the_cross_entropy(base: LanguageModel, n: int) -> None:
    """In value and gradient, every family: RoBERTa's head has layers of its own."""
    h, targets = rows_of(n, base.model.config.vocab_size, base.model.config.hidden_size)
    assert_alike(base, h, targets)


@pytest.mark.parametrize("n", [127, 128, 129, 257])
def test_equals_the_cross_entropy_across_chunks(large: LanguageModel, n: int) -> None:
    """Rows at the border of a chunk, one before it and one behind; targets at both ends."""
    h, targets = rows_of(n, LARGE)
    targets[0], targets[-1] = 0, LARGE - 1
    assert_alike(large, h, targets)


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_logits_may_be_scaled_and_capped(
    large: LanguageModel,
    factor: float,
    softcap: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in Cohere, Granite and Gemma 2: in value and gradient."""
    scale = LogitScale(factor=factor, softcap=softcap)
    monkeypatch.setattr(large, "logit_scale", scale)
    h, targets = rows_of(130, LARGE)
    assert_alike(large, h, targets)


def test_a_row_that_is_sure_has_neither_loss_nor_gradient(large: LanguageModel) -> None:
    """And one that is surely wrong a large loss: no overflow either way."""
    weight = large.model.lm_head.weight.detach()
    best, worst = int(weight[:, 0].argmax()), int(weight[:, 0].argmin())
    h = torch.zeros(2, WIDTH)
    h[:, 0] = 1e6
    h.requires_grad_()
    losses = token_losses(large, h, torch.tensor([best, worst]))
    losses.sum().backward()
    assert h.grad is not None
    assert losses[0] == 0
    assert losses[1] > 100
    assert h.grad[0].abs().max() < 1e-6
    torch.testing.assert_close(h.grad[1], weight[best] - weight[worst], **CLOSE)


@pytest.mark.parametrize("grad", [False, True])
def test_the_head_gets_no_gradient_and_the_rows_stay(llama: LanguageModel, *, grad: bool) -> None:
    """Also where h has none: then nothing is kept for a way back."""
    head: nn.Linear = llama.model.lm_head
    h, targets = rows_of(5, 262, llama.model.config.hidden_size)
    h.requires_grad_(grad)
    before, weight = h.detach().clone(), head.weight.detach().clone()
    losses = token_losses(llama, h, targets)
    assert losses.requires_grad == grad
    if grad:
        losses.sum().backward()
    assert head.weight.grad is None
    assert torch.equal(head.weight, weight)
    assert torch.equal(h.detach(), before)


def test_a_row_without_weight_gets_no_gradient(llama: LanguageModel) -> None:
    """The mean of one sample does not reach into another."""
    h, targets = rows_of(5, 262, llama.model.config.hidden_size)
    token_losses(llama, h, targets)[:2].mean().backward()
    assert h.grad is not None
    assert torch.equal(h.grad[2:], torch.zeros_like(h.grad[2:]))
    assert (h.grad[:2].abs().sum(dim=1) > 0).all()


def test_a_head_with_a_bias_is_called_as_it_is(llama: LanguageModel) -> None:
    """Its bias counts."""
    head: nn.Linear = llama.model.lm_head
    head.bias = nn.Parameter(torch.linspace(-3, 3, head.out_features), requires_grad=False)
    h, targets = rows_of(4, head.out_features, llama.model.config.hidden_size)
    assert_alike(llama, h, targets)


@pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
def test_a_bf16_base_gives_fp32_losses(
    family: str, make_base: Callable[..., LanguageModel]
) -> None:
    """Near those of the fp32 head; the gradient is in the rows' own format."""
    low = make_base(family, dtype=torch.bfloat16, gain=1.0)
    h, targets = rows_of(6, 200, low.model.config.hidden_size)
    rows = h.detach().bfloat16().requires_grad_()
    losses = token_losses(low, rows, targets)
    losses.sum().backward()
    exact = plain(low.model.float() and low, rows.detach().float(), targets)
    assert losses.dtype == torch.float32
    assert rows.grad is not None
    assert rows.grad.dtype == torch.bfloat16
    torch.testing.assert_close(losses.detach(), exact, atol=0.02, rtol=0.02)


@torch.no_grad()
def test_no_rows_no_losses(llama: LanguageModel) -> None:
    """Nothing is computed."""
    h, targets = rows_of(0, 262, llama.model.config.hidden_size)
    assert token_losses(llama, h, targets).shape == (0,)
