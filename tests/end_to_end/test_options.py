"""Options of `lorecall learn`, each through a whole run."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.errors import LorecallError

Command = Callable[..., list[str]]


def invoke(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments))


def learnt(command: list[str], out: Path) -> dict[str, object]:
    """Learn, and read the result."""
    result = invoke(*command)
    assert result.exit_code == 0, result.output
    return json.loads((out / "result.json").read_text())


def test_a_memory_on_responses(tmp_path: Path, learn_command: Command) -> None:
    """`inject=response batch=2`: both are in the result, and the memory answers."""
    out = tmp_path / "run"
    found = learnt(learn_command(out, "--set", "inject=response", "--set", "batch=2"), out)
    assert found["config"]["inject"] == "response"
    assert found["settings"]["search"]["batch"] == 2
    assert len(found["trials"]) == 3
    answered = invoke("ask", "--memory", str(out), "--json", "do you like tea?")
    assert answered.exit_code == 0, answered.output


def test_a_final_of_two(tmp_path: Path, learn_command: Command) -> None:
    """`finalists=2`: what becomes the memory is one of two trained in full, and is named."""
    out = tmp_path / "run"
    found = learnt(learn_command(out, "--set", "finalists=2"), out)
    assert found["settings"]["search"]["finalists"] == 2
    (taken,) = [t for t in found["trials"] if t["number"] == found["chosen_trial"]]
    assert taken["config"] == found["config"]
    kept = json.loads((out / "memory" / "manifest.json").read_text())["theta"]
    assert kept["layers"] == found["config"]["layers"]


def test_a_base_in_four_bits(tmp_path: Path, learn_command: Command) -> None:
    """`four_bit=true`: learnt and asked on a base in 4 bits, which the run's identity names."""
    out = tmp_path / "run"
    learnt(learn_command(out, "--set", "four_bit=true"), out)
    assert json.loads((out / "run.json").read_text())["base_dtype"] == "nf4"
    answered = invoke("ask", "--memory", str(out), "--four-bit", "do you like tea?")
    assert answered.exit_code == 0, answered.output


def test_two_workers_on_two_factors(tmp_path: Path, learn_command: Command) -> None:
    """Every trial once, on a space without n."""
    out = tmp_path / "run"
    found = learnt(learn_command(out, "--set", "workers=2", "--search", "rank+layer"), out)
    assert len(found["trials"]) == 3
    assert (out / "workers" / "1.log").exists()
    storage = f"sqlite:///{out / 'study.db'}"
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).get_trials(
        states=[TrialState.COMPLETE]
    )
    assert all("n_loras" not in trial.params for trial in trials)
    models = [json.dumps(trial["config"], sort_keys=True) for trial in found["trials"]]
    assert len(set(models)) == 3


def test_options_from_a_file(tmp_path: Path, learn_command: Command) -> None:
    """A preset's are those of the file, before it `--set`, before that the named ones."""
    file, out = tmp_path / "options.toml", tmp_path / "run"
    file.write_text(
        "seed = 4\n[train]\nlearning_rate = 1e-3\nbatch_size = 4\n[search]\nsearched = 'rank'\n"
    )
    command = learn_command(out, "--config", str(file), "--set", "batch_size=2", "--search", "n")
    settings = learnt(command, out)["settings"]
    assert (settings["seed"], settings["train"]["learning_rate"]) == (4, 1e-3)
    assert (settings["train"]["batch_size"], settings["search"]["searched"]) == (2, "n")


def test_a_second_person_starts_from_the_first(tmp_path: Path, learn_command: Command) -> None:
    """`warm_start`: the first run's best theta is among the first tried; the identity says so."""
    first, second = tmp_path / "first", tmp_path / "second"
    before = learnt(learn_command(first), first)
    found = learnt(learn_command(second, "--set", f"warm_start={first}", "--seed", "1"), second)
    fronts = [trial["config"] for trial in before["front"]]
    assert found["trials"][0]["config"] in fronts
    assert len(json.loads((second / "run.json").read_text())["warm_start"]) == 1


def test_a_wider_space_from_a_narrower_run(tmp_path: Path, learn_command: Command) -> None:
    """`scalings third_objective workers warm_start`: in the result, and shown."""
    first, second = tmp_path / "first", tmp_path / "second"
    before = learnt(learn_command(first, "--set", "surrogate=map"), first)
    assert before["settings"]["search"]["scalings"] == [1.0]
    options = (
        "--set",
        "scalings=0.5,1,2,4,8",
        "--set",
        "third_objective=parameters",
        "--set",
        "workers=2",
    )
    cheap = ("--set", "surrogate=map", "--set", "trials=5")
    command = learn_command(second, *options, *cheap, "--set", f"warm_start={first}")
    found = learnt(command, second)
    assert found["trials"][0]["config"] in [trial["config"] for trial in before["trials"]]
    assert found["settings"]["search"]["scalings"] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert len(found["hypervolume"]["reference"]) == 3
    configs = [trial["config"] for trial in found["trials"]]
    factors = {config["scaling"] for config in configs}
    assert 1 < len(factors & {0.5, 1, 2, 4, 8}) == len(factors)
    manifest = json.loads((second / "memory" / "manifest.json").read_text())
    assert manifest["theta"] == found["config"]
    assert "scaling" in invoke("show", str(second)).output
    assert invoke("report", str(second)).exit_code == 0
    assert learnt(command, second) == found


def test_a_budget_in_minutes_ends_the_search(tmp_path: Path, learn_command: Command) -> None:
    """A tenth of a minute is over long before a thousand trials are."""
    out = tmp_path / "run"
    options = ("--set", "trials=1000", "--set", "initial=1000", "--set", "budget_min=0.1")
    started = time.monotonic()
    found = learnt(learn_command(out, *options), out)
    assert "minutes is spent" in found["hypervolume"]["stopped"]
    assert 1 <= len(found["trials"]) < 1000
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--set", "searched=alpha"), "searched must be known: expected none or paper"),
        (("--set", "budget_min=0"), "budget_min must be in range"),
        (("--set", "budget_min=nan"), "budget_min must be in range"),
        (("--set", "warm_start=nowhere"), "nowhere"),
        (("--set", "scalings=2,1"), "scalings must be in ascending order"),
        (("--set", "third_objective=bytes"), "expected parameters, got 'bytes'"),
    ],
)
def test_bad_options_are_one_line(
    options: tuple[str, str], line: str, tmp_path: Path, learn_command: Command
) -> None:
    """They are refused before any work, and no folder is made."""
    result = invoke(*learn_command(tmp_path / "run", *options))
    assert isinstance(result.exception, LorecallError)
    assert line in str(result.exception)
    assert not (tmp_path / "run").exists()
