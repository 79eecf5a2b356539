"""Hypervolume against trials and against seconds as one SVG, which needs no colour to be read.

Every method has a dash pattern and a marker of its own; the band between its quartiles is shaded.
Curves begin with the last of the initial points, which all methods share.
"""

from collections.abc import Callable, Sequence
from html import escape
from math import log10

import numpy as np
from search_methods import METHODS
from search_rows import Band, Bands

from lorecall.search import Values

_WIDTH, _HEIGHT = 460, 280  # of a panel's axes
_LEFT, _TOP, _GAP = 70, 96, 84
_N_MARKERS = 8
_FONT = 'font-family="sans-serif" font-size="13"'
_FRAME = f'width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#333"'
_COLOURS = ("#0072b2", "#555555", "#d55e00", "#009e73", "#cc79a7", "#b8860b")
_DASHES = ("", "2 4", "8 4", "10 4 2 4", "4 2", "14 5")
_MARKERS = ("circle", "cross", "square", "triangle", "diamond", "ring")

Scale = Callable[[float], float]


def plot(bands: Bands, *, title: str) -> str:
    """Draw a row of two panels for each problem.

    Args:
        bands: What is drawn.
        title: What stands above it all.
    """
    problems = list(dict.fromkeys(problem for problem, _ in bands))
    methods = [name for name in METHODS if any(method == name for _, method in bands)]
    width = 2 * (_WIDTH + _GAP) + _LEFT
    height = _TOP + len(problems) * (_HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_FONT}>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="26" font-size="16">{escape(title)}</text>',
        *(_legend(name, _LEFT + 150 * i) for i, name in enumerate(methods)),
    ]
    for i, problem in enumerate(problems):
        own = {m: band for (p, m), band in bands.items() if p == problem}
        parts += _row(problem, own, y=_TOP + i * (_HEIGHT + _GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(problem: str, bands: dict[str, Band], *, y: int) -> list[str]:
    shown = {name: band.hypervolume[:, band.n_initial - 1 :] for name, band in bands.items()}
    low, high = (float(end([end(part) for part in shown.values()])) for end in (np.min, np.max))
    low, high = max(0.0, low - 0.02), max(high, low + 0.01)
    n = max(len(band.median) for band in bands.values())
    clocks = {name: band.against_seconds() for name, band in bands.items()}
    first = 10.0 ** np.floor(log10(max(1e-3, min(float(c[0]) for c, _ in clocks.values()))))
    last = max(float(clock[-1]) for clock, _ in clocks.values())

    def vertical(share: float) -> float:
        return y + _HEIGHT * (1 - (min(max(share, low), high) - low) / (high - low))

    def trials(t: float) -> float:
        return _LEFT + _WIDTH * (t - 1) / max(1, n - 1)

    def seconds(s: float) -> float:
        over = max(log10(max(last, first * 1.01) / first), 1e-6)
        return _LEFT + _WIDTH + _GAP + _WIDTH * log10(max(s, first) / first) / over

    step = max(1, round(n / 5))
    powers = [
        10.0**k for k in range(round(log10(first)), int(np.floor(log10(max(last, first)))) + 1)
    ]
    parts = _axes(problem, "trials", trials, vertical, [1, *range(step, n + 1, step)], (low, high))
    parts += _axes(problem, "seconds of suggesting", seconds, vertical, powers, (low, high))
    for name, band in bands.items():
        t = np.arange(band.n_initial, len(band.median) + 1, dtype=np.float64)
        parts += _curve(name, t, shown[name], trials, vertical)
        parts += _curve(name, *clocks[name], seconds, vertical)
    return parts


def _axes(
    problem: str,
    label: str,
    across: Scale,
    vertical: Scale,
    ticks: Sequence[float],
    shares: tuple[float, float],
) -> list[str]:
    left, top, bottom = across(ticks[0]), vertical(shares[1]), vertical(shares[0])
    parts = [
        f'<text x="{left:.1f}" y="{top - 10:.1f}" font-weight="bold">{escape(problem)}</text>',
        f'<rect x="{left:.1f}" y="{top:.1f}" {_FRAME}/>',
        _text(left + _WIDTH / 2, bottom + 38, label, "middle"),
    ]
    for tick in ticks:
        x = across(tick)
        parts.append(f'<path d="M{x:.1f} {bottom:.1f}v5" stroke="#333"/>')
        parts.append(_text(x, bottom + 19, f"{tick:g}", "middle"))
    for share in np.linspace(*shares, 5):
        y = vertical(float(share))
        parts.append(f'<path d="M{left:.1f} {y:.1f}h{_WIDTH}" stroke="#ddd"/>')
        parts.append(_text(left - 7, y + 4, f"{share:.0%}", "end"))
    return parts


def _curve(name: str, at: Values, quartiles: Values, across: Scale, vertical: Scale) -> list[str]:
    xs = [across(float(x)) for x in at]
    low, middle, high = ([vertical(float(v)) for v in line] for line in quartiles)
    around = [*zip(xs, low, strict=True), *reversed([*zip(xs, high, strict=True)])]
    line = [*zip(xs, middle, strict=True)]
    colour, dash, marker, shift = _style(name)
    every = max(1, len(line) // _N_MARKERS)
    marked = line[shift * every // len(METHODS) :: every]  # side by side where curves meet
    pen = f'stroke="{colour}" stroke-width="{_stroke(name)}" stroke-dasharray="{dash}"'
    return [
        f'<polygon points="{_points(around)}" fill="{colour}" fill-opacity="0.1"/>',
        f'<polyline points="{_points(line)}" fill="none" {pen}/>',
        *(_marker(marker, x, y, colour) for x, y in marked),
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(name: str, x: float) -> str:
    colour, dash, marker, _ = _style(name)
    return (
        f'<path d="M{x} 52h50" stroke="{colour}" stroke-width="{_stroke(name)}" '
        f'stroke-dasharray="{dash}"/>{_marker(marker, x + 25, 52, colour)}'
        f'<text x="{x + 58}" y="57">{escape(name)}</text>'
    )


def _style(name: str) -> tuple[str, str, str, int]:
    i = METHODS.index(name)
    return _COLOURS[i], _DASHES[i], _MARKERS[i], i


def _stroke(name: str) -> float:
    return 2.6 if name == METHODS[0] else 1.5


def _marker(kind: str, x: float, y: float, colour: str) -> str:
    if kind in {"circle", "ring"}:
        fill = colour if kind == "circle" else "white"
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{fill}" stroke="{colour}"/>'
    shapes = {
        "cross": "m-4 -4l8 8m0 -8l-8 8",
        "square": "m-4 -4h8v8h-8z",
        "triangle": "m0 -5l5 9h-10z",
        "diamond": "m0 -6l5 6l-5 6l-5 -6z",
    }
    fill = "none" if kind == "cross" else colour
    return f'<path d="M{x:.1f} {y:.1f}{shapes[kind]}" fill="{fill}" stroke="{colour}"/>'


def _points(line: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
