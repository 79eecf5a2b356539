"""Experiments, which are no package, and settings that train in an instant."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lorecall.lm.base import LanguageModel
from lorecall.settings import TrainSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], ModuleType]:
    """Import an experiment, or a part of a benchmark, by its name; its results go elsewhere."""
    for folder in ("benchmarks", "experiments"):
        monkeypatch.syspath_prepend(ROOT / folder)

    def loaded(name: str) -> ModuleType:
        module = importlib.import_module(name)
        for kept in ("OUT", "ROWS"):
            if isinstance(path := getattr(module, kept, None), Path):
                monkeypatch.setattr(module, kept, tmp_path / path.name)
        return module

    return loaded


@pytest.fixture
def load_for(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, LanguageModel], ModuleType]:
    """Import an experiment that loads a base: it gets this one."""

    def loaded(name: str, base: LanguageModel) -> ModuleType:
        module = load(name)
        monkeypatch.setattr(module.LanguageModel, "load", lambda: base)
        return module

    return loaded


@pytest.fixture
def one_epoch() -> TrainSettings:
    """Return settings of one epoch and short, free answers."""
    return TrainSettings(
        learning_rate=2e-2, batch_size=4, max_epochs=1, max_response_tokens=8, reply_length="free"
    )
