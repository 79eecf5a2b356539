"""Options and arguments that several commands take, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from lorecall.settings import PresetName

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

Model = Annotated[
    str | None, typer.Option(help="Base: a folder, or a Hugging Face id.", show_default=False)
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default=False)]
FourBit = Annotated[
    bool, typer.Option("--four-bit", help="Keep the base in 4 bits, for cards of 12 GB.")
]

Preset = Annotated[
    PresetName | None, typer.Option(help="How much is computed; laptop.", show_default=False)
]
Seed = Annotated[int | None, typer.Option(help="Of everything random; 0.", show_default=False)]
ZeroSeed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Config = Annotated[
    Path | None, typer.Option(help="TOML file of further options.", show_default=False)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One more: see `lorecall options`."),
]

FormatFiles = Annotated[
    list[Path] | None, typer.Option("--history", help="Files of that format.", metavar="FILE")
]
DatasetFiles = Annotated[
    list[Path] | None, typer.Option(help="A file of the dataset's format; may be repeated.")
]
FinishedRun = Annotated[
    Path | None,
    typer.Argument(
        help="A run's folder, made by `lorecall learn`.", metavar="FOLDER", show_default=False
    ),
]
MemoryFolder = Annotated[
    Path | None, typer.Option(help="A run's folder, or the memory in it.", show_default=False)
]

Temperature = Annotated[
    float, typer.Option(help="Draw tokens: 0 the likeliest, 1 as likely as they are.")
]
TopP = Annotated[
    float, typer.Option(help="Draw from the likeliest that make up so much.", show_default=False)
]
MinP = Annotated[float, typer.Option(help="Draw none below this share of the likeliest.")]
DrawSeed = Annotated[int, typer.Option(help="Seed of the draws.", show_default=False)]

StoreAt = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="LORECALL_STORE",
        help="The store's folder, or postgresql://USER@HOST/DATABASE.",
        metavar="PLACE",
        show_default=False,
    ),
]
KeysAt = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="LORECALL_KEYS",
        help="The folder of its keys; STORE-keys beside it otherwise.",
        show_default=False,
    ),
]
Who = Annotated[str, typer.Argument(help="Whose.", metavar="PERSON")]
PersonAt = Annotated[
    str | None,
    typer.Option(
        "--person", help="Someone in the store, or a version of theirs.", metavar="PERSON[@N]"
    ),
]
