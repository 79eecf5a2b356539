"""All trials in parallel coordinates: a line a trial, across what was tried and what came of it.

The axes lie across the page, one under another, so that their names and ticks fit a telephone too.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lorecall.learning.result import RunResult
from lorecall.report.figures import BLUE, FONT, GREY, INK, ORANGE, Figure, describe, kinds
from lorecall.report.words import further_factors, short_count
from lorecall.search.records import Trial

_MOST_TICKS = 6
_FEW_TRIALS = 20  # more of them are drawn paler
_ROW_PX, _AROUND_PX = 56, 60
_LINES: tuple[tuple[str, Figure], ...] = (  # as in `kinds`; told apart without colour as well
    (
        "other trials",
        {
            "mode": "lines+markers",
            "line": {"color": GREY, "width": 1},
            "marker": {"color": GREY, "size": 5, "symbol": "circle-open"},
        },
    ),
    (
        "Pareto front",
        {
            "mode": "lines+markers",
            "line": {"color": BLUE, "width": 2, "dash": "dash"},
            "marker": {"color": BLUE, "size": 8},
        },
    ),
    (
        "chosen",
        {
            "mode": "lines+markers",
            "line": {"color": ORANGE, "width": 3},
            "marker": {"color": ORANGE, "size": 13, "symbol": "star"},
        },
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis.

    Args:
        name: What stands beside it.
        at: Where each trial crosses it, from 0 at its left end to 1 at its right.
        ticks: Where its ticks are, and what they say.
    """

    name: str
    at: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


def parallel(result: RunResult) -> Figure:
    """Draw a line a trial over theta, its size and its two objectives."""
    axes = _axes(result)
    data = [_ticks(axes)]
    for (name, style), trials in zip(_LINES, kinds(result), strict=True):
        data.append({**_lines(trials, axes, result), "name": name, **style})
    data[1]["opacity"] = min(0.7, max(0.25, _FEW_TRIALS / len(result.trials)))
    return {"data": data, "layout": _layout(axes)}


def _axes(result: RunResult) -> list[Axis]:
    trials = result.trials
    active = [tuple(t.config.modules_per_layer()) for t in trials]
    ends = (0, result.n_layers - 1)
    return [
        linear("layers", [len(layers) for layers in active], ends=(1, result.n_layers)),
        linear("lowest layer", [min(layers) for layers in active], ends=ends),
        linear("highest layer", [max(layers) for layers in active], ends=ends),
        linear("n", [t.config.n_loras for t in trials]),
        ordinal("r", [t.config.rank for t in trials]),
        *(ordinal(f, [getattr(t.config, f) for t in trials]) for f in further_factors(result)),
        logarithmic("parameters", [t.n_parameters for t in trials]),
        linear("loss ↓", [t.loss for t in trials], whole=False),
        linear("ROUGE-L ↑", [t.rouge_l for t in trials], whole=False),
    ]


def linear(
    name: str,
    values: Sequence[float],
    *,
    ends: tuple[float, float] | None = None,
    whole: bool = True,
) -> Axis:
    """Make an axis of even steps.

    Args:
        name: Its name.
        values: A value a trial.
        ends: Of the axis; the least and the greatest value when None.
        whole: Whether it counts something, and has no tick between two whole numbers.
    """
    low, high = ends or (min(values), max(values))
    step = _step(low, high, whole=whole)
    decimals = max(0, -math.floor(math.log10(step)))
    ticks = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    if low == high:
        ticks, decimals = [low], 0 if whole else 3
    return Axis(
        name=name,
        at=tuple(_place(value, low, high) for value in values),
        ticks=tuple((_place(tick, low, high), f"{tick:.{decimals}f}") for tick in ticks),
    )


def ordinal(name: str, values: Sequence[float]) -> Axis:
    """Make an axis with the values that occur at even distances."""
    steps = sorted(set(values))
    place = {value: _place(i, 0, len(steps) - 1) for i, value in enumerate(steps)}
    return Axis(
        name=name,
        at=tuple(place[value] for value in values),
        ticks=tuple((place[value], f"{value:g}") for value in steps),
    )


