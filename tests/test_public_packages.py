"""Packages whose names are imported when they are used: what is public, and its examples."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = (
    "lorecall",
    "lorecall.bench",
    "lorecall.core",
    "lorecall.lm",
    "lorecall.metrics",
    "lorecall.systems",
    "lorecall.train",
)
PUBLIC = {*PACKAGES, "lorecall.data", "lorecall.search"}
ROOT = {"lorecall.errors", "lorecall.records", "lorecall.settings"}
OUTSIDE = sorted(
    path
    for folder in ("benchmarks", "examples", "experiments")
    for path in (Path(__file__).parents[1] / folder).glob("*.py")
)
WITH_EXAMPLES = ("lorecall.bench", "lorecall.metrics")
TABLE = Path(__file__).parents[1] / "experiments" / "tables" / "chitchat-spaces"
EACH = pytest.mark.parametrize("name", PACKAGES)


def modules_of(package: str) -> list[str]:
    """Return the names of a package and of all modules in it."""
    path = importlib.import_module(package).__path__
    return [package, *(m.name for m in pkgutil.walk_packages(path, f"{package}."))]


def imported(package: str) -> set[str]:
    """Return what a type checker sees imported by a package that is not private."""
    source = inspect.getsource(importlib.import_module(package))
    nodes = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom))
    names = {alias.asname or alias.name for node in nodes for alias in node.names}
    return {name for name in names if not name.startswith("_")} - {"TYPE_CHECKING", "lazy_names"}


@EACH
def test_what_is_public_is_what_is_not_private(name: str) -> None:
    """For a type checker, for `dir`, and when it is used."""
    package = importlib.import_module(name)
    assert imported(name) == set(package.__all__) == set(dir(package))
    for each in package.__all__:
        assert getattr(package, each) is not None


@EACH
def test_another_name_is_an_attribute_error(name: str) -> None:
    """As Python does."""
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        importlib.import_module(name).nothing  # noqa: B018


@EACH
def test_a_package_alone_costs_nothing(name: str) -> None:
    """Neither torch nor scipy nor numpy is there before a name is used."""
    heavy = "{'torch', 'numpy', 'scipy', 'pydantic', 'rich'} & {*sys.modules}"
    code = f"import sys, {name}; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture
def _beside_a_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where the examples find the folder of a bench and two people's history."""
    (tmp_path / "bench").mkdir()
    for file in ("run.json", "scores.jsonl"):
        shutil.copy(TABLE / file, tmp_path / "bench")
    rows = (
        f'{{"user": "{user}", "query": "and on day {i}?", "response": "{tells} on day {i}",'
        f' "conversation": "{i // 3}", "time": {60 * i}}}\n'
        for user, tells in (("ada", "tea and rain"), ("bob", "jazz"))
        for i in range(24)
    )
    (tmp_path / "two.jsonl").write_text("".join(rows))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_beside_a_bench")
@pytest.mark.parametrize("name", [m for package in PACKAGES[1:] for m in modules_of(package)])
def test_examples_run(name: str) -> None:
    """Every example of a module."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_what_can_be_called_has_an_example(name: str) -> None:
    """Functions, and what is made by hand; records that are only given back have none."""
    package = importlib.import_module(name)
    without = [
        each
        for each in package.__all__
        if inspect.isfunction(value := getattr(package, each))
        and ">>>" not in (value.__doc__ or "")
    ]
    assert without == []


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_scripts_use_public_names_alone(path: Path) -> None:
    """What is beside the package needs nothing that a user cannot have."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert all(
                alias.name in {"lorecall", *PUBLIC} or not alias.name.startswith("lorecall.")
                for alias in node.names
            )
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "lorecall":
            assert node.module in PUBLIC | ROOT
            public = getattr(importlib.import_module(str(node.module)), "__all__", None)
            names = {alias.name for alias in node.names}
            assert not {name for name in names if name.startswith("_")}
            assert public is None or names <= {*public}
