"""Another choice from a finished search: trained where it is another theta, and nowhere else."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lorecall.lm.base import BaseModel
from lorecall.memory.artefact import Memory
from lorecall.metrics.scores import SampleScores
from lorecall.records import InjectionConfig

FOLDER = Path(__file__).parents[2] / "experiments"


def scores_of(user: str, system: str, loss: float) -> Any:
    """Stand in for a cell."""
    scores = SampleScores(loss=(loss, loss), rouge1=(1, 2), rougeL=(1, 2), persona_f1=(0, 1))
    return SimpleNamespace(cell=SimpleNamespace(user=user, system=system), scores=scores)


def trial(number: int, loss: float) -> Any:
    """Stand in for a trial."""
    config = InjectionConfig(layers=(number,), n_loras=1, rank=8)
    return SimpleNamespace(number=number, config=config, loss=loss, rougeL=10.0)


@pytest.fixture
def choice(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    make_base: Callable[..., BaseModel],
    make_memory: Callable[..., Memory],
) -> ModuleType:
    """Import the experiment, for two people: one whose choice is the lowest loss already."""
    monkeypatch.syspath_prepend(FOLDER)
    module = importlib.import_module("choice")
    base = make_base("llama", n_layers=3)
    for seed in (0, 1):
        make_memory(base, seed=seed).save(tmp_path / "memories" / f"m{seed}")
    cells = [
        scores_of(f"user-{seed}", system, loss)
        for seed in (0, 1)
        for system, loss in (("memory", 3.0), ("default-lora", 3.5))
    ]
    trials = (trial(0, 4.0), trial(1, 3.0))
    chosen = {"m0": 1, "m1": 0}
    monkeypatch.setattr(module.BaseModel, "load", lambda: base)
    monkeypatch.setattr(module, "finished_cells", lambda _: cells)
    monkeypatch.setattr(
        module, "search_in", lambda f: SimpleNamespace(trials=trials, chosen=chosen[f.name])
    )
    monkeypatch.setattr(module, "load_history", lambda _, user: user)
    monkeypatch.setattr(module, "OUT", tmp_path / "choice.json")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path)])
    return module


def test_only_another_theta_is_trained(
    choice: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The others' scores are the bench's own, and people that are known are not read again."""
    trained: list[tuple[str, tuple[int, ...]]] = []

    class Tried:
        def __init__(self, _base: BaseModel, user: str) -> None:
            self.user, self.scores = user, dict[str, Any]()

        def try_theta(self, name: str, config: InjectionConfig, ways: tuple[str, ...]) -> None:
            trained.append((self.user, config.layers))
            values = {"rouge1": (1, 2), "rougeL": (1, 2), "persona_f1": (0, 1)}
            self.scores[f"{name}, {ways[0]}"] = {"loss": (2.0, 2.0), **values}

    monkeypatch.setattr(choice, "Tried", Tried)
    choice.main()
    choice.main()
    assert trained == [("user-1", (1,))]
    found = json.loads((tmp_path / "choice.json").read_text())
    assert (found["n_people"], found["n_same"], found["n_samples"]) == (2, 1, 4)
    losses = {name: each["loss"]["value"] for name, each in found["differences"].items()}
    assert losses == pytest.approx(
        {"loss less memory": -0.5, "memory less default-lora": -0.5, "loss less default-lora": -1.0}
    )
