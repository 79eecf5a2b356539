"""Texts as directions."""

import numpy as np
import pytest
import torch

from lorecall.lm.base import LanguageModel
from lorecall.records import InjectionConfig
from lorecall.systems.embeddings import PLAIN_SENTENCES, embedder_of

CONFIG = InjectionConfig(layers=(0, 2), n_loras=2, rank=4)


def test_it_is_the_mean_state_less_the_plain_sentences(base: LanguageModel) -> None:
    """By the plain path, to rounding; of length 1."""

    def mean_state(text: str) -> np.ndarray:
        ids = torch.tensor([base.tokenizer(text, add_special_tokens=False)["input_ids"]])
        with torch.no_grad():
            return base.hidden(ids, torch.ones_like(ids))[0].double().mean(dim=0).numpy()

    centre = np.mean([mean_state(text) for text in PLAIN_SENTENCES], axis=0)
    expected = mean_state("hello there") - centre
    ours = embedder_of(base)("hello there")
    np.testing.assert_allclose(ours, expected / np.linalg.norm(expected), atol=1e-4)
    assert np.linalg.norm(ours) == pytest.approx(1)


def test_a_base_without_a_fast_path_embeds_alike(base: LanguageModel) -> None:
    """On the plain path, within rounding."""
    fast = embedder_of(base)("hello there")
    base.has_fast_path = False
    np.testing.assert_allclose(embedder_of(base)("hello there"), fast, atol=1e-4)


@pytest.mark.parametrize("text", ["", "x", "word " * 2000, "né 日本 🙂"])
def test_any_text_has_a_direction(base: LanguageModel, text: str) -> None:
    """Empty, or longer than the model."""
    assert np.isfinite(embedder_of(base)(text)).all()
