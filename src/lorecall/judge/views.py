"""What `lorecall judge` prints."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lorecall.core.text import plain
from lorecall.judge.agreement import Agreement
from lorecall.judge.probe import Probe
from lorecall.judge.win_rate import WinRate
from lorecall.records import Interval
from lorecall.report.tables import CellText, Column, FittingTable
from lorecall.report.words import counted, percent

_WINS = ("", "wins/all", "wins", "ties", "losses")


def win_rate_view(rates: Sequence[WinRate], probe: Probe | None) -> RenderableType:
    """Show how often systems win, who says so, and whether the judge is to be trusted."""
    parts: list[RenderableType] = [Text(f"judge: {plain(rates[0].judge)}", style="bold")]
    if probe is not None:
        failed = probe.outcome != "passed"
        parts.append(Text(probe.line, style="bold red" if failed else ""))
    wins = [[*_win_row(rate), str(rate.unparsable)] for rate in rates]
    bias = [
        [_title(rate), _percent(rate.flips), _number(rate.first_ahead, sign=True)] for rate in rates
    ]
    notes = (
        "wins/all: ties and unparsable answers count among all; [ ] 95% bootstrap interval",
        "flips: pairs whose label changes with the order the responses are shown in",
        "first ahead: by how much the response shown first is scored higher, of 10",
    )
    headlines = [Text(f"\n{plain(rate.headline)}", style="bold") for rate in rates]
    tables = (
        Text(),
        _table([*_WINS, "unparsable"], wins),
        Text(),
        _table(["position bias", "flips", "first ahead"], bias),
        Text(),
    )
    return Group(*parts, *tables, _dim(notes), *headlines)


def agreement_view(found: Agreement) -> RenderableType:
    """Show how raters agree with each other and with the judge."""
    people = ", ".join(
        f"{plain(rater)} {counted(n, 'label')}"
        + (f" ({found.unlabelled[rater]} missing)" if found.unlabelled[rater] else "")
        for rater, n in found.raters.items()
    )
    parts: list[RenderableType] = [Text(f"sheet {plain(found.sheet)}: {people}")]
    if len(found.raters) > 1:
        rows = [
            ["equal labels", _percent(found.raw)],
            ["Krippendorff's alpha", _number(found.alpha)],
        ]
        note = f"{counted(found.n_shared, 'pair')} with two labels or more"
        parts += [Text(), _table(["among raters", "value"], rows), _dim([note])]
    if found.humans:
        rows = [_win_row(rate) for rate in found.humans]
        parts += [Text(), Text("by the raters' labels", style="bold"), _table(_WINS, rows)]
    if found.judge is not None:
        parts += [Text(), *_against(found)]
    notes = (
        "[ ] 95% bootstrap interval over pairs",
        "-: not defined, as where all labels are equal",
    )
    return Group(*parts, Text(), _dim(notes))


def _against(found: Agreement) -> list[RenderableType]:
    trust = {"passed": "passed its probe", "FAILED": "FAILED ITS PROBE"}
    state = trust.get(found.probe or "", "not probed")
    rows = [
        [
            row.rater,
            str(row.n),
            str(row.unparsable),
            _number(row.pearson),
            _percent(row.accuracy),
        ]
        for row in found.against
    ]
    table = _table(["rater", "pairs", "unparsable", "Pearson", "accuracy"], rows)
    note = "an unparsable answer is no value for Pearson and a miss for accuracy"
    title = Text(f"against the judge: {plain(found.judge or '')}, {state}", style="bold")
    return [title, table, _dim([note])]


def _title(rate: WinRate) -> str:
    return f"{rate.system_a} against {rate.system_b}"


def _win_row(rate: WinRate) -> list[str]:
    return [_title(rate), _percent(rate.rate), *map(str, (rate.wins, rate.ties, rate.losses))]


def _table(headings: Sequence[str], rows: Sequence[Sequence[CellText]]) -> FittingTable:
    columns = [Column(heading=name, is_right=i > 0) for i, name in enumerate(headings)]
    return FittingTable(columns=columns, rows=rows)


def _percent(interval: Interval | None) -> str:
    return "-" if interval is None else percent(interval)


def _number(interval: Interval | None, *, sign: bool = False) -> str:
    if interval is None:
        return "-"
    form = f"{'+' if sign else ''}.2f"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _dim(lines: Sequence[str]) -> Text:
    return Text("\n".join(lines), style="dim")
