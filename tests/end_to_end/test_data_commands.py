"""`lorecall data`: the catalogue, a file's users, and every broken line of a file."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli import app


def invoke(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})


def test_list_names_every_dataset() -> None:
    """As text and as JSON."""
    assert "chitchat" in invoke("data", "list").stdout
    listed = json.loads(invoke("data", "list", "--json").stdout)["datasets"]
    assert [entry["name"] for entry in listed] == ["chitchat"]
    assert {"licence", "origin", "sha256"} <= set(listed[0])


def test_show_of_a_file_lists_its_users(history_file: Path) -> None:
    """A JSONL file is shown as a dataset is, without the catalogue's numbers."""
    shown = json.loads(invoke("data", "show", str(history_file), "--json").stdout)
    assert shown["users"][0]["user"] == "ada"
    assert shown["users"][0]["n_samples"] == 32
    assert "ada" in invoke("data", "show", str(history_file)).stdout


@pytest.mark.real_data
def test_show_of_chitchat_has_the_papers_rows() -> None:
    """Table 1's rows, and as many users as asked for, their ids whole."""
    shown = invoke("data", "show", "chitchat", "--users", "2").stdout
    assert "Len(History)" in shown
    assert "31267496-e50f-4f91-a197-c5b1bfde803b" in shown
    assert shown.count("-4") >= 1


def test_check_of_a_good_file_passes(history_file: Path) -> None:
    """Exit code 0 and the counts."""
    checked = invoke("data", "check", str(history_file))
    assert checked.exit_code == 0
    assert "32 lines, 1 user, 0 problems" in checked.stdout


def test_check_names_every_broken_line(tmp_path: Path) -> None:
    """Exit code 2; each broken line is named with its reason, in text and in JSON."""
    file = tmp_path / "broken.jsonl"
    file.write_text('{"user": "a", "query": "q", "response": "r"}\n{"user": 1}\nnot json\n')
    checked = invoke("data", "check", str(file))
    assert checked.exit_code == 2
    assert "line 2" in checked.stdout
    assert "line 3" in checked.stdout
    value = json.loads(invoke("data", "check", str(file), "--json").stdout)
    assert [problem["line"] for problem in value["problems"]] == [2, 3]
