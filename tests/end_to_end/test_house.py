"""How the code is laid out: its rooms, its words, and how deep the way to a stored memory is."""

import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

import pytest

import lorecall

SOURCE = Path(lorecall.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
OLD_NAMES = frozenset(
    {
        *("worn", "Frozen", "Room", "Trials", "Candidate", "Finding", "Aims", "Searching", "Watch"),
        *("Ledger", "beating", "give_back", "tails", "Kept", "KeptJudge"),
        *("Shown", "learn_memory", "vanilla_loss", "on_tokens", "train_finalists", "to_memory"),
    }
)
"""What things were called before they had the field's names."""
DEPTH = """
import sys
from pathlib import Path

deepest = 0


def watch(event, arguments):
    global deepest
    if event != "open" or ".memory.safetensors." not in str(arguments[0]):
        return
    frame, depth, is_below_learn = sys._getframe(), 0, False
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("lorecall."):
            depth += 1
            if name == "lorecall.cli.learn" and frame.f_code.co_name == "learn":
                is_below_learn = True
                break
        frame = frame.f_back
    if is_below_learn:
        deepest = max(deepest, depth)


sys.addaudithook(watch)
sys.argv = ["lorecall", "learn", *sys.argv[1:]]
from lorecall.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("DEPTH", deepest)
"""


def names_in(path: Path) -> set[str]:
    """Return the identifiers of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def test_old_words_are_gone() -> None:
    """One concept has one name everywhere: the field's."""
    found = {str(path.relative_to(SOURCE)): names_in(path) & OLD_NAMES for path in FILES}
    assert {name: words for name, words in found.items() if words} == {}


def test_docstrings_say_what_is_returned() -> None:
    """`Return ...` and `Whether ...`, not `Give ...` and `Say whether ...`."""
    riddle = re.compile(r'"""(?:Give|Say whether|Say (?:which|what|how|why|where|when)) ')
    for path in FILES:
        assert not riddle.search(path.read_text(encoding="utf-8")), path


def test_few_modules_stand_at_the_root() -> None:
    """Errors, records and settings; everything else has a room."""
    root = {path.name for path in SOURCE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert len(root) <= 4


def test_no_room_is_the_whole_house() -> None:
    """Of the source no package, a folder with its own modules, holds more than 15%."""
    lines: Counter[str] = Counter()
    for path in FILES:
        parts = path.relative_to(SOURCE).parts
        lines["/".join(parts[:-1])] += len(path.read_text(encoding="utf-8").splitlines())
    largest = max(lines.values()) / lines.total()
    assert largest <= 0.15


def test_files_can_be_read_at_once() -> None:
    """None is longer than 400 lines."""
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


@pytest.mark.parametrize(("searched", "n_finalists"), [("none", 1), ("paper", 1), ("paper", 2)])
def test_few_frames_lie_between_the_command_and_the_stored_memory(
    tmp_path: Path, history_file: Path, model_folder: Path, searched: str, n_finalists: int
) -> None:
    """At most five of this package's own, from `learn` to the write of the weights."""
    sets = (
        *("search.trials=2", "search.initial=2", "train.max_epochs=1", "search.samples=8"),
        *(
            f"search.searched={searched}",
            "n_bootstrap=200",
            f"search.finalists={n_finalists}",
            "train.max_response_tokens=8",
        ),
    )
    command = [sys.executable, "-c", DEPTH, "--history", str(history_file), "--user", "ada"]
    command += ["--out", str(tmp_path / "run"), "--model", str(model_folder)]
    command += [part for each in sets for part in ("--set", each)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    depth = int(done.stdout.rpartition("DEPTH ")[2])
    assert 0 < depth <= 5
