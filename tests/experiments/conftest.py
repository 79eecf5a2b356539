"""Experiments, which are no package, and settings that train in an instant."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lorecall.lm.base import BaseModel
from lorecall.settings import TrainSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import an experiment, or a part of a benchmark, by its name."""
    for folder in ("benchmarks", "experiments"):
        monkeypatch.syspath_prepend(ROOT / folder)
    return importlib.import_module


@pytest.fixture
def load_for(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, BaseModel], ModuleType]:
    """Import an experiment that loads a base: it gets this one."""

    def loaded(name: str, base: BaseModel) -> ModuleType:
        module = load(name)
        monkeypatch.setattr(module.BaseModel, "load", lambda: base)
        return module

    return loaded


@pytest.fixture
def one_epoch() -> TrainSettings:
    """Give settings of one epoch and short, free answers."""
    return TrainSettings(
        learning_rate=2e-2, batch_size=4, max_epochs=1, max_response_tokens=8, reply_length="free"
    )