def logarithmic(name: str, values: Sequence[int]) -> Axis:
    """Make an axis of powers of ten for counts of 1 or more; its ends stand for missing ticks."""
    low, high = min(values), max(values)
    tens = [10**i for i in range(len(str(low)) - 1, len(str(high)))]
    ticks = [factor * ten for ten in tens for factor in (1, 2, 5) if low <= factor * ten <= high]
    if len(ticks) > _MOST_TICKS:
        ticks = [ten for ten in tens if low <= ten <= high]
    if len(ticks) < 2:  # noqa: PLR2004 - one tick tells no scale
        ticks = sorted({low, high})
    ends = math.log(low), math.log(high)
    return Axis(
        name=name,
        at=tuple(_place(math.log(value), *ends) for value in values),
        ticks=tuple((_place(math.log(tick), *ends), _short(tick)) for tick in ticks),
    )


def _place(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _step(low: float, high: float, *, whole: bool) -> float:
    """Return the least of 1, 2, 5, 10, ... that leaves few enough ticks."""
    if low == high:
        return 1
    ten = 10.0 ** math.floor(math.log10((high - low) / _MOST_TICKS))
    steps = [max(ten * factor, 1.0 if whole else 0.0) for factor in (1, 2, 5, 10, 20)]
    return next(s for s in steps if math.floor(high / s) - math.ceil(low / s) < _MOST_TICKS)


def _short(n: int) -> str:
    number, _, unit = short_count(n).partition(" ")
    return f"{float(number):g} {unit}".strip()


def _lines(trials: Sequence[Trial], axes: Sequence[Axis], result: RunResult) -> Figure:
    """Return the points of several lines, with a gap after each."""
    index = {trial.number: i for i, trial in enumerate(result.trials)}
    points = [point for t in trials for point in _line(t, index[t.number], axes, result.n_layers)]
    return {
        "type": "scatter",
        "x": [x for x, _, _ in points],
        "y": [y for _, y, _ in points],
        "text": [text for _, _, text in points],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _line(
    trial: Trial, i: int, axes: Sequence[Axis], n_layers: int
) -> Iterator[tuple[float | None, int | None, str]]:
    text = (
        f"{describe(trial, n_layers)}<br>{trial.n_parameters:,} parameters"
        f"<br>loss {trial.loss:.3f}, ROUGE-L {trial.rouge_l:.2f}"
    )
    yield from ((axis.at[i], row, text) for row, axis in enumerate(axes))
    yield None, None, ""


def _ticks(axes: Sequence[Axis]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [at for axis in axes for at, _ in axis.ticks],
        "y": [row for row, axis in enumerate(axes) for _ in axis.ticks],
        "marker": {"symbol": "line-ns-open", "size": 8, "color": INK},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _layout(axes: Sequence[Axis]) -> Figure:
    line = {"type": "line", "x0": 0, "x1": 1, "layer": "below", "line": {"color": INK, "width": 1}}
    label = {"showarrow": False, "yanchor": "top", "yshift": -5, "borderpad": 0}
    soft = {"bgcolor": "rgba(255,255,255,0.8)", "font": {"size": 11, "color": INK}}
    fixed = {"showgrid": False, "zeroline": False, "fixedrange": True}
    return {
        "height": _ROW_PX * len(axes) + _AROUND_PX,
        "margin": {"l": 10, "r": 20, "t": 25, "b": 10},
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": {**fixed, "range": [-0.04, 1.04], "showticklabels": False},
        "yaxis": {
            **fixed,
            "range": [len(axes) - 0.4, -0.4],
            "tickvals": list(range(len(axes))),
            "ticktext": [axis.name for axis in axes],
            "automargin": True,
        },
        "shapes": [{**line, "y0": row, "y1": row} for row in range(len(axes))],
        "annotations": [
            {**label, **soft, "x": at, "y": row, "text": text}
            for row, axis in enumerate(axes)
            for at, text in axis.ticks
        ],
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "hoverlabel": {"align": "left"},
        "dragmode": False,
    }
