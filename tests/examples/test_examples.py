"""Every example runs, on tiny bases and made-up people, and prints what it is for."""

import ast
import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.lm.families.tiny import tiny_base

EXAMPLES = Path(__file__).parents[2] / "examples"
PUBLIC = ("lorecall", *(f"lorecall.{room}" for room in ("bench", "data", "metrics", "search")))
Run = Callable[..., str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a tiny base in a folder, as `save_pretrained` writes it."""
    folder = tmp_path_factory.mktemp("model")
    base = tiny_base("llama")
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run an example in a folder of its own and return what it prints."""
    monkeypatch.chdir(tmp_path)

    def run_example(name: str, *arguments: str) -> str:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main(arguments)
        return capsys.readouterr().out

    return run_example


def test_every_example_is_run_here() -> None:
    """A new example needs a test."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert all(f'run("{path.stem}"' in source for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_public_names_are_enough(path: Path) -> None:
    """`lorecall`, and its packages by what their `__all__` names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lorecall"):
            assert node.module in PUBLIC
            assert {each.name for each in node.names} <= {
                *importlib.import_module(node.module).__all__
            }
        elif isinstance(node, ast.Import):
            assert all(each.name == "lorecall" for each in node.names if "lorecall" in each.name)


def test_own_export_and_its_adapter(run: Run, model: str) -> None:
    """From a chat's export to a reply; the same memory then goes to peft."""
    out = run("own_export", "--model", model)
    assert "0 problems" in out
    assert "Ann 40 samples\n" in out
    assert "The memory will speak as Ann" in out
    assert out.splitlines()[-1].startswith("memory:")
    assert Path("runs/own-export/memory/manifest.json").is_file()
    out = run("export_peft", "runs/own-export", "--out", "adapter", "--model", model)
    assert "adapter_config.json" in out
    moved = next(line for line in out.splitlines() if line.startswith("the adapter moves"))
    assert float(moved.split()[-1]) > 0


def test_learn_and_reply(run: Run, model: str, tmp_path: Path) -> None:
    """Both queries are answered by the memory that was read back."""
    history = tmp_path / "history.jsonl"
    history.write_text(
        "".join(
            f'{{"user": "ada", "query": "and on day {i}?", "response": "tea on day {i}",'
            f' "conversation": "c{i // 3}"}}\n'
            for i in range(24)
        )
    )
    given = ("--history", str(history), "--user", "ada", "--preset", "smoke", "--model", model)
    out = run("learn_and_reply", *given)
    for system in ("base", "own"):
        assert any(line.startswith(f"{system} ") and "nats" in line for line in out.splitlines())
    assert out.count("query: ") == out.count("memory: ") == 2


def test_compare_systems(run: Run, model: str) -> None:
    """The tables are written."""
    out = run("compare_systems", "--model", model)
    assert "Test loss ↓" in out
    assert "retrieval" in Path("runs/compare-systems/bench.md").read_text(encoding="utf-8")


def test_search_toy(run: Run) -> None:
    """A suggestion after the random trials."""
    out = run("search_toy", "--trials", "11")
    assert "hypervolume of all 11 trials" in out


def test_a_wrong_option_ends_with_its_usage(run: Run) -> None:
    """As argparse does."""
    with pytest.raises(SystemExit):
        run("own_export", "--nothing")
