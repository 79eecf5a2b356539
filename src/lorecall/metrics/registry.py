"""What a score is: its name, which way is better, how it is worked out, written and signed.

A metric is one file of this package: it declares its `Metric` in a tuple named `METRICS`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from lorecall.core.lazy import declared
from lorecall.records import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What one system made of some test samples, in the order of the samples.

    Args:
        losses: Cross entropy of the true responses, in nats per token.
        responses: What was answered.
        references: The true responses.
        persona: H, the distinct words of the user's own content.

    Examples:
        >>> from lorecall.metrics import Answers, metrics, persona_tokens
        >>> answers = Answers(
        ...     losses=[2.5, 3.5],
        ...     responses=["tea and rain", "no"],
        ...     references=["rain and tea", "yes"],
        ...     persona=persona_tokens(["rain again, and tea"]),
        ... )
        >>> {name: list(metrics()[name].score(answers)) for name in ("loss", "rouge1")}
        {'loss': [2.5, 3.5], 'rouge1': [100.0, 0.0]}
    """

    losses: Sequence[float]
    responses: Sequence[str]
    references: Sequence[str]
    persona: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One score.

    Args:
        key: What it is called in files.
        title: What it is called in tables.
        lower_is_better: Which way is better.
        unit: What a value counts, as it follows the title: `in nats per token`, `times 100`.
        decimals: How many are written.
        score: Returns one value a sample.
        made: How it is made, with its options and unit, for the signature.
        packages: The packages that work it out, whose versions are signed too.
        of_content: Whether it depends on H, whose size is signed then.

    Examples:
        >>> from lorecall.metrics import Metric
        >>> length = Metric(
        ...     key="length", title="Length", lower_is_better=False, unit="in words", decimals=1,
        ...     score=lambda answers: [float(len(r.split())) for r in answers.responses],
        ...     made="words",
        ... )
        >>> length.arrow, length.signature(34, n_resamples=1000, seed=0)
        ('↑', 'length|words|n=34|95% bootstrap, 1000 resamples, seed 0')
    """

    key: str
    title: str
    lower_is_better: bool
    unit: str
    decimals: int
    score: Callable[[Answers], Sequence[float]]
    made: str
    packages: tuple[str, ...] = ()
    of_content: bool = False

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return "↓" if self.lower_is_better else "↑"

    def value(self, interval: Interval, *, sign: bool = False) -> str:
        """Write the mean; a difference carries its sign."""
        return f"{interval.value:{'+' if sign else ''}.{self.decimals}f}"

    def bounds(self, interval: Interval, *, sign: bool = False) -> str:
        """Write the interval."""
        form = f"{'+' if sign else ''}.{self.decimals}f"
        return f"[{interval.low:{form}}, {interval.high:{form}}]"

    def is_better(self, difference: float) -> bool:
        """Whether a difference is for the better."""
        return (difference < 0) if self.lower_is_better else (difference > 0)

    def verdict(self, difference: Interval) -> str:
        """Return `better` or `worse` where the interval excludes zero, else nothing."""
        if not difference.excludes_zero:
            return ""
        return "better" if self.is_better(difference.value) else "worse"

    def signature(
        self, n: int, *, n_resamples: int, seed: int, n_persona_tokens: int | None = None
    ) -> str:
        """Write down how a score was made: metric, package and version, options, n, interval.

        Args:
            n: Number of samples.
            n_resamples: Bootstrap resamples of the interval.
            seed: Seed of the bootstrap.
            n_persona_tokens: The size of H, where it depends on that.
        """
        versions = (f"{package} {version(package)}" for package in self.packages)
        parts = [self.key, *versions, self.made, f"n={n}"]
        if self.of_content and n_persona_tokens is not None:
            parts.append(f"H={n_persona_tokens} tokens")
        return "|".join([*parts, f"95% bootstrap, {n_resamples} resamples, seed {seed}"])


@cache
def metrics() -> dict[str, Metric]:
    """Return every metric by its key, in the order of the tables.

    One that is put into it is worked out, shown and compared as the others are.

    Examples:
        >>> from lorecall.metrics import metrics
        >>> list(metrics())
        ['loss', 'rouge1', 'rougeL', 'persona_f1']
    """
    found = declared("lorecall.metrics", "METRICS")
    return {metric.key: metric for metric in found if isinstance(metric, Metric)}


def units(shown: Iterable[Metric]) -> str:
    """Return in which units scores are: `A in nats per token; B, C times 100`.

    Examples:
        >>> from lorecall.metrics import metrics, units
        >>> units(metrics().values())
        'Test loss in nats per token; ROUGE-1, ROUGE-L, Persona F1 times 100'
    """
    titles: dict[str, list[str]] = {}
    for metric in shown:
        titles.setdefault(metric.unit, []).append(metric.title)
    return "; ".join(f"{', '.join(of)} {unit}" for unit, of in titles.items())
