"""A whole run with a search, from the command line: what it leaves; that it goes on when killed."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.errors import LorecallError

Command = Callable[..., list[str]]


def invoke(*arguments: str) -> Result:
    """Run a command in this process; errors of the package come back in `.exception`."""
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, history_file: Path, model_folder: Path
) -> Path:
    """Return the folder of one finished run."""
    out = tmp_path_factory.mktemp("runs") / "ada"
    result = invoke(
        "learn",
        *("--history", str(history_file), "--user", "ada", "--model", str(model_folder)),
        *("--device", "cpu", "--out", str(out), "--search", "paper", "--set", "trials=3"),
        *("--set", "initial=2", "--set", "samples=8", "--set", "max_epochs=1"),
    )
    assert result.exit_code == 0, result.output
    return out


def read_result(folder: Path) -> dict[str, object]:
    """Read `result.json`."""
    return json.loads((folder / "result.json").read_text())


def test_result_has_every_documented_field(finished: Path) -> None:
    """`result.json` holds what the README and the issue promise."""
    result = read_result(finished)
    theta = {"layers", "n_loras", "rank", "placement", "scaling", "inject", "form"}
    assert set(result["config"]) == theta
    assert set(result["scores"]) == {"base", "own", "default-lora"}
    for scores in result["scores"].values():
        assert set(scores) == {"loss", "rouge1", "rougeL", "persona_f1"}
        for interval in scores.values():
            assert interval["low"] <= interval["value"] <= interval["high"]
    seconds = result["seconds"]
    assert set(seconds) == {"own", "search", "default-lora", "evaluate", "total"}
    parts = [seconds[name] for name in ("own", "search", "default-lora", "evaluate")]
    assert min(parts) > 0
    assert seconds["total"] == pytest.approx(sum(parts))
    assert result["personal"]["own_less_shared"] == result["difference_to_shared"]["own"]["loss"]
    assert set(result["sizes"]) == {"trainable_parameters", "bytes"}
    assert len(result["trials"]) == 3
    assert 1 <= len(result["front"]) <= 3
    assert result["user"] == "ada"
    assert result["dataset"] == "ada.jsonl"
    assert result["signature"]["rougeL"].startswith("rougeL|rouge-score")


def test_systems_are_read_on_the_test_split(finished: Path) -> None:
    """What each system is read on is the test part: its size, and each system once."""
    result = read_result(finished)
    for name in ("base", "default-lora", "own"):
        stage = json.loads((finished / "stages" / f"{name}.json").read_text())
        assert len(stage["losses"]) == result["split"]["test"]
        assert len(stage["responses"]) == result["split"]["test"]
        assert stage["shown"] == [reply["responses"][name] for reply in result["replies"]]


def test_memory_manifest_names_its_training(finished: Path) -> None:
    """The manifest holds sample ids and a hash, and no text of the person."""
    text = (finished / "memory" / "manifest.json").read_text()
    manifest = json.loads(text)
    assert len(manifest["training"]["sample_ids"]) == read_result(finished)["split"]["train"]
    assert manifest["base"]["fingerprint"]
    assert "always" not in text


def test_a_redacted_run_is_another_run(finished: Path, learn_command: Command) -> None:
    """What `--redact` changes is part of the identity: the folder of another run is refused."""
    result = invoke(*learn_command(finished, "--redact"))
    assert isinstance(result.exception, LorecallError)
    assert "settings.redact" in str(result.exception)


def test_second_call_gives_the_same_result(finished: Path, learn_command: Command) -> None:
    """A finished run started again changes nothing."""
    before = (finished / "result.json").read_bytes()
    result = invoke(*learn_command(finished, "--json"))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(before)
    assert (finished / "result.json").read_bytes() == before


def test_other_settings_are_refused_in_the_same_folder(
    finished: Path, learn_command: Command
) -> None:
    """Another seed is another run and does not go into this folder."""
    result = invoke(*learn_command(finished, "--seed", "1"))
    assert isinstance(result.exception, LorecallError)
    assert "settings" in str(result.exception)


def test_ask_answers_with_and_without(finished: Path) -> None:
    """`ask --compare` prints both answers, `--json` as JSON."""
    result = invoke("ask", "--memory", str(finished), "--compare", "--json", "do you like tea?")
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)["replies"]) == {"without", "memory"}
    alone = invoke("ask", "--memory", str(finished), "do you like tea?")
    assert alone.exit_code == 0, alone.output


def test_ask_refuses_another_base(finished: Path, other_model_folder: Path) -> None:
    """A memory for another base is refused by its hash."""
    result = invoke("ask", "--memory", str(finished), "--model", str(other_model_folder), "hello")
    assert isinstance(result.exception, LorecallError)
    assert "base it was trained for" in str(result.exception)


def test_show_prints_theta_and_scores(finished: Path, tmp_path: Path) -> None:
    """`show` prints the result, as text, as JSON and as a picture."""
    picture = tmp_path / "run.svg"
    result = invoke("show", str(finished), "--svg", str(picture))
    assert result.exit_code == 0, result.output
    assert "ROUGE-L" in result.stdout
    assert picture.read_text().startswith("<svg")
    assert json.loads(invoke("show", str(finished), "--json").stdout) == read_result(finished)


def test_report_is_written_beside_the_result(finished: Path) -> None:
    """`report` writes one HTML page."""
    result = invoke("report", str(finished))
    assert result.exit_code == 0, result.output
    assert "<html" in (finished / "report.html").read_text()[:200]


def test_export_writes_a_peft_adapter(finished: Path, tmp_path: Path) -> None:
    """`export` writes an adapter and the length of replies; it refuses a folder of other things."""
    assert invoke("export", str(finished), "--peft", str(tmp_path / "adapter")).exit_code == 0
    assert {file.name for file in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "generation_config.json",
    }
    manifest = json.loads((finished / "memory" / "manifest.json").read_text())
    assert (manifest["no_repeat"], bool(manifest["stop_ids"])) == (3, True)
    refused = invoke("export", str(finished), "--peft", str(finished))
    assert isinstance(refused.exception, LorecallError)


def test_lost_weights_are_trained_again(
    finished: Path, tmp_path: Path, learn_command: Command
) -> None:
    """A finished run whose memory was lost is not called finished: the same command mends it."""
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    before = (copy / "memory" / "memory.safetensors").read_bytes()
    (copy / "memory" / "memory.safetensors").unlink()
    result = invoke(*learn_command(copy))
    assert result.exit_code == 0, result.output
    assert (copy / "memory" / "memory.safetensors").read_bytes() == before


def count_complete(database: Path) -> int:
    """Count the finished trials in a study's file, from outside."""
    if not database.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=1) as connection:
            query = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # its tables are not there yet


def test_killed_run_goes_on(tmp_path: Path, learn_command: Command) -> None:
    """After kill -9 in the search, the same command keeps every trial and repeats none."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "lorecall", *learn_command(out, "--set", "trials=6")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while count_complete(out / "study.db") < 2:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "result.json").exists()
    before = finished_trials(out / "study.db")

    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    after = finished_trials(out / "study.db")
    assert before.items() <= after.items(), "a finished trial was lost or changed"
    thetas = [json.dumps(trial["config"]) for trial in read_result(out)["trials"]]
    assert len(thetas) == 6
    assert len(set(thetas)) == 6, "a theta was tried twice"


def finished_trials(database: Path) -> dict[int, tuple[float, ...]]:
    """Read the values of the finished trials by trial id."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT t.trial_id, v.objective, v.value FROM trials t JOIN trial_values v"
            " ON v.trial_id = t.trial_id WHERE t.state = 'COMPLETE' ORDER BY 1, 2"
        ).fetchall()
    values: dict[int, tuple[float, ...]] = {}
    for trial, _, value in rows:
        values[trial] = (*values.get(trial, ()), value)
    return values
