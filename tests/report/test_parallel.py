"""All trials in parallel coordinates, as data."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go
import pytest

from lorecall.learning.result import RunResult
from lorecall.records import InjectionConfig
from lorecall.report.parallel import linear, logarithmic, ordinal, parallel

MakeResult = Callable[..., RunResult]


def named(figure: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the trace of a name."""
    return next(trace for trace in figure["data"] if trace.get("name") == name)


def lines(trace: dict[str, Any]) -> list[list[float]]:
    """Return where each of a trace's lines crosses the axes, top to bottom."""
    found: list[list[float]] = [[]]
    for x in trace["x"]:
        found[-1].append(x) if x is not None else found.append([])
    assert found.pop() == []  # every line ends with a gap
    return found


class TestFigure:
    """A line a trial."""

    @pytest.mark.parametrize(("n_layers", "n_trials"), [(1, 1), (3, 1), (30, 8), (80, 100)])
    def test_plotly_accepts_it(self, make_result: MakeResult, n_layers: int, n_trials: int) -> None:
        """The page is written without this check."""
        go.Figure(parallel(make_result(n_layers=n_layers, n_trials=n_trials)))

    def test_every_trial_crosses_every_axis_once(self, make_result: MakeResult) -> None:
        """On the front or off it; the chosen one once more, on top."""
        result = make_result()
        figure = parallel(result)
        front, others, chosen = (
            lines(named(figure, name)) for name in ("Pareto front", "other trials", "chosen")
        )
        assert len(front) == len(result.front)
        assert len(front) + len(others) == len(result.trials)
        assert len(chosen) == 1
        assert chosen[0] in front
        assert {len(line) for line in front + others} == {8}
        assert all(0 <= at <= 1 for line in front + others for at in line)
        assert named(figure, "chosen")["y"] == [*range(8), None]

    def test_without_colour_the_kinds_are_told_apart(self, make_result: MakeResult) -> None:
        """By dashes, by width and by markers."""
        figure = parallel(make_result())
        looks = [
            (trace["line"].get("dash"), trace["line"]["width"], trace["marker"].get("symbol"))
            for trace in (named(figure, n) for n in ("other trials", "Pareto front", "chosen"))
        ]
        assert looks == [(None, 1, "circle-open"), ("dash", 2, None), (None, 3, "star")]

    def test_pointing_at_a_line_tells_its_trial(self, make_result: MakeResult) -> None:
        """Theta, size and objectives."""
        text = named(parallel(make_result(n_layers=3, n_trials=1)), "chosen")["text"][0]
        assert text.startswith("trial 0<br>1 of 3 layers, 1 module of rank 8<br>layers 0<br>")
        assert text.endswith("33,792 parameters<br>loss 4.363, ROUGE-L 9.10")

    def test_only_layers_with_modules_count(self, make_result: MakeResult) -> None:
        """Two modules over three active layers leave one of them without."""
        result = make_result(n_layers=5, n_trials=1)
        config = InjectionConfig(layers=(1, 2, 4), n_loras=2, rank=8)
        held = tuple(config.modules_per_layer())
        trial = replace(result.trials[0], config=config)
        (line,) = lines(
            named(parallel(make_result(n_layers=5, n_trials=1, trials=(trial,))), "chosen")
        )
        assert len(held) == 2
        assert line[:3] == [1 / 4, min(held) / 4, max(held) / 4]

    def test_lowest_and_highest_layer_share_a_scale(self, make_result: MakeResult) -> None:
        """A line's slope between them is how far the memory spans."""
        labels = parallel(make_result())["layout"]["annotations"]
        lowest, highest = ([(a["x"], a["text"]) for a in labels if a["y"] == y] for y in (1, 2))
        assert lowest == highest
        assert [text for _, text in lowest] == ["0", "5", "10", "15", "20", "25"]

    def test_many_trials_are_paler(self, make_result: MakeResult) -> None:
        """Else they hide the front's neighbours."""
        few, many = (
            named(parallel(make_result(n_trials=n)), "other trials")["opacity"] for n in (8, 100)
        )
        assert (few, many) == (0.7, 0.25)


class TestLinear:
    """Even steps."""

    def test_ticks_are_round(self) -> None:
        """At 1, 2 or 5 times a power of ten, six at most."""
        axis = linear("loss", [3.816, 4.123], whole=False)
        assert axis.at == (0, 1)
        assert [text for _, text in axis.ticks] == ["3.85", "3.90", "3.95", "4.00", "4.05", "4.10"]
        assert axis.ticks[0][0] == pytest.approx((3.85 - 3.816) / (4.123 - 3.816))

    @pytest.mark.parametrize("high", [2, 3, 4, 7, 12, 32, 80])
    def test_counts_have_whole_ticks(self, high: int) -> None:
        """No tick between two whole numbers, none twice."""
        texts = [text for _, text in linear("n", [1, high]).ticks]
        assert all(text.isdecimal() for text in texts)
        assert 2 <= len(set(texts)) == len(texts) <= 6 or high == 2

    @pytest.mark.parametrize(("low", "high"), [(0.0, 1e-6), (3.0, 3.0001), (-2.0, 900.0)])
    def test_any_range_has_a_few_ticks(self, low: float, high: float) -> None:
        """However narrow, wide or negative."""
        ticks = linear("x", [low, high], whole=False).ticks
        assert 2 <= len(ticks) <= 6
        assert len({text for _, text in ticks}) == len(ticks)
        assert all(-1e-9 <= at <= 1 + 1e-9 for at, _ in ticks)

    def test_equal_values_stand_in_the_middle(self) -> None:
        """One trial, or an ablated space."""
        assert linear("n", [7, 7]).ticks == ((0.5, "7"),)
        assert linear("loss", [3.25, 3.25], whole=False).at == (0.5, 0.5)


class TestOrdinal:
    """Values at even distances."""

    def test_what_occurs_is_spread_evenly(self) -> None:
        """In order of size, not of occurrence."""
        axis = ordinal("r", [96, 8, 32, 8])
        assert axis.at == (1, 0, 0.5, 0)
        assert axis.ticks == ((0, "8"), (0.5, "32"), (1, "96"))

    def test_one_value_stands_in_the_middle(self) -> None:
        """The rank was not searched."""
        assert ordinal("r", [16, 16]).ticks == ((0.5, "16"),)


class TestLogarithmic:
    """Powers of ten."""

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([67_584, 12_976_128], ["100 k", "1 M", "10 M"]),
            ([900_000, 3_000_000], ["1 M", "2 M"]),
            ([11_000_000, 12_976_128], ["11 M", "12.98 M"]),
            ([1, 900], ["1", "10", "100"]),
            ([512], ["512"]),
        ],
    )
    def test_ticks(self, values: list[int], expected: list[str]) -> None:
        """Round ones where two fit, else the ends."""
        assert [text for _, text in logarithmic("parameters", values).ticks] == expected

    def test_a_factor_is_a_distance(self) -> None:
        """Ten times as many is as far from one place as from another."""
        assert logarithmic("parameters", [100, 1000, 10_000]).at == pytest.approx((0, 0.5, 1))
