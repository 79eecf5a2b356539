"""The command line: parse, call, print.

Heavy modules are imported inside the commands that need them, so that `--help` is instant. Bad
input ends with one line on standard error and exit code 2.
"""

import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from lorecall.cli.ask import ask
from lorecall.cli.bench import bench_app, scorecard
from lorecall.cli.chat import chat
from lorecall.cli.data import data_app
from lorecall.cli.judge import judge_app
from lorecall.cli.learn import export, learn, report, show
from lorecall.cli.options import options
from lorecall.cli.share import share_app
from lorecall.cli.store import log, remember, rollback, update, verify
from lorecall.cli.store_admin import store_app
from lorecall.cli.store_forget import forget
from lorecall.cli.store_more import diff, import_, keys_app
from lorecall.errors import LorecallError

_IN_ORDER: tuple[typer.Typer | Callable[..., None], ...] = (
    data_app,
    learn,
    ask,
    chat,
    show,
    report,
    export,
    scorecard,
    remember,
    update,
    log,
    diff,
    rollback,
    forget,
    verify,
    import_,
    keys_app,
    store_app,
    share_app,
    bench_app,
    judge_app,
    options,
)
"""Every command, and group of some, in the order of use."""


def _name(command: typer.Typer | Callable[..., None]) -> str:
    if isinstance(command, typer.Typer):
        return str(command.info.name)
    return command.__name__.strip("_")


class _InOrder(TyperGroup):
    """Lists the commands in the order of use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return their names."""
        names = [_name(each) for each in _IN_ORDER]
        return sorted(super().list_commands(ctx), key=names.index)


app = typer.Typer(
    name="lorecall",
    cls=_InOrder,
    help="Personal memory for language models, kept in the weights.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        print(f"lorecall {version('lorecall')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _lorecall(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


for each in _IN_ORDER:
    if isinstance(each, typer.Typer):
        app.add_typer(each)
    else:
        app.command(_name(each))(each)


def main() -> NoReturn:
    """Run the command line; turn every expected error into one line and its exit code."""
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        said = error.format_message().replace("Value error, ", "")
        _fail(f"the command must be as its --help says: {said}")
    except LorecallError as error:
        _fail(str(error), code=error.exit_code)
    except UnicodeError:
        _fail(
            "what is given must be text: expected UTF-8, got other bytes."
            " Convert it, or check the terminal's encoding."
        )
    except OSError as error:
        _fail(
            "the system must take what is read and written: expected room, permission and a path"
            f" that can be, got {error.strerror or error} ({error.filename or 'while writing'})."
            " Make room, or choose another place; what was finished is kept."
        )
    sys.exit(code)


def _fail(line: str, *, code: int = 2) -> NoReturn:
    print(f"error: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
