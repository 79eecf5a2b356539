"""Many users as if they were one, for datasets whose users have too few samples each.

AmazonQA has 1.1 samples a user and Reddit 2.05, so the paper's numbers on them are pooled. A pooled
history is no one's: its user is `pooled`, and `History.pooled` says of how many users and which
draw it is.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from lorecall.records import History, Pooled, Sample, Statement

POOLED = "pooled"
PAIR_OF_ANOTHER = "pair that another user has"


def merged(histories: Iterable[History], *, dataset: str, seed: int) -> History:
    """Merge the histories of several users, in the order given.

    Each user takes the place that a conversation has elsewhere, so `split_history` cuts between
    users: nobody is in two parts. Of a pair that several of them have the first is kept. What is
    known of a user (the profile) becomes statements of that user, so that only those of the
    training part count. Samples keep their user.
    """
    samples: list[Sample] = []
    statements: list[Statement] = []
    dropped: Counter[str] = Counter()
    pairs: set[tuple[str, str]] = set()
    for history in histories:
        dropped.update(history.dropped)
        if not history.samples:
            continue
        for sample in history.samples:
            if (pair := (sample.query, sample.response)) in pairs:
                dropped[PAIR_OF_ANOTHER] += 1
            else:
                pairs.add(pair)
                samples.append(replace(sample, conversation=history.user))
        statements += [replace(said, conversation=history.user) for said in history.statements]
        statements += [
            Statement(conversation=history.user, text=sentence) for sentence in history.profile
        ]
    return History(
        dataset=dataset,
        user=POOLED,
        samples=tuple(samples),
        statements=tuple(statements),
        dropped=MappingProxyType(dict(dropped)),
        pooled=Pooled(n_users=len({sample.conversation for sample in samples}), seed=seed),
    )
