"""Scores of a system: hand-worked means, paired differences, signatures."""

import pytest

from lorecall.errors import ConfigError
from lorecall.metrics.overlap import persona_tokens
from lorecall.metrics.registry import Answers, metrics
from lorecall.metrics.scores import mean_scores, paired_scores, score_samples, signatures

PERSONA = persona_tokens(["sailing boats", "harbour"])
REFERENCES = ["we went sailing", "boats at noon"]


def scored(losses: list[float], responses: list[str], n: int = 2) -> dict[str, tuple[float, ...]]:
    """Score the answers to the first n samples."""
    return score_samples(
        Answers(losses=losses, responses=responses, references=REFERENCES[:n], persona=PERSONA)
    )


def test_each_metric_has_one_value_a_sample() -> None:
    """A copied response scores 100 on ROUGE and shares its words with the persona."""
    scores = scored([2.0, 4.0], ["we went sailing", "nothing"])
    assert scores["loss"] == (2.0, 4.0)
    assert scores["rouge1"] == pytest.approx((100.0, 0.0))
    assert scores["rougeL"] == pytest.approx((100.0, 0.0))
    # H = {sailing, boats, harbour}; the response's only token off the stop list is "sailing"
    assert scores["persona_f1"][0] == pytest.approx(100 * 2 * 1 * (1 / 3) / (1 + 1 / 3))
    assert scores["persona_f1"][1] == 0.0


def test_means_and_differences_by_hand() -> None:
    """The mean of the losses is 3; against a system one nat better everywhere it is 1 more."""
    a = scored([2.0, 4.0], ["x", "y"])
    b = scored([1.0, 3.0], ["x", "y"])
    means = mean_scores(a, n_resamples=200, seed=0)
    assert list(means) == list(metrics())
    assert means["loss"].value == pytest.approx(3.0)
    difference = paired_scores(a, b, n_resamples=200, seed=0)["loss"]
    assert (difference.low, difference.value, difference.high) == pytest.approx((1.0, 1.0, 1.0))
    assert difference.excludes_zero


def test_systems_of_different_sizes_are_not_compared() -> None:
    """A paired difference needs the same samples."""
    a = scored([2.0, 4.0], ["x", "y"])
    b = scored([1.0], ["x"], 1)
    with pytest.raises(ConfigError):
        paired_scores(a, b, n_resamples=10, seed=0)


def test_every_metric_is_signed() -> None:
    """A signature names the metric, the samples and the interval; Persona F1 names |H| too."""
    signed = signatures(7, n_resamples=100, seed=3, n_persona_tokens=12)
    assert set(signed) == set(metrics())
    for text in signed.values():
        assert "n=7" in text
        assert "100 resamples, seed 3" in text
    assert "H=12 tokens" in signed["persona_f1"]
