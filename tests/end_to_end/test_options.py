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


def test_a_memory_on_responses_trained_side_by_side(tmp_path: Path, learn_command: Command) -> None:
    """`--inject response --together 2`: both are in the result, and the memory answers."""
    out = tmp_path / "run"
    found = learnt(learn_command(out, "--inject", "response", "--together", "2"), out)
    assert found["config"]["inject"] == "response"
    assert found["settings"]["search"]["batch"] == 2
    assert found["settings"]["search"]["together"] is True
    assert len(found["trials"]) == 3
    answered = invoke("ask", "--memory", str(out), "--json", "do you like tea?")
    assert answered.exit_code == 0, answered.output


def test_a_memory_of_whole_conversations(tmp_path: Path, learn_command: Command) -> None:
    """`--loss-on conversation`: told in the result; refused with `--inject response`."""
    out = tmp_path / "run"
    found = learnt(learn_command(out, "--loss-on", "conversation"), out)
    assert found["settings"]["train"]["loss_on"] == "conversation"
    both = ("--loss-on", "conversation", "--inject", "response")
    refused = invoke(*learn_command(tmp_path / "other", *both))
    assert isinstance(refused.exception, LorecallError)
    assert not (tmp_path / "other").exists()


def test_a_final_of_two(tmp_path: Path, learn_command: Command) -> None:
    """`--finalists 2`: what becomes the memory is one of two trained in full, and is named."""
    out = tmp_path / "run"
    found = learnt(learn_command(out, "--finalists", "2"), out)
    assert found["settings"]["search"]["finalists"] == 2
    (taken,) = [t for t in found["trials"] if t["number"] == found["chosen_trial"]]
    assert taken["config"] == found["config"]
    kept = json.loads((out / "memory" / "manifest.json").read_text())["theta"]
    assert kept["layers"] == found["config"]["layers"]
    stage = json.loads((out / "stages" / "memory.json").read_text())
    assert stage["taken"] in (0, 1)


def test_a_base_in_four_bits(tmp_path: Path, learn_command: Command) -> None:
    """`--four-bit`: learnt and asked on a base in 4 bits, which the run's identity names."""
    out = tmp_path / "run"
    learnt(learn_command(out, "--four-bit"), out)
    assert json.loads((out / "run.json").read_text())["base_dtype"] == "nf4"
    answered = invoke("ask", "--memory", str(out), "--four-bit", "do you like tea?")
    assert answered.exit_code == 0, answered.output


def test_two_workers_after_a_screening(tmp_path: Path, learn_command: Command) -> None:
    """`--workers 2 --screen 3 --early-stop`: every trial once, the best of the screening first."""
    out = tmp_path / "run"
    options = ("--workers", "2", "--screen", "3", "--early-stop", "--search", "rank+layer")
    found = learnt(learn_command(out, *options), out)
    assert len(found["trials"]) == 3
    assert (out / "workers" / "1.log").exists()
    storage = f"sqlite:///{out / 'study.db'}"
    names = sorted(optuna.get_all_study_names(storage), key=len)
    assert names[1] == f"{names[0]}-screen"
    main, screen = (optuna.load_study(study_name=n, storage=storage) for n in names)
    assert len(screen.get_trials(states=[TrialState.COMPLETE])) == 3
    screened = [trial.params for trial in screen.trials]
    assert main.trials[0].params in screened
    assert "n_loras" not in main.trials[0].params
    models = [json.dumps(trial["config"], sort_keys=True) for trial in found["trials"]]
    assert len(set(models)) == 3


def test_a_second_person_starts_from_the_first(tmp_path: Path, learn_command: Command) -> None:
    """`--warm-start`: the first run's best theta is among the first tried; the identity says so."""
    first, second = tmp_path / "first", tmp_path / "second"
    before = learnt(learn_command(first), first)
    found = learnt(learn_command(second, "--warm-start", str(first), "--seed", "1"), second)
    fronts = [trial["config"] for trial in before["front"]]
    assert found["trials"][0]["config"] in fronts
    assert len(json.loads((second / "run.json").read_text())["warm_start"]) == 1


def test_a_wider_space_from_a_narrower_run(tmp_path: Path, learn_command: Command) -> None:
    """`--wide --third-objective --workers --warm-start`: all of it in the result, and shown."""
    first, second = tmp_path / "first", tmp_path / "second"
    before = learnt(learn_command(first, "--surrogate", "map"), first)
    assert not {"scalings", "dropouts", "third_objective"} & before["settings"]["search"].keys()
    options = ("--wide", "scaling,dropout", "--third-objective", "parameters", "--workers", "2")
    cheap = ("--surrogate", "map", "--trials", "5")
    command = learn_command(second, *options, *cheap, "--warm-start", str(first))
    found = learnt(command, second)
    assert found["trials"][0]["config"] in [trial["config"] for trial in before["trials"]]
    assert found["settings"]["search"]["scalings"] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert len(found["hypervolume"]["reference"]) == 3
    configs = [trial["config"] for trial in found["trials"]]
    factors = {(config["scaling"], config.get("dropout", 0)) for config in configs}
    assert len(factors) > 1
    assert all(s in (0.5, 1, 2, 4, 8) and d in (0, 0.05, 0.1) for s, d in factors)
    manifest = json.loads((second / "memory" / "manifest.json").read_text())
    assert manifest["theta"] == found["config"]
    assert "dropout" in invoke("show", str(second)).output
    assert invoke("report", str(second)).exit_code == 0
    assert learnt(command, second) == found


def test_a_budget_in_minutes_ends_the_search(tmp_path: Path, learn_command: Command) -> None:
    """A tenth of a minute is over long before a thousand trials are."""
    out = tmp_path / "run"
    options = ("--trials", "1000", "--initial", "1000", "--budget", "0.1")
    started = time.monotonic()
    found = learnt(learn_command(out, *options), out)
    assert "minutes is spent" in found["hypervolume"]["stopped"]
    assert 1 <= len(found["trials"]) < 1000
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--search", "alpha"), "what is searched must be known: expected all or layer"),
        (("--budget", "0"), "budget_min must be in range"),
        (("--budget", "nan"), "budget_min must be in range"),
        (("--warm-start", "nowhere"), "nowhere"),
        (("--wide", "alpha"), "a factor must be known: expected scaling or dropout, got 'alpha'"),
        (("--third-objective", "bytes"), "expected parameters, got 'bytes'"),
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
