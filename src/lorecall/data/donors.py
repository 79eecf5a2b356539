"""Replies of many people, to learn from what is everyone's; some people are left out of it whole.

Whoever is left out is left out with every conversation they took part in: in a partner's prompts
their words would be learnt all the same. So are replies that an address, a number or a handle
stands in or before: they would be told to everyone.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from lorecall.core.checks import check_range
from lorecall.data.catalog import Files, loader_for
from lorecall.data.events import Event, Reply, Said
from lorecall.data.history import by_conversation
from lorecall.data.loader import Loader, Paths
from lorecall.data.loading import events
from lorecall.data.privacy import mask
from lorecall.data.resolve import resolve_user
from lorecall.data.samples import history_of
from lorecall.data.users import Users
from lorecall.errors import DataError
from lorecall.records import Sample

MIN_DONORS = 10
"""Fewer people than that are no crowd: what is learnt of them could be one of them."""
_SPARE = 3  # replies read for each that is wanted: some are not usable, and one side is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Donors:
    """Conversations drawn from many people, in the order drawn.

    Args:
        dataset: What they are from.
        licence: What it may be used for.
        train: What is learnt: of each conversation one side's replies.
        valid: The same of other conversations, by which training is watched.
        people: Whose words are in it: who replies, and to whom.
        left_out: Who was left out.
        n_conversations_left_out: How many conversations went with them.

    Examples:
        >>> from lorecall.data import draw_donors
        >>> donors = draw_donors("crowd.jsonl", without=["p3"], n_replies=40, n_valid=8)
        >>> {reply.conversation for reply in donors.train}.isdisjoint(
        ...     reply.conversation for reply in donors.valid
        ... )
        True
        >>> len(donors.people) >= 10, donors.left_out, donors.n_conversations_left_out
        (True, frozenset({'p3'}), 4)
    """

    dataset: str
    licence: str
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]
    people: frozenset[str]
    left_out: frozenset[str]
    n_conversations_left_out: int


def draw_donors(
    source: str,
    *,
    path: Files = None,
    without: Sequence[str] = (),
    n_replies: int = 12_000,
    n_valid: int = 200,
    seed: int = 0,
) -> Donors:
    """Draw conversations of people who are nobody that is left out, and never spoke to them.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        path: With a name: the files of that format; the installed one when None.
        without: Whom to leave out, by their ids or the starts of them.
        n_replies: How many replies are learnt at most.
        n_valid: How many more are drawn to watch the training by.
        seed: Seed of the draw.

    Raises:
        ConfigError: No reply is to be learnt, or none to watch by.
        DataError: The source cannot be used, nobody or several fit a start, or too few are left.
        MissingExtraError: The dataset is not installed.

    Examples:
        >>> from lorecall.data import draw_donors
        >>> donors = draw_donors("crowd.jsonl", without=["p3"], n_replies=40, n_valid=8)
        >>> len(donors.train), "p3" in donors.people
        (40, False)
    """
    check_range("n_replies", n_replies, low=1)
    check_range("n_valid", n_valid, low=1)
    loader, paths = loader_for(source, path)
    left_out = frozenset(_found(loader, paths, without) if without else ())
    sizes, barred = _conversations(loader, paths, left_out)
    order = sorted(sizes)
    rng = random.Random(seed)
    rng.shuffle(order)
    wanted: set[str] = set()
    n_read = 0
    for name in order:
        if n_read >= _SPARE * (n_replies + n_valid):
            break
        wanted.add(name)
        n_read += sizes[name]
    kept = [e for e in _spoken(loader, paths) if e.conversation in wanted]
    sides = _sides(kept, loader)
    chosen = [rng.choice(sides[name]) for name in order if name in sides]
    valid, rest = _first(chosen, n_valid)
    train, _ = _first(rest, n_replies)
    used = {sample.conversation for sample in (*train, *valid)}
    people = frozenset(event.user for event in kept if event.conversation in used)
    if len(people) < MIN_DONORS or not train:
        raise DataError(
            "a shared memory is learnt from many people",
            expected=f"at least {MIN_DONORS} people, and replies beside {n_valid} to watch it by",
            got=f"{len(people)} people with {len(train)} replies in {source}",
            next_step="Give more people's conversations, or leave fewer out.",
        )
    return Donors(
        dataset=loader.name,
        licence=loader.dataset.licence,
        train=train,
        valid=valid,
        people=people,
        left_out=left_out,
        n_conversations_left_out=len(barred),
    )


def replies_of(
    source: str, starts: Sequence[str], *, path: Files = None
) -> dict[str, tuple[Sample, ...]]:
    """Return the usable replies of people, none of whom need have any, by their full ids.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        starts: Their ids or the starts of them.
        path: With a name: the files of that format; the installed one when None.

    Raises:
        DataError: The source cannot be used, or nobody or several fit a start.
    """
    loader, paths = loader_for(source, path)
    spoken: dict[str, list[Event]] = {user: [] for user in _found(loader, paths, starts)}
    for event in _spoken(loader, paths):
        if event.user in spoken:
            spoken[event.user].append(event)
    return {
        user: history_of(own, user=user, dataset=loader.name, rules=loader.rules).samples
        for user, own in spoken.items()
    }


def _found(loader: Loader, paths: Paths, starts: Sequence[str]) -> list[str]:
    """Find people among all who speak: whoever never replied can be left out, too."""
    with closing(Users(loader.rules)) as users:
        for event in _spoken(loader, paths):
            users.count(event.user)
        return [resolve_user(start, users) for start in starts]


def _spoken(loader: Loader, paths: Paths) -> Iterator[Reply | Said]:
    for event in events(loader, paths):
        if isinstance(event, Reply | Said):
            yield event


def _conversations(
    loader: Loader, paths: Paths, left_out: frozenset[str]
) -> tuple[Counter[str], set[str]]:
    """Return the number of replies of each conversation, and those of someone left out."""
    sizes: Counter[str] = Counter()
    barred: set[str] = set()
    for event in _spoken(loader, paths):
        sizes[event.conversation] += isinstance(event, Reply)
        if event.user in left_out:
            barred.add(event.conversation)
    for name in barred:
        del sizes[name]
    return sizes, barred


def _sides(spoken: Sequence[Event], loader: Loader) -> dict[str, list[tuple[Sample, ...]]]:
    """Return what each side of each conversation replied, where it is usable."""
    of_user: dict[str, list[Event]] = {}
    for event in spoken:
        of_user.setdefault(str(event.user), []).append(event)
    sides: dict[str, list[tuple[Sample, ...]]] = {}
    for user, own in of_user.items():
        history = history_of(own, user=user, dataset=loader.name, rules=loader.rules)
        kept = [each for each in history.samples if not _names_someone(each)]
        for name, samples in by_conversation(kept).items():
            sides.setdefault(name, []).append(tuple(samples))
    return sides


def _names_someone(sample: Sample) -> bool:
    """Whether something in it would be masked if it were shown."""
    shown = (sample.query, sample.response, *(turn.text for turn in sample.earlier))
    return any(mask(text) != text for text in shown)


def _first(
    groups: Sequence[tuple[Sample, ...]], n: int
) -> tuple[tuple[Sample, ...], list[tuple[Sample, ...]]]:
    """Take groups from the front until there are n samples, the last one cut; and the others."""
    taken: list[Sample] = []
    for i, group in enumerate(groups):
        if len(taken) >= n:
            return tuple(taken[:n]), list(groups[i:])
        taken += group
    return tuple(taken[:n]), []
