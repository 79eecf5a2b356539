"""The examples in docstrings say what happens; public names have one."""

import doctest
import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

PACKAGES = ("lorecall.data",)


def modules_of(package: str) -> list[str]:
    """Return the names of a package and of all modules in it."""
    path = importlib.import_module(package).__path__
    return [package, *(m.name for m in pkgutil.walk_packages(path, f"{package}."))]


@pytest.fixture
def _in_a_folder_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where the files are that examples read."""
    rows = [
        {"user": user, "query": f"and on day {i}?", "response": "tea", "conversation": str(i // 3)}
        for user, n in (("ann", 24), ("bob", 2))
        for i in range(n)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "history.jsonl").write_text(lines, encoding="utf-8")
    chat = "02/05/2024, 19:38 - Ann: shall we go\n02/05/2024, 19:39 - Bob: yes to the sea\n"
    (tmp_path / "chat.txt").write_text(chat, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_in_a_folder_with_files")
@pytest.mark.parametrize("name", [name for package in PACKAGES for name in modules_of(package)])
def test_examples_run(name: str) -> None:
    """Every example of a module."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_public_is_what_is_not_private(package: str) -> None:
    """`__all__` holds every name of the package but those of its modules."""
    found = importlib.import_module(package)
    names = {
        name
        for name, value in vars(found).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert sorted(names) == sorted(found.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_have_an_example(package: str) -> None:
    """Every function and class that the package defines."""
    found = importlib.import_module(package)
    without = [
        name
        for name in found.__all__
        if (inspect.isfunction(value := getattr(found, name)) or inspect.isclass(value))
        and value.__module__.startswith(package)
        and ">>>" not in (value.__doc__ or "")
    ]
    assert without == []
