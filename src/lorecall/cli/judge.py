"""`lorecall judge`: win rates by a judge, and how far people agree with it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lorecall.cli.output import base_of, print_result, reporting
from lorecall.cli.parameters import Device, FourBit, Json, ZeroSeed
from lorecall.errors import ConfigError

if TYPE_CHECKING:
    from lorecall.judge.judge import Judge

judge_app = typer.Typer(
    name="judge", help="Win rates by a judge, checked against people.", no_args_is_help=True
)

Pairs = Annotated[
    Path, typer.Argument(help="JSONL file of pairs of responses, as `lorecall bench` writes it.")
]
JudgeKind = Literal["local", "endpoint", "stand-in"]
JudgedBy = Annotated[
    JudgeKind, typer.Option(help="Who judges; the stand-in, by word overlap, is for tests.")
]
LabelsOut = Annotated[
    Path, typer.Option(help="JSONL file for the judge's labels; the same one goes on.")
]
JudgeModel = Annotated[
    str | None,
    typer.Option(help="Base model, an id or a folder; or the endpoint's.", show_default=False),
]
Url = Annotated[
    str | None,
    typer.Option(help="Endpoint: http://HOST:PORT/v1; masked texts go there.", show_default=False),
]
ProbeN = Annotated[
    int, typer.Option("--probe-n", min=1, help="Samples of the sanity probe, at most.")
]
DespiteProbe = Annotated[
    bool, typer.Option("--despite-probe", help="Go on with a judge that failed its probe.")
]


@judge_app.command("run")
def judge_run(  # noqa: PLR0913 - one parameter an option
    pairs: Pairs,
    *,
    judge: JudgedBy,
    out: LabelsOut,
    model: JudgeModel = None,
    url: Url = None,
    device: Device = None,
    four_bit: FourBit = False,
    probe_n: ProbeN = 50,
    despite_probe: DespiteProbe = False,
    seed: ZeroSeed = 0,
    as_json: Json = False,
) -> None:
    """Judge every pair in both orders, after a sanity probe of the judge.

    Answers are kept beside the labels until they are written: a killed run asks nothing twice.
    """
    from lorecall.core.jsonl import write_records  # noqa: PLC0415
    from lorecall.judge.cached import CachedJudge  # noqa: PLC0415
    from lorecall.judge.pairs import read_pairs  # noqa: PLC0415
    from lorecall.judge.probe import probe_judge, require_passed  # noqa: PLC0415
    from lorecall.judge.views import win_rate_view  # noqa: PLC0415
    from lorecall.judge.win_rate import judge_pairs, win_rates  # noqa: PLC0415

    given = read_pairs(pairs)
    answers = out.with_name(f"{out.name}.answers")
    with reporting() as reporter:
        asked = _make_judge(judge, model, url, device=device, four_bit=four_bit, seed=seed)
        chosen = CachedJudge(asked, answers, seed=seed)
        reporter.plan(min(probe_n, len(given)) + len(given))
        reporter.doing("probing the judge")
        probe = probe_judge(chosen, given, n=probe_n, seed=seed, on_judged=reporter.finish)
        if not despite_probe:
            require_passed(probe, chosen)
        reporter.doing("judging")
        judged = judge_pairs(chosen, given, probe=probe.outcome, on_judged=reporter.finish)
    write_records(out, judged)
    for file in (answers, answers.with_suffix(".lock")):
        file.unlink(missing_ok=True)
    rates = win_rates(judged, seed=seed)
    value = {
        "labels": str(out),
        "judge": chosen.name,
        "probe": {"outcome": probe.outcome, "line": probe.line}
        | (asdict(probe.wins) if probe.wins else {}),
        "win_rates": [{"headline": rate.headline} | asdict(rate) for rate in rates],
    }
    print_result(value, win_rate_view(rates, probe), f"\nwrote {out}", as_json=as_json)


@judge_app.command("sheet")
def judge_sheet(
    pairs: Pairs,
    *,
    out: Annotated[Path, typer.Option(help="A folder of its own for the sheet and its key.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many pairs.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    as_json: Json = False,
) -> None:
    """Write blind pairs for people to label: one HTML page, and the same as CSV."""
    from lorecall.judge.pairs import read_pairs  # noqa: PLC0415
    from lorecall.judge.sheet import (  # noqa: PLC0415
        KEY,
        SHEET_CSV,
        SHEET_HTML,
        make_sheet,
        write_sheet,
    )

    sheet = make_sheet(read_pairs(pairs), n=n, seed=seed)
    write_sheet(sheet, out)
    files = {"page": SHEET_HTML, "csv": SHEET_CSV, "key": KEY}
    places = {name: str(out / file) for name, file in files.items()}
    print_result(
        {"sheet": sheet.key.sheet, "n": n, "seed": seed} | places,
        f"wrote {n} pairs for raters: {places['page']}, or {places['csv']}",
        f"keep from them: {places['key']}",
        as_json=as_json,
    )


@judge_app.command("agree")
def judge_agree(
    labels: Annotated[list[Path], typer.Argument(help="CSV files of labels, one a rater.")],
    *,
    judge: Annotated[
        Path | None,
        typer.Option(help="The judge's labels, from `lorecall judge run`.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="The sheet's key; key.json beside the labels.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare people's labels with each other and with a judge's."""
    from lorecall.judge.agreement import agreement  # noqa: PLC0415
    from lorecall.judge.labels import read_labels  # noqa: PLC0415
    from lorecall.judge.sheet import KEY, read_key  # noqa: PLC0415
    from lorecall.judge.views import agreement_view  # noqa: PLC0415
    from lorecall.judge.win_rate import read_judged  # noqa: PLC0415

    raters = read_labels(labels)
    beside = labels[0].with_name(KEY)
    place = key or (beside if beside.is_file() else None)
    found = agreement(
        raters,
        key=read_key(place) if place else None,
        judged=read_judged(judge) if judge else (),
        seed=seed,
    )
    print_result(asdict(found), agreement_view(found), as_json=as_json)


def _make_judge(
    kind: JudgeKind,
    model: str | None,
    url: str | None,
    *,
    device: str | None,
    four_bit: bool,
    seed: int,
) -> "Judge":
    if kind == "stand-in":
        from lorecall.judge.judge import StandInJudge  # noqa: PLC0415

        return StandInJudge()
    if kind == "local":
        from lorecall.judge.local import LocalJudge  # noqa: PLC0415

        return LocalJudge(base_of(model, device, four_bit=four_bit))
    if model is None or url is None:
        raise ConfigError(
            "a judge behind an endpoint has a name and an address",
            expected="--model NAME --url http://HOST[:PORT]/v1",
            got="no --model" if model is None else "no --url",
            next_step="Texts go to that address, masked; the key is read from OPENAI_API_KEY.",
        )
    from lorecall.judge.endpoint import EndpointJudge  # noqa: PLC0415

    return EndpointJudge(model, url, seed=seed)
