"""One user's history: cut in time order, thinned for a quick trial, and named by a hash.

Knows nothing of file formats. Nothing of the valid or test part ever reaches the training part.
"""

import hashlib
import json
import math
import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict
from json.encoder import encode_basestring_ascii

from lorecall.errors import ConfigError, DataError
from lorecall.records import History, Sample, Split, Statement, Turn

MIN_SAMPLES = 20
MIN_CONVERSATIONS = 3  # one for each part
LONG_ENOUGH = f"at least {MIN_SAMPLES} usable samples in {MIN_CONVERSATIONS} conversations"
FRACTIONS = (0.7, 0.1, 0.2)  # section 3.4


def split_history(history: History, *, fractions: tuple[float, float, float] = FRACTIONS) -> Split:
    """Cut a history into train, valid and test, in time order, between conversations.

    Args:
        history: One user's samples and statements.
        fractions: Shares of the samples wanted in train, valid and test; they add up to 1. Each
            cut falls on the conversation boundary nearest to its share.

    Returns:
        The three parts, none of them empty, and what the user wrote in the first.

    Raises:
        ConfigError: The fractions are not three positive shares of 1.
        DataError: Fewer than `MIN_SAMPLES` samples or `MIN_CONVERSATIONS` conversations, or a
            pair of the training part is in another part too.

    Examples:
        >>> from lorecall.data import load_history, split_history
        >>> split = split_history(load_history("history.jsonl", user="ann"))
        >>> [len(part) for part in (split.train, split.valid, split.test)]
        [18, 3, 3]
    """
    _check_fractions(fractions)
    groups = list(by_conversation(history.samples).values())
    _check_size(history, n_conversations=len(groups))
    first, second = _cuts([len(group) for group in groups], fractions)
    train, valid, test = (
        tuple(sample for group in part for sample in group)
        for part in (groups[:first], groups[first:second], groups[second:])
    )
    _check_apart(history, train, valid + test)
    own_content = (
        *(sample.own_text for sample in train),
        *(s.text for s in training_statements(history, train=train, held_out=valid + test)),
        *history.profile,
    )
    return Split(
        user=history.user,
        dataset=history.dataset,
        train=train,
        valid=valid,
        test=test,
        own_content=own_content,
        redacted=history.redacted,
    )


def is_long_enough(*, n_samples: int, n_conversations: int) -> bool:
    """Whether so many usable samples in so many conversations can be split, and so learnt from."""
    return n_samples >= MIN_SAMPLES and n_conversations >= MIN_CONVERSATIONS


def training_statements(
    history: History, *, train: Sequence[Sample], held_out: Sequence[Sample]
) -> tuple[Statement, ...]:
    """Return the statements of train conversations, and of earlier ones that have no sample."""
    in_train = {sample.conversation for sample in train}
    in_held_out = {sample.conversation for sample in held_out}
    of_held_out = [s for s in history.statements if s.conversation in in_held_out]
    cutoff = min(
        (part.time for part in (*held_out, *of_held_out) if part.time is not None),
        default=-math.inf,
    )
    starts = _starts(history.statements)
    return tuple(
        statement
        for statement in history.statements
        if statement.conversation in in_train
        or (
            statement.conversation not in in_held_out
            and starts.get(statement.conversation, math.inf) < cutoff
        )
    )


def subset(samples: Sequence[Sample], n: int | None, *, seed: int) -> tuple[Sample, ...]:
    """Draw n samples without replacement, all for None, and keep them in time order."""
    if n is not None and n < 1:
        raise ConfigError(
            "a subset must hold a sample",
            expected="1 or more",
            got=str(n),
            next_step="Leave the number out to take all samples.",
        )
    if n is None or n >= len(samples):
        return tuple(samples)
    chosen = random.Random(seed).sample(range(len(samples)), n)
    return tuple(samples[i] for i in sorted(chosen))


def sample_id(user: str, conversation: str, *, position: int, query: str, response: str) -> str:
    """Name a sample by what it holds: 16 hexadecimal digits, the same on every machine."""
    return _sha256([user, conversation, position, query, response])[:16]


