"""What a metric knows of itself, and that one more needs nothing else."""

from importlib.metadata import version

import pytest

from lorecall.metrics.overlap import PERSONA_F1
from lorecall.metrics.registry import Answers, Metric, metrics, units
from lorecall.metrics.scores import mean_scores, score_samples, signatures
from lorecall.records import Interval

LOSS, ROUGE_1, *_ = metrics().values()
ANSWERS = Answers(
    losses=(2.0, 4.0),
    responses=("we went sailing", "nothing"),
    references=("we went sailing", "boats at noon"),
    persona=frozenset({"sailing", "boats", "harbour"}),
)


class TestMetric:
    """How a score and a difference are written."""

    def test_decimals_are_the_metrics_own(self) -> None:
        """Loss needs one more than the others."""
        interval = Interval(value=4.0521, low=3.8814, high=4.2263)
        assert (LOSS.value(interval), LOSS.bounds(interval)) == ("4.052", "[3.881, 4.226]")
        assert (ROUGE_1.value(interval), ROUGE_1.bounds(interval)) == ("4.05", "[3.88, 4.23]")

    def test_a_difference_carries_its_sign(self) -> None:
        """A gain is told from a loss without its colour."""
        interval = Interval(value=1.5, low=-0.25, high=3.0)
        assert ROUGE_1.value(interval, sign=True) == "+1.50"
        assert ROUGE_1.bounds(interval, sign=True) == "[-0.25, +3.00]"

    @pytest.mark.parametrize(
        ("low", "high", "for_loss", "for_rouge"),
        [
            (-0.4, -0.2, "better", "worse"),
            (0.2, 0.4, "worse", "better"),
            (-0.1, 0.3, "", ""),
            (0.0, 0.3, "", ""),
        ],
    )
    def test_the_verdict_knows_which_way_is_better(
        self, low: float, high: float, for_loss: str, for_rouge: str
    ) -> None:
        """Lower for the loss, higher for the others; none where the interval holds zero."""
        interval = Interval(value=(low + high) / 2, low=low, high=high)
        assert LOSS.verdict(interval) == for_loss
        assert ROUGE_1.verdict(interval) == for_rouge


class TestRegistry:
    """Each file of the package declares its own."""

    def test_the_metrics_in_the_order_of_the_tables(self) -> None:
        """Each under its own key, with a title and a unit."""
        assert list(metrics()) == ["loss", "rouge1", "rougeL", "persona_f1"]
        for key, metric in metrics().items():
            assert metric.key == key
            assert metric.title
            assert metric.unit
        assert metrics()["persona_f1"] is PERSONA_F1

    def test_a_metric_that_is_put_in_is_scored_and_signed(
        self, monkeypatch: pytest.MonkeyPatch, made_up_metric: Metric
    ) -> None:
        """Without a change anywhere else."""
        monkeypatch.setitem(metrics(), made_up_metric.key, made_up_metric)
        scores = score_samples(ANSWERS)
        assert scores["words"] == (3.0, 1.0)
        assert mean_scores(scores, n_resamples=50, seed=0)["words"].value == 2.0
        signed = signatures(2, n_resamples=50, seed=0, n_persona_tokens=3)
        assert signed["words"] == "words|by spaces|n=2|95% bootstrap, 50 resamples, seed 0"

    def test_units_are_told_once_each(self, made_up_metric: Metric) -> None:
        """With the titles that have them."""
        assert units([LOSS, ROUGE_1, made_up_metric, PERSONA_F1]) == (
            "Test loss in nats per token; ROUGE-1, Persona F1 times 100; Words in words"
        )


class TestSignature:
    """How a score was made, in one line."""

    def test_it_says_how_the_score_was_made(self) -> None:
        """Metric, packages and versions, tokens, options, scale, samples, interval."""
        line = metrics()["rougeL"].signature(34, n_resamples=10_000, seed=0)
        used = ("rouge-score", "regex", "icu4py")
        made_with = "|".join(f"{package} {version(package)}" for package in used)
        how = "F1|words, lower-case NFC|no stemmer|x100"
        interval = "95% bootstrap, 10000 resamples, seed 0"
        assert line == f"rougeL|{made_with}|{how}|n=34|{interval}"

    def test_persona_f1_names_the_size_of_h(self) -> None:
        """It depends on it; the others do not."""
        lines = [
            metric.signature(34, n_resamples=99, seed=7, n_persona_tokens=317)
            for metric in (PERSONA_F1, ROUGE_1)
        ]
        assert f"stop-words {version('stop-words')}" in lines[0]
        assert lines[0].endswith("|n=34|H=317 tokens|95% bootstrap, 99 resamples, seed 7")
        assert "H=" not in lines[1]
