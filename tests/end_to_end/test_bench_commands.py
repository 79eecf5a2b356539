"""`lorecall bench` refuses bad input in one line, before anything is written."""

import sys
from pathlib import Path

import pytest

from lorecall.cli.app import main


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--systems", "nope"), "a system must be known"),
        (("--seeds", "a"), "seeds are whole numbers"),
        (("--preset", "nope"), "'nope' is not one of 'smoke', 'laptop', 'paper'"),
    ],
)
def test_bad_input_ends_with_one_line(
    options: tuple[str, ...],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, and no folder is left."""
    out = tmp_path / "bench"
    monkeypatch.setattr(sys, "argv", ["lorecall", "bench", "--out", str(out), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert line in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()
