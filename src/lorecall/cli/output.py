"""What every command of the command line shares: options, the base, and how things are shown."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lorecall.lm.base import LanguageModel

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Model = Annotated[
    str | None, typer.Option(help="Base model: a Hugging Face id or a folder.", show_default=False)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
FourBit = Annotated[
    bool, typer.Option("--four-bit", help="Keep the base in 4 bits, for cards of 12 GB.")
]
ReplyLength = Annotated[
    str, typer.Option(help="How long replies are: own, as the person's are, or free.")
]
Finalists = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Trials trained in full, at most, before one is taken: 2 with laptop, else 1.",
        show_default=False,
    ),
]
NoRepeat = Annotated[
    int, typer.Option(min=0, help="Tokens in a row that no reply has twice; 0: any may.")
]
LossOn = Annotated[
    str, typer.Option(help="What is learnt: response, or conversation, the prompts too.")
]


def load_base(model: str | None, device: str, *, four_bit: bool) -> "LanguageModel":
    """Load the base a command was asked to use, the default one where it was not."""
    from lorecall.lm.base import DEFAULT_BASE, LanguageModel  # noqa: PLC0415

    return LanguageModel.load(model or DEFAULT_BASE, device=device, four_bit=four_bit)


def show(value: Mapping[str, object], *views: object, as_json: bool) -> None:
    """Print a value as JSON, or its views for a person."""
    if as_json:
        print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201
        return
    from rich.console import Console  # noqa: PLC0415

    console = Console()
    for view in views:
        console.print(view, highlight=False, markup=not isinstance(view, str))
