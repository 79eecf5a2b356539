"""A page about someone in a store: the history of versions, what was forgotten, certificates."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lorecall.core.files import write_text
from lorecall.report.figures import BLUE, GREY, ORANGE, PURPLE, Figure, axis, figure_layout
from lorecall.report.html import chart
from lorecall.report.pages import render_page
from lorecall.store.certificate import Certificate
from lorecall.store.gate import GENERAL
from lorecall.store.histories import History
from lorecall.store.versions import Version

PACKAGE = "lorecall.store"
_SYMBOLS = {"published": "circle", "candidate": "x", "withdrawn": "circle-open"}
_OPEN = "circle-open"
_CHOSEN = {
    "records": "their names",
    "conversation": "a conversation",
    "before": "a time",
    "like": "what they say",
    "everything": "nothing: all of the person",
}


def write_person_page(history: History, path: Path) -> None:
    """Write the page about someone.

    Args:
        history: What it shows.
        path: The HTML file; it is replaced whole, or left as it was.
    """
    values = {
        "history": history,
        "log": history.log,
        "allowed": GENERAL,
        "plotly": Markup(get_plotlyjs()),  # noqa: S704 - plotly's own file
        "charts": [
            (title, label, chart(figure, f"chart-{i}"))
            for i, (title, label, figure) in enumerate(_figures(history))
        ],
        "certificates": [shown(each) for each in history.log.certificates],
    }
    write_text(path, render_page("person.html.j2", values, package=PACKAGE))


def write_certificate_page(certificate: Certificate, path: Path) -> None:
    """Write a page of one certificate, to be printed.

    Args:
        certificate: It, with a signature that holds.
        path: The HTML file.
    """
    values = {"each": shown(certificate)}
    write_text(path, render_page("certificate.html.j2", values, package=PACKAGE))


def shown(certificate: Certificate) -> Mapping[str, object]:
    """Return what a page says of a certificate."""
    said = certificate.payload
    by = _CHOSEN.get(str(said["asked"]), str(said["asked"]))
    return {"payload": said, "by": by, "sha256": certificate.sha256, "key": certificate.key}


def _figures(history: History) -> Iterable[tuple[str, str, Figure]]:
    """Yield each small figure: its title, what it shows for who cannot see it, and itself."""
    versions = history.log.versions
    there = [each for each in versions if each.n in history.measured]
    records = [float(each.n_records) for each in versions]
    megabytes = [each.n_bytes / 1e6 for each in versions]
    yield (
        "Records",
        "line of records by version",
        _figure(history, [_line("records", versions, records, ORANGE)]),
    )
    yield (
        "Size in the store, MB",
        "line of megabytes by version",
        _figure(history, [_line("MB", versions, megabytes, BLUE)]),
    )
    if there:
        own = [history.measured[each.n].valid for each in there]
        before = [history.measured[each.n].valid_before for each in there]
        lines = [_line("with it", there, own, ORANGE), _line("without", there, before, GREY)]
        yield (
            "Validation loss, nats per token",
            "lines of loss with and without the memory",
            _figure(history, lines),
        )
    if history.gains:
        read = [each for each in versions if each.n in history.gains]
        gains = [history.gains[each.n].value for each in read]
        yield (
            "Personal gain, nats per token",
            "line of personal gain by version",
            _figure(history, [_line("gain", read, gains, PURPLE)]),
        )


def _line(name: str, versions: Sequence[Version], values: Sequence[float], color: str) -> Figure:
    return {
        "type": "scatter",
        "name": name,
        "mode": "lines+markers",
        "x": [each.made for each in versions],
        "y": values,
        "text": [f"v{each.n}, {each.state}" for each in versions],
        "line": {"color": color, "width": 2, "dash": "dot" if color == GREY else "solid"},
        "marker": {"size": 9, "symbol": [_SYMBOLS.get(v.state, _OPEN) for v in versions]},
        "hovertemplate": "%{text}: %{y:.4~g}",
    }


def _figure(history: History, data: Sequence[Figure]) -> Figure:
    """Draw lines over time, with an upright one where something was forgotten."""
    layout = figure_layout(x="", y="") | {"height": 240, "showlegend": len(data) > 1}
    layout["xaxis"] = {**axis(""), "nticks": 5, "tickangle": 0}
    layout["shapes"] = [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": each.payload["made"],
            "x1": each.payload["made"],
            "y0": 0,
            "y1": 1,
            "line": {"color": GREY, "width": 1, "dash": "dash"},
        }
        for each in history.log.certificates
    ]
    return {"data": [*data], "layout": layout}
