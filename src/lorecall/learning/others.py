"""Other people of the same source: their memories and replies are what a person's own are held to.

This module knows nothing of models.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lorecall.data.catalog import Files, list_users, load_history
from lorecall.records import History, Sample, Split, evenly_spaced

N_QUERIES, N_CANDIDATES = 12, 8


def load_others(
    source: str | Path, history: History, *, n: int, path: Files = None
) -> tuple[History, ...]:
    """Load those other people whose number of usable samples is nearest to one's own.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        history: Whose others they are; of a pool there are none, for it is everyone.
        n: How many, at most.
        path: With a name: the files of that format; the installed one when None.

    Returns:
        The nearest first, of equals by name; fewer than `n` where no more are long enough.

    Raises:
        DataError: The source cannot be used.
        MissingExtraError: The dataset is not installed.
    """
    if not n or history.pooled:
        return ()
    known = [u for u in list_users(source, path=path) if u.learnable and u.user != history.user]
    known.sort(key=lambda user: (abs(user.n_samples - len(history.samples)), user.user))
    return tuple(load_history(source, user=user.user, path=path) for user in known[:n])


def candidates_of(
    split: Split, others: Sequence[Split], *, seed: int
) -> tuple[tuple[Sample, ...], ...]:
    """Return, for some test queries, the true reply and seven of other people's, drawn.

    Args:
        split: Whose queries, evenly spaced over the test.
        others: Whose test parts the other replies are from.
        seed: Seed of the draw.

    Returns:
        A row a query, the true reply first; no row where others have not seven more replies.
    """
    theirs = {sample.response for other in others for sample in other.test}
    rng = random.Random(seed)
    rows: list[tuple[Sample, ...]] = []
    for sample in evenly_spaced(split.test, min(N_QUERIES, len(split.test))):
        wrong = sorted(theirs - {sample.response})
        if len(wrong) < N_CANDIDATES - 1:
            return ()
        drawn = rng.sample(wrong, N_CANDIDATES - 1)
        rows.append((sample, *(replace(sample, response=text) for text in drawn)))
    return tuple(rows)
