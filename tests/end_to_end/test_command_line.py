"""The command line as it is met: help that fits the screen, the order of use, the options' list."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.core.options import read_options
from lorecall.learning.share_settings import SHARE
from lorecall.settings import LEARN


def invoke(*arguments: str) -> Result:
    """Run a command in this process, on a terminal of 80 columns."""
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})


def test_help_of_learn_fits_a_screen() -> None:
    """24 lines of 80 columns, with the eleven options and the way to all others."""
    command = [sys.executable, "-m", "lorecall", "learn", "--help"]
    env = {"COLUMNS": "80", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    lines = shown.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    for name in (
        "user",
        "out",
        "history",
        "data",
        "model",
        "preset",
        "seed",
        "search",
        "others",
        "redact",
    ):
        assert f"--{name} " in shown
    assert all(name in shown for name in ("--json", "--config", "--set", "smoke|laptop|paper"))


def test_commands_come_in_the_order_of_use() -> None:
    """From a file to a memory, and what is done with it."""
    shown = invoke("--help").stdout
    names = [
        line.split()[1] for line in shown.splitlines() if line[:3] == "│ l" or line[:2] == "│ "
    ]
    order = ["data", "learn", "ask", "chat", "show", "report", "export", "scorecard", "bench"]
    order += ["judge", "options"]
    assert [name for name in names if name in order] == order
    assert "--install-completion" in shown


def test_the_version_is_told() -> None:
    """And nothing else done."""
    assert invoke("--version").stdout == f"lorecall {version('lorecall')}\n"


def test_help_of_bench_shows_its_options() -> None:
    """And the command beside it."""
    shown = invoke("bench", "--help").stdout
    assert all(name in shown for name in ("--systems", "--seeds", "--out", "--set", "render"))


@pytest.mark.parametrize("command", ["data", "bench", "judge"])
def test_a_group_alone_shows_its_help(command: str) -> None:
    """Nothing is done by surprise."""
    shown = invoke(command)
    assert "Usage" in shown.output
    assert shown.exit_code == 2


def test_options_are_listed_with_what_they_may_be() -> None:
    """As JSON: every one of `learn` and `bench` once, each by its full name."""
    listed = json.loads(invoke("options", "--json").stdout)["options"]
    by_name = {each["name"]: each for each in listed}
    assert len(by_name) == len(listed)
    trials = by_name["search.trials"]
    assert trials["default"] == {"smoke": 2, "laptop": 8, "paper": 200}
    assert trials["allowed"] == "a whole number, 1 or more"
    assert {
        "seed",
        "train.learning_rate",
        "base.model",
        "run.storage",
        "bench.test_samples",
    } <= set(by_name)


def test_options_are_listed_for_people_and_for_the_docs() -> None:
    """A table on the terminal, and Markdown of which each default reads back as it is."""
    shown = invoke("options").stdout
    assert "search.trials" in shown
    tables = invoke("options", "--markdown").stdout
    assert "### [train]" in tables
    rows = [line.split(" | ") for line in tables.splitlines() if line.startswith("| `")]
    given = [f"{name.strip('| `')}={laptop}" for name, laptop, *_ in rows if "bench." not in name]
    texts = [text for text in given if not text.endswith("=")]  # none of several is no text
    assert len(read_options({**LEARN, **SHARE}, texts=texts)) == len(texts)
