"""The folder of one run: whose it is, who is working in it, and what is finished.

```
DIR/run.json          what the run computes: user, data, base, settings, others (its identity); and
                      the files of the history, wherever they are
DIR/study.db          the trials of a search (an Optuna study), unless another storage was given
DIR/stages/*.json     what each finished stage read, raw
DIR/memory/           the memory
DIR/result.json       the result; the run is finished when it is there
DIR/.lock             held while a process works in the folder
```
"""

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from lorecall.core.files import locked, read_json, write_json
from lorecall.data.history import samples_hash
from lorecall.errors import ArtefactError, RunError
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.records import History
from lorecall.settings import LearnSettings

RUN_FILE = "run.json"
RESULT_FILE = "result.json"
STUDY_FILE = "study.db"
_FILES = "files"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder; make it with `open_run`."""

    path: Path
    identity: Mapping[str, object]

    @property
    def id(self) -> str:
        """Hash of what the run computes: the same for the same command, anywhere."""
        canonical = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def storage_url(self) -> str:
        """Where the trials go unless the caller says otherwise."""
        database = str(self.path.resolve() / STUDY_FILE)
        return URL.create("sqlite", database=database).render_as_string()  # quotes ? and %

    @property
    def memory(self) -> Path:
        """Folder of the memory."""
        return self.path / "memory"

    @property
    def result(self) -> Path:
        """File of the result."""
        return self.path / RESULT_FILE

    @property
    def has_memory(self) -> bool:
        """Whether the memory is there and whole: someone may have lost its files."""
        try:
            StoredMemory.load(self.memory)
        except ArtefactError:
            return False
        return True

    @property
    def is_begun(self) -> bool:
        """Whether an earlier process left anything finished here."""
        return (self.path / "stages").is_dir() or (self.path / STUDY_FILE).is_file()

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.result.exists() and self.has_memory

    def stage(self, name: str) -> dict[str, object] | None:
        """Read what a finished stage left; None when it has not finished."""
        path = self._stage_file(name)
        if not path.exists():
            return None
        again = f"Delete {path}: the stage is then done again."
        return read_json(path, what=f"stage {name}", error=RunError, next_step=again)

    def save_stage(self, name: str, value: Mapping[str, object]) -> None:
        """Write what a stage found; from then on it is finished."""
        write_json(self._stage_file(name), value)

    def _stage_file(self, name: str) -> Path:
        return self.path / "stages" / f"{name}.json"


def run_identity(
    history: History, base: LanguageModel, settings: LearnSettings
) -> dict[str, object]:
    """Return what a run computes; the same command gives the same identity."""
    return {
        "dataset": history.dataset,
        "user": history.user,
        "samples": samples_hash(history.samples),
        "base": base.name,
        "base_fingerprint": base.fingerprint,
        "base_dtype": base.format_name,
        "settings": settings.as_json(),
    }


@contextmanager
def open_run(
    path: Path,
    identity: Mapping[str, object],
    *,
    files: Sequence[str] = (),
    before: Mapping[str, object] | None = None,
) -> Generator[RunFolder]:
    """Take a folder for a run: a new one, or the same run's to go on with.

    Args:
        path: The folder.
        identity: What the run computes.
        files: Those of the history.
        before: What it computed until now, where it is to compute more.

    Raises:
        RunError: The folder holds something else, or another process works in it.
    """
    _check_usable(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as reason:
        raise _occupied(path) from reason
    with locked(path / ".lock", wait=False) as held:
        if not held:
            raise RunError(
                "one process at a time works in a run's folder",
                expected=f"{path} to be free",
                got="another process working in it",
                next_step="Wait for it to end, or choose another --out.",
            )
        recorded = path / RUN_FILE
        if recorded.exists():
            again = "Choose another --out; nothing says any more whose run this is."
            known = read_json(recorded, what="a run", error=RunError, next_step=again)
            known.pop(_FILES, None)
            _check_same(known, identity if before is None else before, path)
        write_json(recorded, {**identity, _FILES: list(files)} if files else identity)
        yield RunFolder(path, identity)


def history_files(run: Path) -> tuple[Path, ...]:
    """Return the files that a run's history was read from.

    Returns:
        None at all where the dataset is an installed one, or where nothing says.
    """
    for recorded in (run / RUN_FILE, run.resolve().parent / RUN_FILE):
        if recorded.is_file():
            files = read_json(recorded, what="a run", error=RunError).get(_FILES)
            return tuple(Path(str(file)) for file in files) if isinstance(files, list) else ()
    return ()


def _check_usable(path: Path) -> None:
    """Refuse a folder that holds more than a run leaves that was killed before its first file."""
    if not path.exists() or (path / RUN_FILE).is_file():
        return
    traces = (".lock", f".{RUN_FILE}.")
    if not path.is_dir() or not all(file.name.startswith(traces) for file in path.iterdir()):
        raise _occupied(path)


def _occupied(path: Path) -> RunError:
    return RunError(
        "a run goes to a folder of its own",
        expected="a new or empty folder, or one that holds the same run",
        got=f"{path}, which holds something else or lies below a file",
        next_step="Choose another --out.",
    )


def _check_same(recorded: Mapping[str, object], identity: Mapping[str, object], path: Path) -> None:
    known, wanted = _flat(recorded), _flat(json.loads(json.dumps(identity)))  # as a reader sees it
    differing = sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))
    if differing:
        key = differing[0]
        raise RunError(
            "a folder holds one run",
            expected=f"the run in {path} ({key}: {_short(known.get(key))})",
            got=f"{key}: {_short(wanted.get(key))}"
            + (f" (also differing: {', '.join(differing[1:])})" if differing[1:] else ""),
            next_step="Choose another --out, or give the same command again to go on with it.",
        )


def _flat(values: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Return nested values by their dotted names."""
    flat: dict[str, object] = {}
    for key, value in values.items():
        name = f"{above}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - width of a message
