"""Pages of the site that are not written by hand.

The command line and the options are made from the code; the tables and the log of experiments are
those of `experiments/`.
"""

import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parent.parent
_TYPER = ("typer", "lorecall.cli.app", "utils", "docs", "--name", "lorecall")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to what mkdocs found in the folder."""
    pages = {
        "reference/command-line.md": _of_command(*_TYPER).replace("# `lorecall`\n", _COMMANDS, 1),
        "reference/options.md": _OPTIONS + _of_command("lorecall", "options", "--markdown"),
        "explain/log.md": _of_experiments("LOG.md"),
        "explain/tables.md": _of_experiments("tables/README.md"),
    }
    for place, content in pages.items():
        files.append(File.generated(config, place, content=content))
    return files


_COMMANDS = """# Commands

Bad input ends with one line on standard error and exit code 2 (a mistyped option with its usage),
Ctrl-C with 130. `--json` prints JSON instead of text.
"""
_OPTIONS = """# Options

What `--set NAME=VALUE` and `--config FILE.toml` take, with the presets' values, as
`lorecall options` prints it. See also [how to use them](../howto/config.md) and
[what some of them trade](../explain/choices.md).

"""


def _of_command(*module: str) -> str:
    done = subprocess.run(  # noqa: S603 - this project's own command
        [sys.executable, "-m", *module], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def _of_experiments(name: str) -> str:
    return (_ROOT / "experiments" / name).read_text(encoding="utf-8")
