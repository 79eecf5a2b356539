"""The published numbers are those of the paper."""

import pytest

from lorecall.bench.paper import BASES, TABLE_3, TABLE_5, mean_gains


@pytest.mark.parametrize(
    ("metric", "dataset", "percent"),
    [
        ("rougeL", "AmazonQA", 41.31),
        ("rougeL", "Reddit", 26.96),
        ("rougeL", "MedDia", 36.85),
        ("persona_f1", "AmazonQA", 16.82),
        ("persona_f1", "Reddit", 42.65),
        ("persona_f1", "MedDia", 23.61),
    ],
)
def test_gains_are_those_of_the_text(metric: str, dataset: str, percent: float) -> None:
    """Worked out from the table they agree with what the paper says, within half a point."""
    assert 100 * mean_gains(dataset)[metric] == pytest.approx(percent, abs=0.5)


def test_the_ablation_ends_in_the_table_above() -> None:
    """The whole space of Table 5 is the method of Table 3."""
    for dataset, value in TABLE_5["memory"].items():
        assert TABLE_3["LLaMA2-13B"]["memory"][dataset]["persona_f1"] == value
    assert set(BASES) == set(TABLE_3)
