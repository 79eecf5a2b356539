"""The base model: frozen, padded rows as alone, a hash of its weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lorecall.errors import ModelError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base, tiny_tokenizer

MakeBase = Callable[..., LanguageModel]
ROWS = [[5, 9, 30, 77, 8, 200, 11], [6, 101, 12], [40]]


def padded(base: LanguageModel, side: str) -> tuple[Tensor, Tensor]:
    """Pad the rows on one side. *Shape:* (3, 7) each."""
    longest = max(len(row) for row in ROWS)
    ids, mask = [], []
    for row in ROWS:
        fill = longest - len(row)
        pads, marks = [base.pad_id] * fill, [0] * fill
        ids.append(row + pads if side == "right" else pads + row)
        mask.append([1] * len(row) + marks if side == "right" else marks + [1] * len(row))
    return torch.tensor(ids), torch.tensor(mask)


@torch.no_grad()
def logits_of(base: LanguageModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Run body and head."""
    return base.logits(base.hidden(ids, mask))


def test_body_and_head_make_the_model(base: LanguageModel) -> None:
    """Together they give what the model's own forward gives."""
    ids = torch.tensor([ROWS[0]])
    with torch.no_grad():
        expected = base.model(ids).logits
    torch.testing.assert_close(logits_of(base, ids, torch.ones_like(ids)), expected)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_row_answers_as_alone(base: LanguageModel, side: str) -> None:
    """Padding on either side is neither seen nor counted."""
    ids, mask = padded(base, side)
    logits = logits_of(base, ids, mask)
    for i, row in enumerate(ROWS):
        alone = torch.tensor([row])
        expected = logits_of(base, alone, torch.ones_like(alone))[0]
        torch.testing.assert_close(logits[i][mask[i] == 1], expected, atol=1e-4, rtol=1e-4)
    assert torch.isfinite(logits).all()


def test_a_position_sees_only_what_came_before(base: LanguageModel) -> None:
    """Also in RoBERTa, which reads both ways unless it is told to decode."""
    ids = torch.tensor([ROWS[0]])
    other = ids.clone()
    other[0, -1] = 99
    before, after = (logits_of(base, x, torch.ones_like(x)) for x in (ids, other))
    assert torch.equal(before[0, :-1], after[0, :-1])
    assert not torch.equal(before[0, -1], after[0, -1])


@pytest.mark.parametrize(("family", "first"), [("llama", 0), ("gpt2", 0), ("roberta", 1)])
def test_positions_count_tokens_from_the_familys_first(
    make_base: MakeBase, family: str, first: int
) -> None:
    """RoBERTa's begin behind its padding token's id."""
    base = make_base(family)
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    counted = base.positions(mask) - first
    assert counted[0, 2:].tolist() == [0, 1]
    assert counted[1, :3].tolist() == [0, 1, 2]
    assert base.positions(mask).min() >= 0
    assert base.max_tokens == base.model.config.max_position_embeddings - first


def test_the_longest_sequence_runs(base: LanguageModel) -> None:
    """`max_tokens` tokens, no more: the last position is there."""
    ids = torch.full((1, base.max_tokens), 9)
    assert torch.isfinite(logits_of(base, ids, torch.ones_like(ids))[0, -1]).all()


def test_the_base_is_frozen_and_known(base: LanguageModel) -> None:
    """No parameter asks for a gradient; sizes and format are given."""
    assert not any(parameter.requires_grad for parameter in base.model.parameters())
    assert not base.model.training
    assert (base.n_layers, base.dtype, base.device) == (3, torch.float32, torch.device("cpu"))
    assert base.name == f"tiny-{base.family.name}"


def test_the_fingerprint_is_that_of_the_weights() -> None:
    """One seed, one hash; another seed, family or number of layers, another."""
    options = [("llama", {}), ("llama", {"seed": 1}), ("llama", {"n_layers": 2}), ("gpt2", {})]
    hashes = [tiny_base(family, **kw).fingerprint for family, kw in options]
    assert len(set(hashes)) == 4
    assert tiny_base("llama").fingerprint == hashes[0]


def test_a_bf16_base_gives_fp32_logits() -> None:
    """It has a fingerprint too."""
    base = tiny_base("gpt2", dtype=torch.bfloat16)
    ids = torch.tensor([ROWS[0]])
    assert base.dtype == torch.bfloat16
    assert logits_of(base, ids, torch.ones_like(ids)).dtype == torch.float32
    assert len(base.fingerprint) == 64


@pytest.mark.parametrize(
    ("pad", "eos", "expected"),
    [("<pad>", "<|end|>", 0), (None, "<|end|>", 2), (None, None, 0), ("<new>", "<|end|>", 2)],
)
def test_rows_are_filled_with_what_there_is(
    pad: str | None, eos: str | None, expected: int
) -> None:
    """The padding token if the model has a row for it, else the text's end, else anything."""
    base = tiny_base()
    base.tokenizer.pad_token, base.tokenizer.eos_token = pad, eos
    assert base.pad_id == expected


class TestTinyBase:
    """Tiny models for tests and examples."""

    def test_an_unknown_family_is_refused(self) -> None:
        """The known ones are listed."""
        with pytest.raises(ModelError, match=r"expected llama, mistral, .* got 'made-up'"):
            tiny_base("made-up")

    def test_making_one_leaves_other_draws_alone(self) -> None:
        """The global generator goes on as if nothing had been."""
        torch.manual_seed(0)
        expected = torch.rand(3)
        torch.manual_seed(0)
        tiny_base("gpt2")
        assert torch.equal(torch.rand(3), expected)

    @pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
    def test_templates_are_the_familys_unless_asked_for(self, family: str) -> None:
        """Llama chats; the others join turns."""
        assert bool(tiny_base(family).tokenizer.chat_template) == (family == "llama")
        assert tiny_base(family, chat=True).tokenizer.chat_template

    @pytest.mark.parametrize("text", ["", "plain", "né 日本 🙂\x00\n", "  a  "])
    def test_the_tokeniser_knows_every_byte(self, text: str) -> None:
        """Any text goes through and comes back."""
        tokenizer = tiny_tokenizer(chat=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert len(ids) == len(text.encode())
