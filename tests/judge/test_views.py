"""What `lorecall judge` prints, on any terminal and whatever systems and raters are called."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from lorecall.judge.agreement import agreement
from lorecall.judge.labels import RaterLabels
from lorecall.judge.pairs import Pair
from lorecall.judge.probe import Probe
from lorecall.judge.sheet import make_sheet
from lorecall.judge.views import agreement_view, win_rate_view
from lorecall.judge.win_rate import judge_pairs, win_rates

MakePair = Callable[..., Pair]
HOSTILE = "Bob [/work] [bold]x[/bold]\x1b[2J\u202e"
SEEN = "Bob [/work] [bold]x[/bold]"
WIDTHS = (40, 80, 120)


def printed(view: RenderableType, *, width: int) -> str:
    """Print as the command line does."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(view, highlight=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def scores(_: object) -> tuple[float, float]:
    """Prefer whichever is shown first."""
    return 7.0, 3.0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("system", ["memory", HOSTILE])
def test_win_rates(
    make_pair: MakePair, make_judge: Callable[..., object], width: int, system: str
) -> None:
    """Every number whole, every name as it is written."""
    pairs = [make_pair(f"p{i}", system_a=system) for i in range(25)]
    (rate,) = win_rates(judge_pairs(make_judge(scores), pairs))
    shown = printed(win_rate_view([rate], Probe(wins=rate, outcome="passed")), width=width)
    words = " ".join(shown.split())
    assert (SEEN if system == HOSTILE else system) in words
    assert not {"\x1b", "\u202e"} & set(shown)
    for number in ("0.0% [0.0, 0.0]", "100.0% [100.0, 100.0]", "+4.00 [+4.00, +4.00]"):
        assert number in shown
    assert "…" not in shown


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["ann", HOSTILE])
def test_agreement(
    make_pair: MakePair, make_judge: Callable[..., object], width: int, name: str
) -> None:
    """Of two raters and a judge."""
    pairs = [make_pair(f"p{i}") for i in range(6)]
    sheet = make_sheet(pairs, n=6)
    labels = {entry.pair: 1 if entry.first == "a" else -1 for entry in sheet.key.pairs}
    raters = [
        RaterLabels(rater=rater, sheet=sheet.key.sheet, labels=dict(labels), unlabelled=(7,))
        for rater in (name, "bob")
    ]
    judged = judge_pairs(make_judge(scores), pairs)
    shown = printed(agreement_view(agreement(raters, key=sheet.key, judged=judged)), width=width)
    words = " ".join(shown.split())
    assert f": {SEEN if name == HOSTILE else name}" in words
    assert words.count("6 labels (1 missing)") == 2
    assert "100.0% [100.0, 100.0]" in shown
    assert "all raters" in words
    assert "not probed" in words
    assert "\x1b" not in shown
    assert "…" not in shown
