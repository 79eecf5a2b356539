"""The figures of a search, as plotly's plain dictionaries. Each works without colour as well."""

from collections.abc import Mapping, Sequence
from html import escape

from lorecall.core.text import plain
from lorecall.learning.result import RunResult
from lorecall.report.figures import BLUE, GREY, ORANGE, Figure, axis, figure_layout
from lorecall.report.words import counts_parameters, layer_ranges, theta_words
from lorecall.search.records import Quartiles, Trial

_PALE_BLUE, _PALE_ORANGE = "rgba(0,114,178,0.4)", "rgba(213,94,0,0.4)"  # under whiskers
_TICK = 5
_FEW_TRIALS = 10
_OBJECTIVES = {
    "loss": "validation loss",
    "rougeL": "validation ROUGE-L",
    "log2_parameters": "number of parameters",
}
_NOT_LAYERS = {"n_loras": "n", "rank": "r", "scaling": "scaling"}


def pareto_figure(result: RunResult) -> Figure:
    """Draw every trial by loss and ROUGE-L, the front and the chosen one marked.

    A front of three objectives is no line in a picture of two of them.
    """
    others, front, chosen = _kinds(result)
    joined = "markers" if counts_parameters(result) else "lines+markers"
    data = [
        _points(others, result, name="other trials", mode="markers")
        | {"marker": {"color": GREY, "size": 9, "symbol": "circle-open"}},
        _points(front, result, name="Pareto front", mode=joined)
        | {"line": {"color": BLUE, "width": 2}, "marker": {"color": BLUE, "size": 10}},
        _points(chosen, result, name="chosen", mode="markers")
        | {"marker": {"color": ORANGE, "size": 17, "symbol": "star"}},
    ]
    layout = figure_layout(x="validation loss (lower is better)", y="ROUGE-L (higher is better)")
    return {"data": data, "layout": layout}


def hypervolume_figure(result: RunResult) -> Figure:
    """Draw how the front's hypervolume grew, trial by trial."""
    trace = result.hypervolume.trace if result.hypervolume else ()
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(range(1, len(trace) + 1)),
        "y": list(trace),
        "line": {"color": BLUE, "width": 2, "shape": "hv"},
        "hovertemplate": "after %{x} trials: %{y:.3f}<extra></extra>",
    }
    layout = figure_layout(x="finished trials", y="hypervolume")
    layout["xaxis"] = {**axis("finished trials"), "rangemode": "tozero"}
    if len(trace) <= _FEW_TRIALS:  # left alone, plotly puts ticks at halves
        layout["xaxis"]["dtick"] = 1
    layout["yaxis"] = {**axis("hypervolume"), "rangemode": "tozero"}
    if 0 < (initial := n_initial(result)) < len(trace):
        layout |= _mark(initial + 0.5, "start ← → suggested")
    return {"data": [line], "layout": {**layout, "showlegend": False}}


def importance_figures(result: RunResult) -> dict[str, Figure]:
    """Draw the share of each input in an objective, a figure an objective."""
    return {
        _OBJECTIVES.get(objective, objective): _shares(quartiles)
        for objective, quartiles in result.importance.items()
    }


def _kinds(result: RunResult) -> tuple[list[Trial], list[Trial], list[Trial]]:
    """Return the trials off the front, those on it by their loss, and the chosen one."""
    front = sorted((t for t in result.trials if t.on_front), key=lambda trial: trial.loss)
    others = [t for t in result.trials if not t.on_front]
    return others, front, [t for t in result.trials if t.number == result.chosen_trial]


def n_initial(result: RunResult) -> int:
    """Return how many trials came before the first suggestion; 0 when that is not known."""
    search = result.settings.get("search")
    initial = search.get("initial") if isinstance(search, dict) else None
    return min(initial, len(result.trials)) if isinstance(initial, int) else 0


def _points(trials: Sequence[Trial], result: RunResult, *, name: str, mode: str) -> Figure:
    return {
        "type": "scatter",
        "name": name,
        "mode": mode,
        "x": [trial.loss for trial in trials],
        "y": [trial.rouge_l for trial in trials],
        "text": [_hover(trial, result) for trial in trials],
        "hovertemplate": "%{text}<br>loss %{x:.3f}, ROUGE-L %{y:.2f}<extra></extra>",
    }


def _hover(trial: Trial, result: RunResult) -> str:
    """Write a trial's number and its theta, as lines of HTML."""
    theta = theta_words(trial.config, result.n_layers)
    layers = layer_ranges(tuple(trial.config.modules_per_layer()))
    size = f"<br>{trial.n_parameters:,} parameters" if counts_parameters(result) else ""
    return f"trial {trial.number}<br>{theta}<br>layers {layers}{size}"


def _shares(quartiles: Mapping[str, Quartiles]) -> Figure:
    values = list(quartiles.values())
    names = [_input_name(name) for name in quartiles]
    bars = {
        "type": "bar",
        "x": names,
        "y": [q.median for q in values],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [q.high - q.median for q in values],
            "arrayminus": [q.median - q.low for q in values],
            "color": GREY,
            "thickness": 1,
            "width": 2,
        },
        "customdata": [[q.low, q.high] for q in values],
        "marker": {
            "color": [_PALE_BLUE if name.isdecimal() else _PALE_ORANGE for name in names],
            "line": {"color": [BLUE if name.isdecimal() else ORANGE for name in names], "width": 1},
        },
        "hovertemplate": "%{x}: %{y:.1%}, quartiles %{customdata[0]:.1%} to "
        "%{customdata[1]:.1%}<extra></extra>",
    }
    wider = [name for name in names if name == "scaling"]
    title = ", ".join(["layer, then n", "r", *wider]) if wider else "layer, then n and r"
    layout = figure_layout(x=title, y="share")
    ticks = [name for i, name in enumerate(names) if i % _TICK == 0 or not name.isdecimal()]
    layout["xaxis"] = {
        **axis(title),
        "type": "category",
        "tickvals": ticks,
        "tickangle": 0,
        "showgrid": False,
    }
    layout["yaxis"] = {**axis("share"), "tickformat": ".0%", "rangemode": "tozero"}
    margin = {"l": 60, "r": 15, "t": 10, "b": 50}
    return {"data": [bars], "layout": {**layout, "height": 245, "margin": margin}}


def _input_name(name: str) -> str:
    number = name.removeprefix("layer_")
    if number != name and number.isdecimal():
        return str(int(number))
    return _NOT_LAYERS.get(name, escape(plain(name)))  # plotly takes tags in a label for its own


def _mark(x: float, text: str) -> Figure:
    """Draw an upright line with a word at its top."""
    line = {"color": GREY, "width": 1, "dash": "dot"}
    shape = {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}
    note = {"x": x, "y": 1, "yref": "paper", "text": text, "showarrow": False}
    return {"shapes": [shape], "annotations": [{**note, "yanchor": "bottom"}]}
