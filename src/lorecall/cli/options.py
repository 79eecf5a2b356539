"""`lorecall options`: every option by section, with what it may be and the presets' values."""

from collections.abc import Iterator, Mapping
from typing import Annotated, get_args

import typer

from lorecall.cli.output import print_result
from lorecall.cli.parameters import Json
from lorecall.core.options import Option, options_of
from lorecall.learning.share_settings import SHARE
from lorecall.settings import LEARN, PresetName, presets_of

_PRESETS = ("laptop", "paper")
_WIDTHS = (None, 8, 8, 12, 16)  # of columns, at least; None is as wide as it must be
_HEADINGS = ("option", "laptop", "paper", "may be", "what it is")


def options(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
    as_json: Json = False,
) -> None:
    """List every option that `--set` and `--config` take."""
    from lorecall.bench.settings import BENCH  # noqa: PLC0415

    sections = {**LEARN, **SHARE, **BENCH}
    groups = {name: options_of(group, name) for name, group in sections.items()}
    if markdown:
        print("\n".join(_markdown(groups)))  # noqa: T201
        return
    from lorecall.report.tables import Column, FittingTable  # noqa: PLC0415

    columns = [Column(heading=h, folds_at=w) for h, w in zip(_HEADINGS, _WIDTHS, strict=True)]
    declared = [each for group in groups.values() for each in group]
    table = FittingTable(columns=columns, rows=[_cells(each) for each in declared])
    print_result({"options": [_row(each) for each in declared]}, table, as_json=as_json)


def _row(each: Option) -> dict[str, object]:
    return {
        "name": each.full_name,
        "default": {name: each.default_of(presets_of(name)) for name in get_args(PresetName)},
        "allowed": each.allowed,
        "help": each.says,
    }


def _cells(each: Option) -> tuple[str, ...]:
    defaults = (_text(each.default_of(presets_of(name))) for name in _PRESETS)
    return (each.full_name, *defaults, each.allowed, each.says)


def _text(value: object) -> str:
    """Write a value as `--set` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)


def _markdown(groups: Mapping[str, tuple[Option, ...]]) -> Iterator[str]:
    for section, declared in groups.items():
        yield f"### {f'[{section}]' if section else 'Without a section'}"
        yield ""
        for row in (_HEADINGS, ("---",) * len(_HEADINGS)):
            yield f"| {' | '.join(row)} |"
        for each in declared:
            yield f"| `{each.full_name}` | {' | '.join(_cells(each)[1:])} |"
        yield ""
