"""The page's figures, as data."""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import pytest

from lorecall.learning.result import RunResult
from lorecall.report import figures, search_figures
from lorecall.search.records import Quartiles

MakeResult = Callable[..., RunResult]


def data(figure: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the traces of a figure."""
    return figure["data"]


def named(figure: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the trace of a name."""
    return next(trace for trace in data(figure) if trace.get("name") == name)


@pytest.mark.parametrize(("n_layers", "n_trials"), [(3, 1), (30, 8)])
def test_plotly_accepts_every_figure(make_result: MakeResult, n_layers: int, n_trials: int) -> None:
    """The page is written without this check."""
    result = make_result(n_layers=n_layers, n_trials=n_trials)
    drawn = [search_figures.pareto_figure(result), search_figures.hypervolume_figure(result)]
    drawn += [figures.loss_curves(result), figures.swapped(result)]
    for figure in [*drawn, *search_figures.importance_figures(result).values()]:
        go.Figure(figure)


class TestPareto:
    """Validation loss by validation ROUGE-L."""

    def test_every_trial_is_drawn_once_and_the_chosen_marked(self, make_result: MakeResult) -> None:
        """The front and the others share no trial."""
        result = make_result()
        figure = search_figures.pareto_figure(result)
        n_front, n_others = (len(named(figure, n)["x"]) for n in ("Pareto front", "other trials"))
        assert n_front == len(result.front)
        assert n_front + n_others == len(result.trials)
        chosen = next(t for t in result.trials if t.number == result.chosen_trial)
        assert named(figure, "chosen")["x"] == [chosen.loss]
        assert named(figure, "chosen")["y"] == [chosen.rouge_l]

    def test_the_front_is_a_line_from_left_to_right(self, make_result: MakeResult) -> None:
        """Trials come in the order they were made, a line needs them by loss."""
        x = named(search_figures.pareto_figure(make_result()), "Pareto front")["x"]
        assert x == sorted(x)

    def test_pointing_at_a_trial_tells_theta(self, make_result: MakeResult) -> None:
        """Which layers, how many modules, which rank."""
        result = make_result(n_layers=3, n_trials=1)
        assert named(search_figures.pareto_figure(result), "chosen")["text"] == [
            "trial 0<br>1 of 3 layers, 1 module of rank 8<br>layers 0"
        ]


class TestHypervolume:
    """How the front grew."""

    def test_the_end_of_the_random_trials_is_marked(self, make_result: MakeResult) -> None:
        """After the fifth of eight."""
        figure = search_figures.hypervolume_figure(make_result(settings={"search": {"initial": 5}}))
        assert figure["layout"]["shapes"][0]["x0"] == 5.5
        assert data(figure)[0]["x"] == [1, 2, 3, 4, 5, 6, 7, 8]

    @pytest.mark.parametrize(
        "settings", [{}, {"search": {"initial": 8}}, {"search": 3}, {"search": {"initial": "x"}}]
    )
    def test_no_mark_without_a_suggestion(
        self, make_result: MakeResult, settings: dict[str, object]
    ) -> None:
        """All trials were random, or it is not known which were."""
        assert (
            "shapes"
            not in search_figures.hypervolume_figure(make_result(settings=settings))["layout"]
        )


class TestImportance:
    """Which inputs matter."""

    def test_a_panel_an_objective_with_quartiles(self, make_result: MakeResult) -> None:
        """Whiskers reach from the lower to the upper quartile."""
        result = make_result(n_layers=3)
        panels = search_figures.importance_figures(result)
        assert list(panels) == ["validation loss", "validation ROUGE-L"]
        bars = data(panels["validation loss"])[0]
        assert bars["x"] == ["0", "1", "2", "n", "r"]
        first = result.importance["loss"]["layer_00"]
        assert bars["y"][0] == first.median
        assert bars["y"][0] + bars["error_y"]["array"][0] == pytest.approx(first.high)
        assert bars["y"][0] - bars["error_y"]["arrayminus"][0] == pytest.approx(first.low)

    def test_a_name_from_elsewhere_is_only_a_name(self, make_result: MakeResult) -> None:
        """Plotly would take its tags for its own."""
        share = Quartiles(low=0.1, median=0.2, high=0.3)
        names = ("layer_07", "layer_x", "<a href=x>y</a>\x1b")
        result = make_result(importance={"loss": dict.fromkeys(names, share)})
        (bars,) = data(search_figures.importance_figures(result)["validation loss"])
        assert bars["x"] == ["7", "layer_x", "&lt;a href=x&gt;y&lt;/a&gt;"]

    def test_none_where_the_search_had_no_surrogate(self, make_result: MakeResult) -> None:
        """All trials were random."""
        assert search_figures.importance_figures(make_result(importance={})) == {}


class TestLossCurves:
    """Validation loss by epoch."""

    def test_what_is_shared_is_a_level_line(self, make_result: MakeResult) -> None:
        """It starts where every curve starts, and is as long as the longest; else the base is."""
        result = make_result()
        shared = named(figures.loss_curves(result), "shared")
        assert shared["x"] == [0.0, 2.5]
        assert shared["y"] == [4.386, 4.386]
        alone = {name: each for name, each in result.scores.items() if name != "shared"}
        assert named(figures.loss_curves(make_result(scores=alone)), "base")["y"] == shared["y"]

    def test_the_kept_point_is_ringed(self, make_result: MakeResult) -> None:
        """The lowest of each curve, not the last."""
        rings = [t for t in data(figures.loss_curves(make_result())) if t["mode"] == "markers"]
        assert [(ring["x"], ring["y"][0]) for ring in rings] == [
            ([2.0], 4.043),
            ([2.0], pytest.approx(4.093)),
        ]

    def test_no_curve_is_no_error(self, make_result: MakeResult) -> None:
        """A result may hold none."""
        assert data(figures.loss_curves(make_result(curves={}))) == []


class TestSwapped:
    """The same text, other memories."""

    def test_own_and_anothers_stand_on_their_sides_of_zero(self, make_result: MakeResult) -> None:
        """With their intervals, told apart by their marks; the base is too far off to be in it."""
        figure = figures.swapped(make_result())
        assert [trace["name"] for trace in data(figure)] == ["own", "another's", "default LoRA"]
        own, other, _ = data(figure)
        assert own["x"] == [-0.334]
        assert own["x"][0] - own["error_x"]["arrayminus"][0] == pytest.approx(-0.411)
        assert own["x"][0] + own["error_x"]["array"][0] == pytest.approx(-0.257)
        assert other["x"][0] > 0
        assert own["marker"]["symbol"] != other["marker"]["symbol"]
        assert "less shared's" in figure["layout"]["xaxis"]["title"]["text"]

    def test_without_others_the_own_one_is_alone(self, make_result: MakeResult) -> None:
        """Less the base, where nothing is shared; nothing at all is no error."""
        own = make_result().difference_to_shared["own"]
        scores = {"base": make_result().scores["base"], "own": make_result().scores["own"]}
        figure = figures.swapped(make_result(difference_to_shared={"own": own}, scores=scores))
        assert [trace["name"] for trace in data(figure)] == ["own"]
        assert "less base's" in figure["layout"]["xaxis"]["title"]["text"]
        assert data(figures.swapped(make_result(difference_to_shared={}))) == []
