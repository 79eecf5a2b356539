"""From what a model made of some samples to its scores, with intervals and signatures.

This module knows nothing of models: it is given losses and responses.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lorecall.metrics.intervals import bootstrap_mean, paired_difference
from lorecall.metrics.overlap import persona_f1, rouge, signature
from lorecall.records import Interval

METRICS = ("loss", "rouge1", "rougeL", "persona_f1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleScores:
    """One value a sample: loss in nats per token, the others times 100."""

    loss: tuple[float, ...]
    rouge1: tuple[float, ...]
    rougeL: tuple[float, ...]  # noqa: N815 - the metric's own name
    persona_f1: tuple[float, ...]


def score_samples(
    losses: Sequence[float],
    responses: Sequence[str],
    *,
    references: Sequence[str],
    persona: frozenset[str],
) -> SampleScores:
    """Score each sample.

    Args:
        losses: Cross entropy of the true responses.
        responses: What was generated.
        references: The true responses, in the same order.
        persona: H.

    Raises:
        ConfigError: The numbers of responses and references differ.
    """
    overlap = rouge(responses, references)
    return SampleScores(
        loss=tuple(losses),
        rouge1=overlap.rouge1,
        rougeL=overlap.rouge_l,
        persona_f1=tuple(persona_f1(response, persona) for response in responses),
    )


def mean_scores(scores: SampleScores, *, n_resamples: int, seed: int) -> dict[str, Interval]:
    """Return the mean of each metric with its 95% bootstrap interval."""
    return {
        metric: bootstrap_mean(values, n_resamples=n_resamples, seed=seed)
        for metric, values in asdict(scores).items()
    }


def paired_scores(
    scores: SampleScores, other: SampleScores, *, n_resamples: int, seed: int
) -> dict[str, Interval]:
    """Return the paired difference (scores - other) of each metric, with its interval."""
    others = asdict(other)
    return {
        metric: paired_difference(values, others[metric], n_resamples=n_resamples, seed=seed)
        for metric, values in asdict(scores).items()
    }


def signatures(n: int, *, n_resamples: int, seed: int, n_persona_tokens: int) -> dict[str, str]:
    """Write down how each metric was made."""
    made = {
        "loss": f"loss|cross entropy|nats per token|mean of tokens, then of samples|n={n}"
        f"|95% bootstrap, {n_resamples} resamples, seed {seed}",
        "persona_f1": signature(
            "persona_f1",
            n,
            n_resamples=n_resamples,
            seed=seed,
            n_persona_tokens=n_persona_tokens,
        ),
    }
    for metric in ("rouge1", "rougeL"):
        made[metric] = signature(metric, n, n_resamples=n_resamples, seed=seed)
    return made
