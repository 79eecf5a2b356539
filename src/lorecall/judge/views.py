"""What `lorecall judge` prints."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lorecall.judge.agreement import Agreement
from lorecall.judge.probe import Probe
from lorecall.judge.win_rate import WinRate
from lorecall.records import Interval
from lorecall.report.words import counted, percent, plain

_WINS = ("", "wins/all", "wins", "ties", "losses")


def win_rate_view(rates: Sequence[WinRate], probe: Probe | None) -> RenderableType:
    """Show how often systems win, who says so, and whether the judge is to be trusted."""
    parts: list[RenderableType] = [Text(f"judge: {plain(rates[0].judge)}", style="bold")]
    if probe is not None:
        failed = probe.outcome != "passed"
        parts.append(Text(probe.line, style="bold red" if failed else ""))
    table = _table(*_WINS, "unparsable")
    bias = _table("position bias", "flips", "first ahead")
    for rate in rates:
        title, *cells = _win_row(rate)
        table.add_row(title, *cells, str(rate.unparsable))
        bias.add_row(title, _percent(rate.flips), _number(rate.first_ahead, sign=True))
    notes = (
        "wins/all: ties and unparsable answers count among all; [ ] 95% bootstrap interval",
        "flips: pairs whose label changes with the order the responses are shown in",
        "first ahead: by how much the response shown first is scored higher, of 10",
    )
    headlines = [Text(f"\n{plain(rate.headline)}", style="bold") for rate in rates]
    return Group(*parts, Text(), table, Text(), bias, Text(), _dim(notes), *headlines)


def agreement_view(found: Agreement) -> RenderableType:
    """Show how raters agree with each other and with the judge."""
    people = ", ".join(
        f"{plain(rater)} {counted(n, 'label')}"
        + (f" ({found.unlabelled[rater]} missing)" if found.unlabelled[rater] else "")
        for rater, n in found.raters.items()
    )
    parts: list[RenderableType] = [Text(f"sheet {found.sheet}: {people}")]
    if len(found.raters) > 1:
        table = _table("among raters", "value")
        table.add_row("equal labels", _percent(found.raw))
        table.add_row("Krippendorff's alpha", _number(found.alpha))
        parts += [
            Text(),
            table,
            _dim([f"{counted(found.n_shared, 'pair')} with two labels or more"]),
        ]
    if found.humans:
        table = _table(*_WINS)
        for rate in found.humans:
            table.add_row(*_win_row(rate))
        parts += [Text(), Text("by the raters' labels", style="bold"), table]
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
    table = _table("rater", "pairs", "unparsable", "Pearson", "accuracy")
    for row in found.against:
        table.add_row(
            plain(row.rater),
            str(row.n),
            str(row.unparsable),
            _number(row.pearson),
            _percent(row.accuracy),
        )
    note = "an unparsable answer is no value for Pearson and a miss for accuracy"
    title = Text(f"against the judge: {plain(found.judge or '')}, {state}", style="bold")
    return [title, table, _dim([note])]


def _win_row(rate: WinRate) -> list[str]:
    counts = (rate.wins, rate.ties, rate.losses)
    title = f"{plain(rate.system_a)} against {plain(rate.system_b)}"
    return [title, _percent(rate.rate), *map(str, counts)]


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _percent(interval: Interval | None) -> str:
    return "-" if interval is None else percent(interval)


def _number(interval: Interval | None, *, sign: bool = False) -> str:
    if interval is None:
        return "-"
    form = f"{'+' if sign else ''}.2f"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _dim(lines: Sequence[str]) -> Text:
    return Text("\n".join(lines), style="dim")