def name_by_hash(*texts: str) -> str:
    """Name what has no name of its own by its texts: 12 hexadecimal digits."""
    canonical = ",".join(map(encode_basestring_ascii, texts))  # as `json` does, in less time
    return hashlib.sha256(f"[{canonical}]".encode("ascii")).hexdigest()[:12]


def samples_hash(samples: Sequence[Sample]) -> str:
    """Hash samples, in their order: SHA-256 of their canonical JSON, 64 hexadecimal digits.

    Who said the query is no part of it: nothing is learnt from that.
    """
    kept = [asdict(sample) for sample in samples]
    for each in kept:
        del each["partner"]
    return _sha256(kept)


def _sha256(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def by_conversation(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Return the samples of each conversation, in their order."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.conversation, []).append(sample)
    return groups


def goes_on(sample: Sample, before: Sample) -> bool:
    """Whether a sample's two earlier turns are the pair before it: nothing was left out between."""
    pair = (Turn(by_author=False, text=before.query), Turn(by_author=True, text=before.response))
    return sample.conversation == before.conversation and sample.earlier == pair


def _cuts(sizes: Sequence[int], fractions: tuple[float, float, float]) -> tuple[int, int]:
    """Return the two conversation boundaries nearest to the wanted numbers of samples."""
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + size)

    def nearest(share: float, candidates: range) -> int:
        return min(candidates, key=lambda boundary: abs(ends[boundary] - share * ends[-1]))

    # Two conversations must remain after the first cut, one after the second.
    first = nearest(fractions[0], range(1, len(sizes) - 1))
    second = nearest(fractions[0] + fractions[1], range(first + 1, len(sizes)))
    return first, second


def _starts(statements: Sequence[Statement]) -> dict[str, float]:
    """Return the earliest known time of each conversation; unknown ones are left out."""
    starts: dict[str, float] = {}
    for statement in statements:
        if statement.time is not None:
            known = starts.get(statement.conversation, math.inf)
            starts[statement.conversation] = min(known, statement.time)
    return starts


def _check_fractions(fractions: tuple[float, float, float]) -> None:
    positive = all(fraction > 0 for fraction in fractions)
    if not positive or not math.isclose(sum(fractions), 1.0, abs_tol=1e-9):
        raise ConfigError(
            "the split must be three positive shares that add up to 1",
            expected=f"for example {FRACTIONS}",
            got=repr(fractions),
            next_step="Change the fractions.",
        )


def _check_size(history: History, *, n_conversations: int) -> None:
    n_samples = len(history.samples)
    if not is_long_enough(n_samples=n_samples, n_conversations=n_conversations):
        raise DataError(
            "a history must be long enough to learn from and to test on",
            expected=LONG_ENOUGH,
            got=f"{n_samples} in {n_conversations} for user {history.user!r}"
            f" of {history.dataset}{f' ({dropped})' if (dropped := dropped_of(history)) else ''}",
            next_step="Choose a user with a longer history (or `pooled`, many users as if they were"
            " one), or add samples to the file.",
        )


def _check_apart(history: History, train: Sequence[Sample], held_out: Sequence[Sample]) -> None:
    """See that nothing of the held-out parts is learnt: no conversation of theirs, and no pair."""
    kinds: dict[str, Callable[[Sample], Hashable]] = {
        "conversation": lambda sample: sample.conversation,
        "pair": lambda sample: (sample.query, sample.response),
    }
    for what, key in kinds.items():
        learnt = {key(sample) for sample in train}
        if n := sum(key(sample) in learnt for sample in held_out):
            raise DataError(
                f"no {what} of the training part may be in another part",
                expected=f"each {what} of {history.user!r} of {history.dataset} once",
                got=f"{n} of {len(held_out)} held-out samples whose {what} is in the training part",
                next_step=f"Leave out every {what} that was there before.",
            )


def dropped_of(history: History) -> str:
    """Return in one line how many records were dropped, by reason; nothing where none were."""
    dropped = sorted(history.dropped.items())
    return "; ".join(f"{count} dropped: {reason}" for reason, count in dropped)
