"""What the commands share: the base, what Ctrl-C does, and how things are shown."""

import gc
import json
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lorecall.core.options import Sections, belonging, make, read_options
from lorecall.core.text import printable
from lorecall.settings import BaseOptions

if TYPE_CHECKING:
    from lorecall.core.progress import Reporter
    from lorecall.lm.base import LanguageModel, SharedName
_GOES_ON = "what is finished is kept, and the same command goes on with it"


def given_options(
    sections: Sections, config: Path | None, texts: Iterable[str] | None, **named: object
) -> dict[str, object]:
    """Return the options that were given: named ones before `--set`, before the file.

    Args:
        sections: Which there are.
        config: `--config`.
        texts: `--set`.
        named: Options of the command by full name; None where one was not given.
    """
    values = read_options(sections, file=config, texts=texts or ())
    return values | {name: value for name, value in named.items() if value is not None}


def base_options(values: Mapping[str, object]) -> BaseOptions:
    """Return which base is meant, once it is known to be where its name says."""
    from lorecall.lm.reach import check_name  # noqa: PLC0415

    sections = {"base": BaseOptions}
    found = make(BaseOptions, belonging(sections, values), section="base")
    check_name(found.model)
    return found


def base_from(options: BaseOptions, *, shared: "str | SharedName | None" = None) -> "LanguageModel":
    """Load the base a command was asked to use, with a shared memory that is known to be needed."""
    with to_stay():
        from lorecall.lm.device import set_threads  # noqa: PLC0415
        from lorecall.memory.shared import load_base  # noqa: PLC0415

        set_threads()
        return load_base(
            options.model,
            shared=shared or options.shared,
            device=options.device,
            four_bit=options.four_bit,
        )


def base_of(
    model: str | None,
    device: str | None,
    *,
    four_bit: bool,
    default: str | None = None,
    shared: "str | SharedName | None" = None,
) -> "LanguageModel":
    """Load the base that options of a command name, with the shared memory that is needed."""
    named = {"base.model": model or default, "base.device": device, "base.four_bit": four_bit}
    values = {name: value for name, value in named.items() if value is not None}
    return base_from(base_options(values), shared=shared)


@contextmanager
def to_stay() -> Generator[None]:
    """Import and load what is needed to the end, without looking for garbage in it.

    Python looks through all objects again and again while libraries are imported, and once more
    when it ends: without that, an answer is there a third sooner.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def going_on(then: str = _GOES_ON) -> Generator[None]:
    """Say on Ctrl-C what becomes of what was done, and end with exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        tell(f"stopped: {then}")
        raise typer.Exit(130) from None


@contextmanager
def bars() -> Generator["Reporter"]:
    """Show how far a job is."""
    from rich.console import Console  # noqa: PLC0415

    from lorecall.report.bar import BarReporter  # noqa: PLC0415

    with BarReporter(Console(stderr=True)) as reporter:
        yield reporter


@contextmanager
def reporting(then: str = _GOES_ON) -> Generator["Reporter"]:
    """Show how far a job is; on Ctrl-C say what becomes of it."""
    with going_on(then), bars() as reporter:
        yield reporter


def tell(line: str) -> None:
    """Print a line beside the result, on standard error."""
    print(line, file=sys.stderr)  # noqa: T201


def print_result(value: Mapping[str, object], *views: object, as_json: bool) -> None:
    """Print a value as JSON, or its views for a person."""
    if as_json:
        print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    for view in views:
        is_text = isinstance(view, str)  # what someone wrote: no markup, nothing for the terminal
        console.print(Text(printable(view)) if is_text else view, highlight=False)
