"""One self-contained HTML page about a run: nothing is fetched when it is opened."""

from functools import partial
from pathlib import Path

from markupsafe import Markup
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from lorecall.core.files import write_text
from lorecall.learning.result import RunResult
from lorecall.metrics.registry import units
from lorecall.records import InjectionConfig
from lorecall.report import figures, search_figures, words
from lorecall.report.pages import render_page

_CHART = {"displaylogo": False, "displayModeBar": False, "responsive": True}
_MOST = 3  # the highest of the style sheet's levels of blue


def write_report(result: RunResult, path: Path) -> None:
    """Write the page.

    Args:
        result: The run.
        path: The HTML file; it is replaced whole, or left as it was.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall import RunResult, write_report
        >>> write_report(RunResult.load("runs/ann"), Path("ann.html"))
        >>> Path("ann.html").read_text(encoding="utf-8")[:15]
        '<!doctype html>'
    """
    write_text(path, report_page(result))


def report_page(result: RunResult) -> str:
    """Make the page's HTML."""
    panels = [
        (objective, chart(figure, f"importance-{i}"))
        for i, (objective, figure) in enumerate(search_figures.importance_figures(result).items())
    ]
    drawn = {"swapped": figures.swapped(result), "curves": figures.loss_curves(result)}
    if result.hypervolume is not None:
        drawn["pareto"] = search_figures.pareto_figure(result)
        drawn["hypervolume"] = search_figures.hypervolume_figure(result)
    values = {
        "result": result,
        "words": words,
        "plotly": Markup(get_plotlyjs()),  # noqa: S704 - plotly's own file
        "strip": partial(_strip, n_layers=result.n_layers),
        "charts": {name: chart(figure, f"chart-{name}") for name, figure in drawn.items()},
        "panels": panels,
        "systems": words.scored_systems(result),
        "reference": words.reference(result),
        "metrics": words.scored_metrics(result),
        "units": units(words.scored_metrics(result)),
        "factors": words.further_factors(result),
        "n_initial": search_figures.n_initial(result),
    }
    return render_page("report.html.j2", values)


def chart(figure: figures.Figure, name: str) -> Markup:
    """Return a figure as the page holds it, by its name there."""
    html = to_html(
        figure,
        config=_CHART,
        include_plotlyjs=False,  # the page holds it once
        full_html=False,
        validate=False,  # a test does; here it would add plotly's own theme
        div_id=name,
    )
    return Markup(html)  # noqa: S704 - plotly escapes what it writes into its script


def _strip(config: InjectionConfig, n_layers: int) -> list[tuple[int, int, int]]:
    """Return each layer's index, number of modules, and the level of blue that tells it."""
    modules = config.modules_per_layer()
    most = max(modules.values())
    counts = ((layer, modules.get(layer, 0)) for layer in range(n_layers))
    return [(layer, n, max(1, n * _MOST // most) if n else 0) for layer, n in counts]
