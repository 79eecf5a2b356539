"""`lorecall data`: what is known by name, what a file holds, and whether it can be learnt from."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lorecall.cli.output import print_result
from lorecall.cli.parameters import Json

data_app = typer.Typer(
    name="data", help="Look at histories before learning from them.", no_args_is_help=True
)

DataName = Annotated[str, typer.Argument(help="A dataset's name or a file.")]
NamedFiles = Annotated[
    list[Path] | None,
    typer.Option("--path", help="With a name: a file of that format; may be repeated."),
]


@data_app.command("list")
def data_list(*, as_json: Json = False) -> None:
    """List the datasets known by name."""
    from lorecall.data.catalog import DATASETS  # noqa: PLC0415
    from lorecall.report.tables import dataset_table  # noqa: PLC0415

    entries = [asdict(dataset) for dataset in DATASETS.values()]
    print_result({"datasets": entries}, dataset_table(entries), as_json=as_json)


@data_app.command("show")
def data_show(
    name: DataName,
    *,
    path: NamedFiles = None,
    users: Annotated[int, typer.Option(min=0, help="How many users to list.")] = 10,
    as_json: Json = False,
) -> None:
    """Show a dataset's numbers, its users with the longest histories and what is dropped."""
    from lorecall.data.catalog import describe, summarise  # noqa: PLC0415
    from lorecall.report.tables import description_table, drop_table, user_table  # noqa: PLC0415

    summary = summarise(name, path=path, n_users=users)
    described = describe(name, summary)
    listed = [asdict(user) for user in summary.users]
    views = [description_table(described), user_table(listed), drop_table(summary)]
    value = {"dropped": dict(summary.dropped), "n_problems": summary.n_problems}
    print_result({**described, "users": listed, **value}, *views, as_json=as_json)


@data_app.command("check")
def data_check(
    source: DataName,
    *,
    path: NamedFiles = None,
    pii: Annotated[
        bool, typer.Option("--pii", help="Also count addresses, numbers, handles and secrets.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check every row of a file and who can be learnt; exit code 2 for a broken row or nobody."""
    from lorecall.data.catalog import check  # noqa: PLC0415
    from lorecall.report.tables import check_view  # noqa: PLC0415

    summary = check(source, path=path, pii=pii)
    value = {"source": source, "files": [str(file) for file in path or ()], **summary.as_json()}
    print_result(value, check_view(summary), as_json=as_json)
    if summary.n_problems or summary.refusal:
        sys.exit(2)
