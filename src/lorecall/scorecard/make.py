"""From memories on disk to scorecards: whose they are, and who stands beside them."""

import random
from collections.abc import Sequence
from pathlib import Path

from lorecall.bench.people import Source, load_person, usable_users
from lorecall.data.history import MIN_SAMPLES, samples_hash
from lorecall.errors import DataError
from lorecall.memory.memory import StoredMemory
from lorecall.systems.contract import Person


def people_for(
    memory: StoredMemory,
    source: str | None = None,
    *,
    paths: Sequence[Path] = (),
    n_others: int = 3,
    seed: int = 0,
) -> tuple[Person, list[Person]]:
    """Load whose memory it is, and other people of the same data.

    Args:
        memory: It names its user and dataset.
        source: The dataset or JSONL file it was learnt from; the memory's own when None.
        paths: Files of the dataset's format.
        n_others: Most other people, drawn among those with samples enough.
        seed: Of the draw.

    Raises:
        DataError: The user is not there, has other training samples now, or is alone.
    """
    training = memory.manifest.training
    name = source or training.dataset
    files = tuple(str(path) for path in paths)
    others = [u.user for u in usable_users(name, files) if u.user != training.user]
    if not others:
        raise DataError(
            "a scorecard needs other people, for its controls",
            expected=f"another user of {name} with {MIN_SAMPLES} samples",
            got="none",
            next_step="Give a file that has more than one user.",
        )
    drawn = random.Random(seed).sample(others, min(n_others, len(others)))
    everyone = Source(name=name, users=(training.user, *drawn), paths=files)
    person, *rest = (load_person(everyone, user) for user in everyone.users)
    if samples_hash(person.split.train) != training.samples_sha256:
        raise DataError(
            "a scorecard asks about what the memory was trained on",
            expected=f"the {training.split.get('train', 0)} samples of {training.user!r} with the"
            f" hash {training.samples_sha256[:12]}",
            got=f"{len(person.split.train)} others",
            next_step="Give the data that the memory was learnt from.",
        )
    return person, rest
