"""The page's figures, as plotly's plain dictionaries. Each works without colour as well.

The page's style sheet colours texts and grids, for the page may be light or dark.
"""

from collections.abc import Mapping, Sequence

from lorecall.learning.result import RUN_SYSTEMS, RunResult, RunSystem
from lorecall.records import Interval
from lorecall.report.words import (
    SYSTEM_NAMES,
    reference,
)

Figure = dict[str, object]
Curve = Sequence[tuple[float, float]]

# Okabe and Ito's palette, told apart with every kind of colour vision.
GREY, BLUE, ORANGE, PURPLE = "#767676", "#0072B2", "#D55E00", "#CC79A7"
_LINES: Mapping[RunSystem, tuple[str, str]] = {
    "base": (GREY, "dot"),
    "shared": (GREY, "dot"),
    "own": (ORANGE, "solid"),
    "default-lora": (BLUE, "dash"),
}
_POINTS: Mapping[RunSystem, tuple[str, str]] = {
    "own": (ORANGE, "circle"),
    "other": (PURPLE, "square"),
    "default-lora": (BLUE, "diamond"),
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


def swapped(result: RunResult) -> Figure:
    """Draw what the own memory and another's add to what is shared, in loss, with intervals."""
    found: dict[RunSystem, Interval] = {
        system: result.difference_to_shared[system]["loss"]
        for system in _POINTS
        if system in result.difference_to_shared
    }
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": SYSTEM_NAMES[system],
            "x": [loss.value],
            "y": [SYSTEM_NAMES[system]],
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [loss.high - loss.value],
                "arrayminus": [loss.value - loss.low],
                "color": _POINTS[system][0],
            },
            "marker": {"color": _POINTS[system][0], "symbol": _POINTS[system][1], "size": 12},
            "customdata": [[loss.low, loss.high]],
            "hovertemplate": "%{y}: %{x:+.3f} [%{customdata[0]:+.3f}, %{customdata[1]:+.3f}]"
            "<extra></extra>",
        }
        for system, loss in found.items()
    ]
    without = SYSTEM_NAMES[reference(result)]
    title = f"loss less {without}'s"
    layout = figure_layout(x=title, y="") | {"height": 110 + 45 * len(data), "showlegend": False}
    layout["xaxis"] = {**axis(title), "zeroline": True, "zerolinecolor": GREY, "tickformat": "+.2f"}
    layout["yaxis"] = {**axis(""), "autorange": "reversed", "ticks": ""}
    return {"data": data, "layout": layout}


def loss_curves(result: RunResult) -> Figure:
    """Draw the validation loss while the memory and its control were trained."""
    trained: dict[RunSystem, Curve] = {
        s: result.curves[s] for s in RUN_SYSTEMS if result.curves.get(s)
    }
    curves: dict[RunSystem, Curve] = dict(trained)
    if trained:  # all start where nothing is trained: a level line
        start = next(iter(trained.values()))[0][1]
        last = max(epoch for curve in trained.values() for epoch, _ in curve)
        curves = {reference(result): ((0.0, start), (last, start)), **trained}
    data = [_curve(system, curve) for system, curve in curves.items()]
    data += [_lowest(curve) for curve in trained.values()]
    return {"data": data, "layout": figure_layout(x="epoch", y="validation loss")}


def _curve(system: RunSystem, curve: Curve) -> Figure:
    color, dash = _LINES[system]
    return {
        "type": "scatter",
        "name": SYSTEM_NAMES[system],
        "mode": "lines" if dash == "dot" else "lines+markers",
        "x": [epoch for epoch, _ in curve],
        "y": [loss for _, loss in curve],
        "line": {"color": color, "dash": dash, "width": 2},
        "hovertemplate": "epoch %{x:.2f}: %{y:.3f}",
    }


def _lowest(curve: Curve) -> Figure:
    epoch, loss = min(curve, key=lambda point: point[1])
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [epoch],
        "y": [loss],
        "showlegend": False,
        "marker": {"size": 15, "symbol": "circle-open", "color": GREY, "line": {"width": 2}},
        "hovertemplate": "kept: epoch %{x:.2f}, %{y:.3f}<extra></extra>",
    }


def figure_layout(*, x: str, y: str) -> Figure:
    """Return how a figure is laid out whose axes have these titles."""
    return {
        "height": 380,
        "margin": {"l": 60, "r": 15, "t": 25, "b": 50},
        "font": {"family": _FONT, "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": axis(x),
        "yaxis": axis(y),
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hoverlabel": {"align": "left"},
    }


def axis(title: str) -> Figure:
    """Return an axis of a title."""
    return {
        "title": {"text": title},
        "linecolor": "#9aa0a6",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#9aa0a6",
        "automargin": True,
    }
