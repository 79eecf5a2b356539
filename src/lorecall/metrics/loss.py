"""Loss: cross entropy of the true responses."""

from lorecall.metrics.registry import Metric

METRICS = (
    Metric(
        key="loss",
        title="Test loss",
        lower_is_better=True,
        unit="in nats per token",
        decimals=3,
        score=lambda answers: answers.losses,
        made="cross entropy|nats per token|mean of tokens, then of samples",
    ),
)
