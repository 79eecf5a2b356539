"""`lorecall learn` without a search, beside other people of the same file."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.errors import ConfigError, LorecallError


def learn(history: Path, model: Path, out: Path, *extra: str) -> Result:
    """Learn ada from a file, quickly."""
    sets = ("max_epochs=1", "n_bootstrap=200", "max_response_tokens=16")
    command = ["learn", "--history", str(history), "--user", "ada", "--model", str(model)]
    command += ["--device", "cpu", "--out", str(out), *extra]
    return CliRunner().invoke(app, [*command, *(part for s in sets for part in ("--set", s))])


@pytest.fixture(scope="module")
def compared(
    tmp_path_factory: pytest.TempPathFactory, three_people: Path, model_folder: Path
) -> Path:
    """Return the folder of a run that is compared with two other people."""
    out = tmp_path_factory.mktemp("runs") / "ada"
    done = learn(three_people, model_folder, out, "--others", "2")
    assert done.exit_code == 0, done.output
    assert "other people to compare with" not in done.stderr
    return out


def test_the_result_says_what_is_the_persons_own(compared: Path) -> None:
    """Every field that is promised; nothing of a search, which was not asked for."""
    result = json.loads((compared / "result.json").read_text())
    assert list(result["scores"]) == ["base", "own", "other"]
    assert set(result["scores"]["other"]) == {"loss"}
    personal = result["personal"]
    for name in ("own_less_shared", "gain"):
        assert personal[name]["low"] <= personal[name]["value"] <= personal[name]["high"]
    assert personal["rank"] in {1, 2, 3}
    assert personal["of"] == 3
    assert 0 <= personal["auc"] <= 1
    picked = personal["which_of_eight"]
    assert 0 <= picked["right"] <= picked["of"] <= 12
    assert picked["chance"] == 1 / 8
    assert set(result["sizes"]) == {"bytes", "trainable_parameters"}
    assert set(result["seconds"]) == {"own", "others", "evaluate", "total"}
    assert 0 <= result["factor"] <= 1.5
    assert (result["trials"], result["front"], result["importance"]) == ([], [], {})
    assert (result["hypervolume"], result["chosen_trial"]) == (None, None)
    assert result["settings"]["search"]["searched"] == "none"
    assert not (compared / "study.db").exists()


def test_whom_it_was_compared_with_is_in_the_identity(compared: Path) -> None:
    """The nearest in size first: one has as many samples, one more, the third is too short."""
    identity = json.loads((compared / "run.json").read_text())
    assert [other["user"] for other in identity["others"]] == ["ben", "cleo"]


def test_it_is_shown_on_the_terminal_and_on_the_page(compared: Path) -> None:
    """Everyone's memory, side by side, and no search."""
    shown = CliRunner().invoke(app, ["show", str(compared)], env={"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.output
    for expected in ("another's", "personal gain", "which is theirs", "Replies are drawn"):
        assert expected in shown.stdout
    assert "Pareto" not in shown.stdout
    assert CliRunner().invoke(app, ["report", str(compared)]).exit_code == 0
    page = (compared / "report.html").read_text()
    assert "another person&#39;s memory" in page or "another person's memory" in page
    assert "The search" not in page.partition("<body>")[2]


def test_the_same_command_gives_the_same(
    compared: Path, three_people: Path, model_folder: Path
) -> None:
    """And fewer others are another run, which is refused there."""
    before = (compared / "result.json").read_bytes()
    assert learn(three_people, model_folder, compared, "--others", "2").exit_code == 0
    assert (compared / "result.json").read_bytes() == before
    refused = learn(three_people, model_folder, compared, "--set", "others=1")
    assert isinstance(refused.exception, LorecallError)


def test_where_nobody_else_is_long_enough_it_is_said(
    history_file: Path, model_folder: Path, tmp_path: Path
) -> None:
    """In one line, and the run goes on without."""
    done = learn(history_file, model_folder, tmp_path / "run", "--others", "2")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stderr.splitlines() if "to compare with" in line]
    assert line.endswith(f"{history_file}: 0")
    personal = json.loads((tmp_path / "run" / "result.json").read_text())["personal"]
    assert personal["own_less_shared"]
    names = ("gain", "rank", "of", "auc", "which_of_eight")
    assert {personal[name] for name in names} == {None}
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "run")], env={"COLUMNS": "80"})
    assert "--others 2" in shown.stdout


def test_less_than_nobody_is_refused(
    history_file: Path, model_folder: Path, tmp_path: Path
) -> None:
    """Before anything is loaded."""
    refused = learn(history_file, model_folder, tmp_path / "run", "--others", "-1")
    with pytest.raises(ConfigError, match="others must be in range"):
        raise refused.exception or AssertionError(refused.output)
    assert not (tmp_path / "run").exists()
