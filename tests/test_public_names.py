"""Public names: which they are, that they cost nothing until they are used, and their examples."""

import ast
import doctest
import importlib
import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lorecall
from lorecall.lm.families.tiny import tiny_base
from made_up import write_crowd

PACKAGES = (
    "lorecall",
    "lorecall.bench",
    "lorecall.core",
    "lorecall.data",
    "lorecall.lm",
    "lorecall.memory",
    "lorecall.metrics",
    "lorecall.search",
    "lorecall.store",
    "lorecall.systems",
    "lorecall.train",
)
NOT_NAMES = {"TYPE_CHECKING", "lazy_names"}
ROOT = {"lorecall.errors", "lorecall.records", "lorecall.settings"}
SOURCE = Path(lorecall.__file__).parent
REPOSITORY = Path(__file__).parents[1]
TABLE = REPOSITORY / "experiments" / "tables" / "chitchat-spaces"
OUTSIDE = sorted(
    path
    for folder in ("benchmarks", "examples", "experiments")
    for path in (REPOSITORY / folder).glob("*.py")
)
EACH = pytest.mark.parametrize("name", PACKAGES)


def source_of(module: str) -> str:
    """Return the text of a module of the package, which is not imported for it."""
    place = SOURCE.parent.joinpath(*module.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return file.read_text(encoding="utf-8")


def described(node: ast.AST, name: str) -> Iterator[tuple[str, ast.Constant]]:
    """Yield the docstrings below a node, each with the dotted name of what it describes.

    They are read off the source, for attributes have some too, which `doctest` does not see.
    """
    subject = name
    for child in getattr(node, "body", ()):
        match child:
            case ast.Expr(ast.Constant(str()) as text):
                yield subject, text
            case ast.Assign([ast.Name(own)]) | ast.AnnAssign(ast.Name(own)):
                subject = f"{name}.{own}"
            case ast.ClassDef(own) | ast.FunctionDef(own):
                yield from described(child, f"{name}.{own}")


def docstrings_of(module: str) -> dict[str, ast.Constant]:
    """Return the docstrings of a module by the dotted names of what they describe."""
    return dict(described(ast.parse(source_of(module)), module))


def homes_of(package: str) -> dict[str, str]:
    """Return what a type checker sees imported by a package: name -> the module it comes from."""
    nodes = (n for n in ast.walk(ast.parse(source_of(package))) if isinstance(n, ast.ImportFrom))
    found = {alias.name: str(node.module) for node in nodes for alias in node.names}
    return {name: home for name, home in found.items() if name not in NOT_NAMES}


MODULES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@EACH
def test_what_is_public_is_what_is_not_private(name: str) -> None:
    """For a type checker, for `dir`, and when it is used."""
    package = importlib.import_module(name)
    assert homes_of(name).keys() == set(package.__all__) == set(dir(package))
    for each in package.__all__:
        assert getattr(package, each) is not None


@EACH
def test_another_name_is_an_attribute_error(name: str) -> None:
    """As Python does."""
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        importlib.import_module(name).nothing  # noqa: B018


@EACH
def test_a_package_alone_costs_nothing(name: str) -> None:
    """None of what takes long is there before a name is used, and no variable is set."""
    code = f"""if True:
        import os, sys
        before = dict(os.environ)
        import {name}
        heavy = {{"torch", "jax", "optuna", "numpy", "scipy", "pydantic", "rich"}}
        print(heavy & {{*sys.modules}}, dict(os.environ) == before)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set() True"


@pytest.fixture(scope="module")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what examples read: histories, a bench, Ann's run on a tiny base, a shared memory."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "bench").mkdir()
    for file in ("run.json", "scores.jsonl"):
        shutil.copy(TABLE / file, folder / "bench")
    write_history(folder / "history.jsonl", {"ann": ("tea", 24), "bob": ("jazz", 2)})
    tells = {"ada": ("tea and rain on day {i}", 24), "bob": ("jazz on day {i}", 24)}
    write_history(folder / "two.jsonl", tells, timed=True)
    chat = "02/05/2024, 19:38 - Ann: shall we go\n02/05/2024, 19:39 - Bob: yes to the sea\n"
    (folder / "chat.txt").write_text(chat, encoding="utf-8")
    lorecall.learn(
        lorecall.load_history(folder / "history.jsonl", user="ann"),
        out=folder / "runs" / "ann",
        base=tiny_base(),
        settings=lorecall.preset("smoke"),
    )
    tiny = tiny_base()
    tiny.model.save_pretrained(folder / "base")
    tiny.tokenizer.save_pretrained(folder / "base")
    lorecall.share_learn(
        str(write_crowd(folder / "crowd.jsonl")),
        out=folder / "shared",
        consent="they were made up",
        base=lorecall.load_base(str(folder / "base"), shared="none"),
        settings=lorecall.ShareSettings(replies=40, valid=8, rank=2),
    )
    return folder


def write_history(path: Path, people: dict[str, tuple[str, int]], *, timed: bool = False) -> None:
    """Write what people answered on so many days, three to a conversation."""
    rows = (
        {"user": user, "query": f"and on day {i}?", "response": response.format(i=i)}
        | {"conversation": str(i // 3)}
        | ({"time": 60 * i} if timed else {})
        for user, (response, n) in people.items()
        for i in range(n)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def _beside_files(_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where the files are that examples read, in a copy that they may change."""
    shutil.copytree(_prepared, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")


@pytest.mark.usefixtures("_beside_files")
@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str) -> None:
    """Every example of a module; it imports what it uses, and stands where the site shows it."""
    parser = doctest.DocTestParser()
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for name, text in docstrings_of(module).items():
        if ">>>" in text.value:
            assert "\nExamples:\n" in inspect.cleandoc(text.value), name
            assert "+SKIP" not in text.value, name
            runner.run(parser.get_doctest(text.value, {}, name, module, text.lineno - 1))
    assert runner.failures == 0


@EACH
def test_public_names_are_described(name: str) -> None:
    """Each where it is defined, functions and classes with an example."""
    package = importlib.import_module(name)
    without: list[str] = []
    for each, home in homes_of(name).items():
        text = docstrings_of(home).get(f"{home}.{each}")
        value = getattr(package, each)
        shown = inspect.isfunction(value) or isinstance(value, type)
        if text is None or (shown and ">>>" not in text.value):
            without.append(each)
    assert without == []


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_scripts_use_public_names_alone(path: Path) -> None:
    """What is beside the package needs nothing that a user cannot have."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert all(
                alias.name in PACKAGES or not alias.name.startswith("lorecall.")
                for alias in node.names
            )
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "lorecall":
            assert node.module in {*PACKAGES, *ROOT}
            public = getattr(importlib.import_module(str(node.module)), "__all__", None)
            names = {alias.name for alias in node.names}
            assert not {name for name in names if name.startswith("_")}
            assert public is None or names <= {*public}
