"""Scores of responses, their intervals and their signatures.

A score has a direction, a unit and a signature (`Metric`); `metrics()` holds all of them. Means
come with 95% bootstrap intervals over samples, or over users and their samples (`Resampled`).

Examples:
    >>> from lorecall.metrics import bootstrap_mean, rouge
    >>> scores = rouge(["tea and rain", "no"], ["rain and tea", "no"], kind="rouge1")
    >>> bootstrap_mean(scores)
    Interval(value=100.0, low=100.0, high=100.0)
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.metrics.agreement import accuracy, krippendorff_alpha, pearson, raw_agreement
    from lorecall.metrics.intervals import bootstrap_mean, paired_difference, standard_error
    from lorecall.metrics.overlap import persona_f1, persona_tokens, rouge
    from lorecall.metrics.paired import Resampled, holm, sign_flip_test
    from lorecall.metrics.personal import (
        PersonalGain,
        Picked,
        SwappedLosses,
        personal_gain,
        pick_own,
    )
    from lorecall.metrics.registry import Answers, Metric, metrics, units
    from lorecall.metrics.scores import mean_scores, paired_scores, score_samples, signatures

__all__ = [
    "Answers",
    "Metric",
    "PersonalGain",
    "Picked",
    "Resampled",
    "SwappedLosses",
    "accuracy",
    "bootstrap_mean",
    "holm",
    "krippendorff_alpha",
    "mean_scores",
    "metrics",
    "paired_difference",
    "paired_scores",
    "pearson",
    "persona_f1",
    "persona_tokens",
    "personal_gain",
    "pick_own",
    "raw_agreement",
    "rouge",
    "score_samples",
    "sign_flip_test",
    "signatures",
    "standard_error",
    "units",
]

__getattr__, __dir__ = lazy_names(__name__)
