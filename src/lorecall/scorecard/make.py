"""From a memory on disk to the people its scorecard is about: whose it is, and some others."""

import random
from collections.abc import Sequence
from pathlib import Path

from lorecall.bench.people import Source, load_person, usable_users
from lorecall.data.catalog import DATASETS
from lorecall.data.history import samples_hash
from lorecall.errors import DataError
from lorecall.learning.folder import history_files
from lorecall.memory.memory import StoredMemory
from lorecall.systems.contract import PersonData


def people_for(
    memory: StoredMemory,
    source: str | None = None,
    *,
    folder: Path | None = None,
    paths: Sequence[Path] = (),
    n_others: int = 3,
    seed: int = 0,
) -> tuple[PersonData, list[PersonData]]:
    """Load whose memory it is, and other people of the same data.

    Raises:
        DataError: The data or the user are not there, or the training samples are others now.
    """
    training = memory.manifest.training
    if source is None:
        source, paths = _remembered(
            training.dataset, paths or (history_files(folder) if folder else ())
        )
    files = tuple(str(path) for path in paths)
    others = [u.user for u in usable_users(source, files) if u.user != training.user]
    drawn = random.Random(seed).sample(others, min(n_others, len(others)))
    everyone = Source(name=source, users=(training.user, *drawn), paths=files)
    redacted = training.redacted is not None
    person, *rest = (load_person(everyone, user, redacted=redacted) for user in everyone.users)
    if samples_hash(person.split.train) != training.samples_sha256:
        raise DataError(
            "a scorecard asks about what the memory was trained on",
            expected=f"the {training.split.get('train', 0)} samples of {training.user!r} with the"
            f" hash {training.samples_sha256[:12]}",
            got=f"{len(person.split.train)} others",
            next_step="Give the data that the memory was learnt from, with --data.",
        )
    return person, rest


def _remembered(dataset: str, files: Sequence[Path]) -> tuple[str, Sequence[Path]]:
    """Return what to load a dataset of a name by, and the files beside that name."""
    lost = [file for file in files if not file.is_file()]
    if lost or (not files and dataset not in DATASETS):
        raise DataError(
            "a scorecard reads the history that the memory was learnt from",
            expected=str(lost[0]) if lost else f"to know where {dataset} is",
            got="no such file" if lost else "a memory apart from its run",
            next_step="Say where the history is, with --data FILE.",
        )
    return (dataset, files) if dataset in DATASETS else (str(files[0]), ())
