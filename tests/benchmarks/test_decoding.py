"""The benchmark of answers of a forced length runs on a tiny model."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
TINY = ("--model", "tiny", "--batches", "1", "3", "--tokens", "4", "--prompt-tokens", "8")


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import it; the benchmarks are no package."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("decoding")


def test_every_batch_has_its_rows(decoding: ModuleType, tmp_path: Path) -> None:
    """With a memory and without; the file is named after the machine."""
    decoding.main([*TINY, "--repeats", "1", "--out", str(tmp_path)])
    (file,) = tmp_path.glob("decoding-cpu-*-tiny.json")
    result = json.loads(file.read_text())
    assert {"cpu", "cores", "packages"} <= set(result["machine"])
    assert result["settings"]["tokens"] == 4
    assert str(tmp_path) not in file.read_text()
    rows = {(row["case"][0], row["variant"]): row["median"] for row in result["rows"]}
    assert rows.keys() == {(n, who) for n in "13" for who in ("base", "memory")}
    assert min(rows.values()) > 0


def test_what_has_no_time_left_says_so(decoding: ModuleType, tmp_path: Path) -> None:
    """Instead of a figure."""
    decoding.main([*TINY, "--budget", "0", "--out", str(tmp_path)])
    (file,) = tmp_path.glob("*.json")
    rows = json.loads(file.read_text())["rows"]
    assert {(row["median"], row["note"]) for row in rows} == {(None, "not measured: no time left")}


def test_bad_input_is_refused(decoding: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Before a base is loaded."""
    with pytest.raises(SystemExit):
        decoding.main([*TINY, "--repeats", "0"])
    assert "must be 1 or more" in capsys.readouterr().err
