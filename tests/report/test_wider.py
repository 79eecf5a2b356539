"""A run over a wider space, or with a third objective, as it is shown; others stay as they were."""

import io
from collections.abc import Callable
from dataclasses import replace

import plotly.graph_objects as go
import pytest
from rich.cells import cell_len
from rich.console import Console

from lorecall.learning.result import RunResult
from lorecall.records import InjectionConfig
from lorecall.report import search_figures
from lorecall.report.html import report_page
from lorecall.report.terminal import summary, trial_table
from lorecall.report.words import counts_parameters, further_factors, theta_words
from lorecall.search.records import Hypervolume, Quartiles

MakeResult = Callable[..., RunResult]


def printed(view: object) -> str:
    """Print without colour in 80 columns."""
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(view, highlight=False)
    return console.file.getvalue()


def widened(result: RunResult) -> RunResult:
    """Return every second trial another scaling, and the front a third objective."""

    def config(old: InjectionConfig, number: int) -> InjectionConfig:
        return replace(old, scaling=0.5) if number % 2 else old

    trials = tuple(replace(t, config=config(t.config, t.number)) for t in result.trials)
    share = Quartiles(low=0.01, median=0.02, high=0.03)
    importance = {name: {**shares, "scaling": share} for name, shares in result.importance.items()}
    importance["log2_parameters"] = importance["loss"]
    hypervolume = Hypervolume(reference=(4.45, 8.7, 24.0), trace=(0.1,) * len(trials), stopped="s")
    return result.model_copy(
        update={
            "trials": trials,
            "front": tuple(t for t in trials if t.on_front),
            "config": trials[1].config,
            "chosen_trial": trials[1].number,
            "importance": importance,
            "hypervolume": hypervolume,
        }
    )


def test_theta_tells_what_is_not_the_papers() -> None:
    """And nothing of what is."""
    theta = InjectionConfig(layers=(0, 1), n_loras=2, rank=8)
    assert theta_words(theta, 4) == "2 of 4 layers, 2 modules of rank 8"
    wide = replace(theta, scaling=0.5, inject="response")
    assert theta_words(wide, 4).endswith("rank 8, scaling 0.5, on responses alone")
    assert theta_words(replace(theta, scaling=4.0), 4).endswith("rank 8, scaling 4")


def test_an_ordinary_run_shows_no_further_factor(make_result: MakeResult) -> None:
    """Neither on the terminal nor on the page nor in a figure."""
    result = make_result()
    assert further_factors(result) == ()
    assert not counts_parameters(result)
    page = report_page(result)
    body = page.partition("<body>")[2].partition("<details>")[0]  # plotly before, settings after
    for text in (printed(summary(result)), body):
        assert "scaling" not in text
    assert "The two bars at the right are the number of modules n and the rank r." in page
    assert search_figures.pareto_figure(result)["data"][1]["mode"] == "lines+markers"


def test_the_terminal_has_a_column_a_factor(make_result: MakeResult) -> None:
    """In 80 columns still, values as they were searched."""
    result = widened(make_result(n_trials=8))
    lines = printed(trial_table(result)).splitlines()
    assert " n  r scaling loss" in lines[0]
    row = next(line.split() for line in lines if line.split()[0] == "1")
    assert row[4] == "0.5"
    text = printed(summary(result))
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert "scaling 0.5" in text


def test_the_page_tells_of_them(make_result: MakeResult) -> None:
    """In words, tables, captions and the reference point."""
    page = report_page(widened(make_result(n_trials=8)))
    for expected in (
        '<th scope="col" class="number">scaling</th>',
        '<td class="number">0.5</td>',
        "the rank r and scaling.",
        "16.78 M parameters, counted by their logarithm).",
        "The front has three objectives",
        "For the number of parameters",
        ", scaling 0.5.",
    ):
        assert expected in page


@pytest.mark.parametrize("n_trials", [2, 30])
def test_plotly_accepts_every_figure(make_result: MakeResult, n_trials: int) -> None:
    """Bars for the further factors; a front of three objectives is no line."""
    result = widened(make_result(n_trials=n_trials))
    pareto = search_figures.pareto_figure(result)
    shares = search_figures.importance_figures(result)
    for figure in (pareto, *shares.values()):
        go.Figure(figure)
    assert pareto["data"][1]["mode"] == "markers"
    assert all("parameters" in text for text in pareto["data"][1]["text"])
    loss = shares["validation loss"]
    assert loss["data"][0]["x"][-3:] == ["n", "r", "scaling"]
    assert loss["layout"]["xaxis"]["title"]["text"] == "layer, then n, r, scaling"
