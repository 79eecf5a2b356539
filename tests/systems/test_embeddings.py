"""Texts as directions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lorecall.errors import MissingExtraError
from lorecall.lm.base import LanguageModel
from lorecall.records import InjectionConfig
from lorecall.systems.embeddings import (
    PLAIN_SENTENCES,
    BaseEmbedder,
    SentenceEmbedder,
    cosines,
)

CONFIG = InjectionConfig(layers=(0, 2), n_loras=2, rank=4)


def test_it_is_the_mean_state_less_the_plain_sentences(base: LanguageModel) -> None:
    """By the plain path, to rounding; of length 1."""

    def mean_state(text: str) -> np.ndarray:
        ids = torch.tensor([base.tokenizer(text, add_special_tokens=False)["input_ids"]])
        with torch.no_grad():
            return base.hidden(ids, torch.ones_like(ids))[0].double().mean(dim=0).numpy()

    centre = np.mean([mean_state(text) for text in PLAIN_SENTENCES], axis=0)
    expected = mean_state("hello there") - centre
    ours = BaseEmbedder(base).embed("hello there")
    np.testing.assert_allclose(ours, expected / np.linalg.norm(expected), atol=1e-4)
    assert np.linalg.norm(ours) == pytest.approx(1)


def test_a_base_without_a_fast_path_embeds_alike(base: LanguageModel) -> None:
    """On the plain path, within rounding."""
    fast = BaseEmbedder(base).embed("hello there")
    base.has_fast_path = False
    np.testing.assert_allclose(BaseEmbedder(base).embed("hello there"), fast, atol=1e-4)


@pytest.mark.parametrize("text", ["", "x", "word " * 2000, "né 日本 🙂"])
def test_any_text_has_a_direction(base: LanguageModel, text: str) -> None:
    """Empty, or longer than the model."""
    assert np.isfinite(BaseEmbedder(base).embed(text)).all()


def test_cosines_are_of_directions() -> None:
    """One a direction."""
    x, y = np.array([1.0, 0.0]), np.array([0.6, 0.8])
    np.testing.assert_allclose(cosines(x, [x, y, -x]), [1, 0.6, -1])


class TestSentences:
    """The library's models."""

    def test_a_model_embeds(self) -> None:
        """Whatever it gives is brought to length 1, zero stays."""

        class Model:
            def encode(self, text: str) -> list[float]:
                return [3.0, 4.0] if text else [0.0, 0.0]

        assert SentenceEmbedder(Model()).embed("a").tolist() == [0.6, 0.8]
        assert SentenceEmbedder(Model()).embed("").tolist() == [0.0, 0.0]

    def test_a_missing_library_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With its install line."""
        monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
        with pytest.raises(MissingExtraError, match=r"lorecall\[embeddings\]"):
            SentenceEmbedder("any")

    def test_the_library_itself(self, llama: LanguageModel, tmp_path: Path) -> None:
        """From a folder; it averages the states of a model that says nothing else."""
        pytest.importorskip(
            "sentence_transformers", reason="the extra `embeddings` is not installed"
        )
        llama.model.save_pretrained(tmp_path)
        llama.tokenizer.save_pretrained(tmp_path)
        embedder = SentenceEmbedder(str(tmp_path))
        one, other = embedder.embed("hello there"), embedder.embed("hello there")
        assert np.array_equal(one, other)
        assert np.linalg.norm(one) == pytest.approx(1)
        assert not np.allclose(one, embedder.embed("something else"))
