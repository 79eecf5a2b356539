"""From what a system answered to its scores, with intervals and signatures."""

from collections.abc import Mapping

from lorecall.metrics.intervals import bootstrap_mean, paired_difference
from lorecall.metrics.registry import Answers, metrics
from lorecall.records import Interval

SampleScores = Mapping[str, tuple[float, ...]]
"""metric -> one value a sample."""


def score_samples(answers: Answers) -> dict[str, tuple[float, ...]]:
    """Return every metric of each sample.

    Raises:
        ConfigError: The numbers of responses and references differ.

    Examples:
        >>> from lorecall.metrics import Answers, persona_tokens, score_samples
        >>> answers = Answers(
        ...     losses=[2.5], responses=["boats, tea"], references=["tea, boats"],
        ...     persona=persona_tokens(["We sail boats"]),
        ... )
        >>> score_samples(answers)
        {'loss': (2.5,), 'rouge1': (100.0,), 'rougeL': (50.0,), 'persona_f1': (50.0,)}
    """
    return {key: tuple(metric.score(answers)) for key, metric in metrics().items()}


def mean_scores(scores: SampleScores, *, n_resamples: int, seed: int) -> dict[str, Interval]:
    """Return the mean of each metric with its 95% bootstrap interval.

    Examples:
        >>> from lorecall.metrics import mean_scores
        >>> mean_scores({"loss": (2.0, 4.0)}, n_resamples=100, seed=0)
        {'loss': Interval(value=3.0, low=2.0, high=4.0)}
    """
    return {
        metric: bootstrap_mean(values, n_resamples=n_resamples, seed=seed)
        for metric, values in scores.items()
    }


def paired_scores(
    scores: SampleScores, other: SampleScores, *, n_resamples: int, seed: int
) -> dict[str, Interval]:
    """Return the paired difference (scores - other) of each metric, with its interval.

    Examples:
        >>> from lorecall.metrics import paired_scores
        >>> paired_scores({"loss": (2.0, 4.0)}, {"loss": (3.0, 5.0)}, n_resamples=100, seed=0)
        {'loss': Interval(value=-1.0, low=-1.0, high=-1.0)}
    """
    return {
        metric: paired_difference(values, other[metric], n_resamples=n_resamples, seed=seed)
        for metric, values in scores.items()
    }


def signatures(n: int, *, n_resamples: int, seed: int, n_persona_tokens: int) -> dict[str, str]:
    """Write down how each metric was made.

    Args:
        n: Number of samples.
        n_resamples: Bootstrap resamples of the intervals.
        seed: Seed of the bootstrap.
        n_persona_tokens: The size of H.

    Examples:
        >>> from lorecall.metrics import signatures
        >>> signatures(9, n_resamples=100, seed=0, n_persona_tokens=50)["loss"].split("|")[:3]
        ['loss', 'cross entropy', 'nats per token']
    """
    return {
        key: metric.signature(
            n, n_resamples=n_resamples, seed=seed, n_persona_tokens=n_persona_tokens
        )
        for key, metric in metrics().items()
    }
