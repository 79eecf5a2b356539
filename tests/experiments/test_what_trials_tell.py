"""What trials tell: made-up trials of which it is known what they depend on."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lorecall.search.space import InjectionSpace

N_LAYERS, N_TRIALS = 6, 40


@pytest.fixture
def made_up(load: Callable[[str], ModuleType]) -> list[dict[str, Any]]:
    """Make trials whose loss is their size, and whose ROUGE-L is their first layer's and noise."""
    space, rng = InjectionSpace(n_layers=N_LAYERS, max_loras=8), np.random.default_rng(0)
    trials: list[dict[str, Any]] = []
    for params in load("real_trials").drawn(space, N_TRIALS):
        theta = space.config(params)
        n_parameters = 100 * sum(theta.ranks().values())
        loss = 4 - 0.1 * float(np.log(n_parameters))
        scores = 10 + 5 * (0 in theta.ranks()) + rng.normal(size=4)
        trial: dict[str, Any] = {
            "params": params,
            "loss": loss,
            "rougeL": float(scores.mean()),
            "rouge_l": scores.tolist(),
            "n_parameters": n_parameters,
            "curve": [[0.0, 4.0], [0.5, loss + 0.1], [1.0, loss]],
        }
        if len(trials) % 2 == 0:
            trial["cheap"] = {"loss": loss + 0.2, "rougeL": float(rng.normal())}
        trials.append(trial)
    return trials


def test_what_they_depend_on_is_found(
    load: Callable[[str], ModuleType],
    made_up: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The loss is ranked by size and early readings; ROUGE-L is predicted from layers alone."""
    experiment = load("what_trials_tell")
    path = tmp_path / "trials-ann.json"
    path.write_text(json.dumps({"trials": made_up}))
    monkeypatch.setattr(sys, "argv", ["x", str(path)])
    experiment.main()
    found = json.loads(experiment.OUT.read_text())["trials-ann"]
    assert found["n_trials"] == N_TRIALS
    for guess in ("parameters", "loss at epoch 0.5", "screening's loss"):
        assert found["loss"]["ranked by"][guess]["value"] == pytest.approx(1.0)
    assert found["loss"]["predicted"]["sizes"] > 0.8
    assert found["rougeL"]["predicted"]["sizes and layers"] > 0.7
    assert found["rougeL"]["predicted"]["sizes"] < 0.5
    assert 0.2 < found["rougeL"]["standard error of a difference"] < 2.0


def test_trials_without_screenings_rank_nothing_by_them(
    load: Callable[[str], ModuleType], made_up: list[dict[str, Any]]
) -> None:
    """What is not known is not there, rather than made up."""
    trials = [{key: value for key, value in trial.items() if key != "cheap"} for trial in made_up]
    found = load("what_trials_tell").told_by(trials)
    assert found["loss"]["ranked by"]["screening's loss"] is None
    assert found["rougeL"]["ranked by"]["parameters"] is not None
