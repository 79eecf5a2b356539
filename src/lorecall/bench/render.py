"""A bench's folder made readable: `bench.md`, one self-contained `bench.html`, `tables.json`.

Only files of the folder are read, so that it can be rendered again anywhere, without the data.
Texts of users are masked.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from lorecall.bench.answers import Case, cases, dataset_of, write_pair_files
from lorecall.bench.grids_beside import all_grids
from lorecall.bench.markdown import to_markdown
from lorecall.bench.numbers import DatasetTables
from lorecall.bench.plan import BenchPlan
from lorecall.bench.scores import CellScores, finished_cells
from lorecall.bench.tables import tabulate
from lorecall.bench.view import DatasetView, View
from lorecall.core.files import read_json, write_json, write_text
from lorecall.errors import RunError
from lorecall.judge.win_rate import Judged, read_judged, win_rates
from lorecall.learning.folder import RUN_FILE
from lorecall.report import words
from lorecall.report.pages import render_page

MARKDOWN, PAGE, TABLES = "bench.md", "bench.html", "tables.json"
_SMOKE = (
    "Preset smoke: a few samples and trials, to show that all works. Nothing here says how good a"
    " system is."
)


def render_bench(folder: Path, *, judged: Sequence[Path] = (), texts: bool = True) -> View:
    """Write the tables of a bench as far as it is finished, and the pairs for a judge.

    Args:
        folder: The bench's.
        judged: Files of a judge's labels, from `lorecall judge run`.
        texts: Whether to show cases and to write the pairs, and with them what users wrote; without
            it the plan and the scores are all that is read.

    Returns:
        What was written, to be shown elsewhere too.

    Raises:
        RunError: The folder holds no bench.
        DataError: A file of labels cannot be read.
    """
    identity, plan = read_plan(folder)
    labels = [label for path in judged for label in read_judged(path)]
    wanted = set(plan.cells())
    finished = [scores for scores in finished_cells(folder) if scores.cell in wanted]
    if texts:
        write_pair_files(folder, plan, finished)
    tables = tabulate(plan, finished)
    versions = identity["versions"]
    view = View(
        facts=_facts(identity, plan, finished),
        warnings=tuple(_warnings(plan, finished, tables)),
        datasets=tuple(
            dataset_view(each, labels, cases(folder, plan, each.dataset, finished) if texts else ())
            for each in tables
        ),
        settings=words.flat(asdict(plan.settings)),
        versions=words.flat(versions if isinstance(versions, dict) else {}),
    )
    numbers = json.loads(json.dumps([asdict(each) for each in tables]))
    write_json(folder / TABLES, {"facts": dict(view.facts), "datasets": numbers})
    write_text(folder / MARKDOWN, to_markdown(view))
    page = render_page("bench.html.j2", {"view": view}, package="lorecall.bench")
    write_text(folder / PAGE, page)
    return view


def _facts(
    identity: Mapping[str, object], plan: BenchPlan, finished: Sequence[CellScores]
) -> dict[str, str]:
    base, n_layers, dtype = (identity[key] for key in ("base", "n_layers", "base_dtype"))
    machines = sorted({scores.machine for scores in finished if scores.machine})
    facts = {
        "Base model": f"{base}, {n_layers} layers, {dtype}",
        "Preset": plan.settings.preset,
        "Seeds": ", ".join(map(str, plan.seeds)),
        "Systems": ", ".join(plan.systems),
        "Cells": f"{len(finished)} of {len(plan.cells())}",
        "Finished": words.moment(max((s.finished_at for s in finished), default="not yet")),
    }
    return facts | ({"Machine": "; ".join(machines)} if machines else {})


def _warnings(
    plan: BenchPlan, finished: Sequence[CellScores], tables: Sequence[DatasetTables]
) -> list[str]:
    warnings = [_SMOKE] if plan.settings.preset == "smoke" else []
    if len(finished) < len(plan.cells()):
        warnings.append(
            f"{len(finished)} of {len(plan.cells())} cells are finished: the numbers will change."
        )
    warnings += [
        f"{each.dataset}: no cell of {', '.join(each.missing)} is finished; the tables leave"
        f" {'it' if len(each.missing) == 1 else 'them'} out."
        for each in tables
        if each.missing
    ]
    return warnings


def dataset_view(
    tables: DatasetTables, labels: Sequence[Judged], shown: tuple[Case, ...]
) -> DatasetView:
    """Put a dataset's numbers into words.

    Args:
        tables: Its numbers.
        labels: A judge's.
        shown: The cases.
    """
    rates = win_rates([label for label in labels if dataset_of(label.id) == tables.dataset])
    users = words.counted(tables.n_users, "user")
    samples = words.counted(tables.n_samples, "test sample")
    return DatasetView(
        name=Path(tables.dataset).name,
        lead=f"{users} of {tables.n_asked} with every system finished, {samples}.",
        grids=tuple(all_grids(tables, rates)),
        cases=shown,
        signature=tables.signature,
    )


def read_plan(folder: Path) -> tuple[dict[str, object], BenchPlan]:
    """Read what a bench is of: its whole identity, and its plan.

    Raises:
        RunError: The folder holds no bench.
    """
    identity = read_json(folder / RUN_FILE, what="a bench", error=RunError)
    try:
        fields = {name: identity[name] for name in ("sources", "systems", "seeds", "settings")}
        return identity, BenchPlan.from_json(fields)
    except (KeyError, ValidationError) as reason:
        raise RunError(
            "a bench's folder must hold a bench",
            expected=f"what `lorecall bench` wrote in {folder / RUN_FILE}",
            got=f"{type(reason).__name__}: {str(reason).splitlines()[0]}",
            next_step="Check the path.",
        ) from reason
