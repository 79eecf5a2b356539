"""The public names of the package, and the examples beside them."""

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lorecall import search

MODULES = [module.name for module in pkgutil.iter_modules(search.__path__)]


def test_what_is_public_is_what_is_not_private() -> None:
    """Every public name can be taken; nothing else that can be is without an underscore."""
    for name in search.__all__:
        assert getattr(search, name) is not None
    found = {
        name
        for name, value in vars(search).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert found - {"lazy_names", "TYPE_CHECKING"} == {*search.__all__}
    assert dir(search) == sorted(search.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As Python does."""
    with pytest.raises(AttributeError, match=r"module 'lorecall.search' has no attribute 'no'"):
        importlib.import_module("lorecall.search").no  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    """Its own import brings in neither torch nor JAX nor Optuna, and sets no variable."""
    code = """if True:
        import os, sys
        before = dict(os.environ)
        import lorecall.search
        print({"torch", "jax", "optuna"} & set(sys.modules), dict(os.environ) == before)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set() True"


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    """Every example in a docstring says what happens."""
    tried = doctest.testmod(importlib.import_module(f"lorecall.search.{name}"))
    assert tried.failed == 0


@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_others_import_public_names_only(folder: str) -> None:
    """Benchmarks and examples do with what the package names."""
    for path in (Path(__file__).parents[2] / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "lorecall.search"
            ):
                assert node.module == "lorecall.search", path
                assert {alias.name for alias in node.names} <= {*search.__all__}, path
