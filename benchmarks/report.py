"""What every benchmark leaves behind: rows of one shape as JSON, and a table for the terminal.

This module knows nothing of what is measured. A figure never goes without what says that the
variants computed the same: its equivalence.
"""

import json
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import torch
from rich.table import Table

from lorecall import LorecallError
from lorecall.lm import choose_compute, cpu_name

PACKAGES = ("lorecall", "torch", "transformers", "peft", "accelerate")
FASTER_IS_LESS = ("_s", "_bytes")  # endings of the metrics of which less is better
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one variant in one case; no figure where `note` says why there is none.

    `equivalence` tells how far the variant's results are from the reference's: name -> difference,
    or share that is the same. It is None for the reference itself.
    """

    case: str
    variant: str
    metric: str
    median: float | None
    min: float | None
    max: float | None
    equivalence: Mapping[str, float] | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        case: str,
        variant: str,
        metric: str,
        *,
        values: Sequence[float],
        equivalence: Mapping[str, float] | None = None,
        note: str = "",
    ) -> "Row":
        """Sum repeated figures up."""
        known = sorted(values)
        return cls(
            case=case,
            variant=variant,
            metric=metric,
            median=median(known) if known else None,
            min=known[0] if known else None,
            max=known[-1] if known else None,
            equivalence=equivalence,
            note=note,
        )


def machine(device: torch.device) -> dict[str, object]:
    """Describe what the figures were taken on."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    flags = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")
    found: dict[str, object] = {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "flags": {flag: bool(capabilities.get(flag)) for flag in flags},
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found["gpu"] = properties.name
        found["gpu_memory_bytes"] = properties.total_memory
    return found


def slug(text: str) -> str:
    """Make a name fit for a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def result_name(benchmark: str, device: torch.device, *, model: str = "") -> str:
    """Name the file of a result after the benchmark, the device, the machine and the model.

    Processors of one name differ in whether they multiply bf16, so the name says so.
    """
    if device.type == "cuda":
        place = slug(torch.cuda.get_device_name(device))
    else:
        native = "-bf16" if choose_compute("cpu").dtype == torch.bfloat16 else ""
        place = f"{slug(cpu_name())}{native}-{len(os.sched_getaffinity(0))}-cores"
    return "-".join([benchmark, device.type, place, *([slug(model)] if model else [])]) + ".json"


def write_result(
    path: Path,
    *,
    machine: Mapping[str, object],
    settings: Mapping[str, object],
    rows: Sequence[Row],
) -> None:
    """Write machine, settings and rows as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "settings": settings, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def comparison(
    rows: Sequence[Row],
    *,
    reference: str,
    against: Sequence[str],
    title: str,
    metrics: Sequence[str],
) -> Table:
    """Lay figures out, one line a case and metric, with how many times better the reference is.

    Args:
        rows: The rows.
        reference: The variant that is compared.
        against: The variants it is compared with, one figure, ratio and equivalence each.
        title: What the table shows.
        metrics: The metrics to show; rows without a metric are shown as a remark below.
    """
    table = Table(title=title, title_justify="left", show_lines=True)
    for heading in ("case", "metric", reference):
        table.add_column(heading)
    for other in against:
        table.add_column(other)
        table.add_column(f"{reference} against {other}")
        table.add_column("equivalence")
    found = {(row.case, row.metric, row.variant): row for row in rows}
    for case, metric in dict.fromkeys((row.case, row.metric) for row in rows):
        if metric not in metrics:
            continue
        own = found.get((case, metric, reference))
        cells = [case, metric, _figure(own)]
        for other in against:
            theirs = found.get((case, metric, other))
            cells += [_figure(theirs), ratio(own, theirs), _equivalence(theirs)]
        table.add_row(*cells)
    for row in rows:
        if not row.metric:
            table.add_row(row.case, row.variant, row.note)
    return table


def ratio(own: Row | None, theirs: Row | None) -> str:
    """Tell how many times better the first is, in the direction that is better."""
    if own is None or theirs is None or not own.median or not theirs.median:
        return "-"
    less = own.metric.endswith(FASTER_IS_LESS) and not own.metric.endswith("_per_s")
    times = theirs.median / own.median if less else own.median / theirs.median
    return f"{times:.2f}x"


def _figure(row: Row | None) -> str:
    if row is None:
        return "-"
    if row.median is None or row.min is None or row.max is None:
        return row.note or "-"
    if row.metric.endswith("_bytes"):
        return f"{row.median / _GIB:.2f} GiB"
    spread = "" if row.min == row.max else f" ({row.min:.3g} to {row.max:.3g})"
    return f"{row.median:.3g}{spread}"


def _equivalence(row: Row | None) -> str:
    if row is None or not row.equivalence:
        return "-"
    return ", ".join(
        f"{name} {value:.0%}" if name.endswith("_same") else f"{name} {value:.0e}"
        for name, value in row.equivalence.items()
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def command(main: Callable[[], None]) -> None:
    """Run a benchmark's command line; what was given wrong ends it with one line and code 2."""
    try:
        main()
    except LorecallError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
