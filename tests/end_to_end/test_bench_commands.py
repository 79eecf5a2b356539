"""`lorecall bench` on two made-up people and a tiny base."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def lorecall(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run(
        [sys.executable, "-m", "lorecall", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def two_people(tmp_path: Path, history_file: Path) -> Path:
    """Return the histories of two people in one file."""
    ada = history_file.read_text()
    path = tmp_path / "two.jsonl"
    path.write_text(ada + ada.replace('"ada"', '"bob"').replace("always", "never"))
    return path


def test_a_bench_runs_and_goes_on_with_what_is_finished(
    two_people: Path, model_folder: Path, tmp_path: Path
) -> None:
    """Every cell once; the same command again does nothing and gives the same tables."""
    out = tmp_path / "bench"
    given = ["bench", "--preset", "smoke", "--data", str(two_people), "--users", "ada,bob"]
    given += ["--systems", "vanilla,retrieval,default-lora", "--model", str(model_folder)]
    given += ["--out", str(out), "--json"]
    first = lorecall(*given)
    assert first.returncode == 0, first.stderr
    scores = (out / "scores.jsonl").read_text()
    assert len(scores.splitlines()) == 6
    again = lorecall(*given)
    assert again.returncode == 0, again.stderr
    assert (out / "scores.jsonl").read_text() == scores
    assert json.loads(again.stdout)["tables"] == json.loads(first.stdout)["tables"]
    assert (out / "bench.html").is_file()
    assert "default-lora" in (out / "bench.md").read_text()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--systems", "nope"), "a system must be known"),
        (("--seeds", "a"), "seeds are whole numbers"),
        (("--preset", "nope"), "'nope' is not one of 'smoke', 'laptop', 'paper'"),
    ],
)
def test_bad_input_ends_with_one_line(options: tuple[str, ...], line: str, tmp_path: Path) -> None:
    """Before anything is written."""
    out = tmp_path / "bench"
    done = lorecall("bench", "--out", str(out), *options)
    assert done.returncode == 2
    assert line in done.stderr.splitlines()[-1]
    assert not out.exists()
