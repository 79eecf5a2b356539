"""The one way from a file to a history, a summary or a pool, whatever the format.

A format is a `Loader`: what its rows are, which replies are usable, and a generator of events.
Files are read front to back, once or twice, and of all their events only the wanted user's are
kept.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from lorecall.data.events import Dropped, Event, Reply, Said
from lorecall.data.loader import Loader, Paths
from lorecall.data.pool import POOLED, merged
from lorecall.data.samples import history_of
from lorecall.data.user_filter import UserFilter
from lorecall.data.users import Totals, Users, UserSummary, resolve_user
from lorecall.errors import DataError
from lorecall.records import History

MAX_PROBLEMS = 20
MAX_CANDIDATES = 20_000
MAX_POOLED = 50_000
NOT_DRAWN = "reply of a user not drawn into the pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A row that does not fit the format: its line (or place in a list) from 1, and why.

    `file` is the name of its file, empty where there can be only one.
    """

    line: int
    reason: str
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What files hold.

    `users` are those with the most samples (all, or as many as asked for), `n_users` counts all;
    `totals` sums over those with a sample. `dropped` counts what is no sample, by reason: broken
    rows and unusable replies. The first `MAX_PROBLEMS` of `n_problems` broken rows are in
    `problems`.
    """

    n_replies: int
    n_users: int
    users: tuple[UserSummary, ...]
    totals: Totals
    dropped: Mapping[str, int]
    problems: tuple[Problem, ...]
    n_problems: int


def load_history(
    loader: Loader, paths: Paths, *, user: str, seed: int = 0, max_pooled: int = MAX_POOLED
) -> History:
    """Load one user, or `pooled`: many users as if they were one.

    Args:
        loader: The format.
        paths: Its files.
        user: The user's id, or the start of it; or `pooled`.
        seed: Seed of the pool's draw.
        max_pooled: How many replies are pooled at most; whole users are left out beyond.

    Raises:
        DataError: A file cannot be used, or the user is not in it.
    """
    if user == POOLED:
        return _load_pool(loader, paths, seed=seed, max_pooled=max_pooled)
    kept = UserFilter(lambda known: known.startswith(user), room=MAX_CANDIDATES)
    with closing(Users(loader.rules)) as users:
        for event in _events(loader, paths):
            if isinstance(event, Reply):
                users.count(event.user)
            kept.add(event)
        full_id = resolve_user(user, users)
    if kept.overflowed:  # many start like the one that is wanted
        kept = _kept(UserFilter(full_id.__eq__), loader, paths)
    history = history_of(
        kept.events_of(full_id), user=full_id, dataset=loader.name, rules=loader.rules
    )
    return history.with_drops(kept.lost)


def find_users(loader: Loader, paths: Paths, starts: Sequence[str]) -> list[str]:
    """Find users by their ids or the starts of them.

    Args:
        loader: The format.
        paths: Its files.
        starts: One a user.

    Raises:
        DataError: A file cannot be used, or no user or several fit a start.
    """
    with _counted(loader, paths) as users:
        return [resolve_user(start, users) for start in starts]


def summarise(
    loader: Loader, paths: Paths, *, n_users: int | None = None, strict: bool | None = None
) -> Summary:
    """Count what files hold.

    Args:
        loader: The format.
        paths: Its files.
        n_users: How many users to name; None for all.
        strict: Whether a broken row is an error; None for as the loader says.

    Raises:
        DataError: A file cannot be used.
    """
    dropped: Counter[str] = Counter()
    problems: list[Problem] = []
    n_replies = n_problems = 0
    with closing(Users(loader.rules)) as users:
        for event in _events(loader, paths, strict=strict):
            if isinstance(event, Reply):
                n_replies += 1
                if reason := users.reply(event):
                    dropped[reason] += 1
            elif isinstance(event, Dropped):
                dropped[event.reason] += 1
                n_problems += event.broken
                if event.broken and n_problems <= MAX_PROBLEMS:
                    problems.append(_problem(event))
            elif isinstance(event, Said):
                (users.text_once if event.again else users.text)(event.user, event.text)
        return Summary(
            n_replies=n_replies,
            n_users=users.n_users(),
            users=tuple(users.summaries(n_users)),
            totals=users.totals(),
            dropped=MappingProxyType(dict(dropped)),
            problems=tuple(problems),
            n_problems=n_problems,
        )


def _problem(drop: Dropped) -> Problem:
    return Problem(line=drop.place, reason=drop.detail or drop.reason, file=drop.file)


def _events(loader: Loader, paths: Paths, *, strict: bool | None = None) -> Iterator[Event]:
    """Return what the files hold; refuse a broken row where the format is strict."""
    strict = loader.strict if strict is None else strict
    for event in loader.read(paths):
        if strict and isinstance(event, Dropped) and event.broken:
            raise DataError(
                f"each row must be {loader.record}",
                expected=f"such rows in {', '.join(map(str, paths))}",
                got=f"line {event.place}: {event.detail or event.reason}",
                next_step="Correct it; `lorecall data check` lists every broken row.",
            )
        yield event


@contextmanager
def _counted(loader: Loader, paths: Paths) -> Generator[Users]:
    """Count everyone's replies."""
    with closing(Users(loader.rules)) as users:
        for event in _events(loader, paths):
            if isinstance(event, Reply):
                users.count(event.user)
        yield users


def _kept(kept: UserFilter, loader: Loader, paths: Paths) -> UserFilter:
    for event in _events(loader, paths):
        kept.add(event)
    return kept


def _load_pool(loader: Loader, paths: Paths, *, seed: int, max_pooled: int) -> History:
    """Draw users until as many replies are together, and merge their histories."""
    drawn, n_left_out = _draw(loader, paths, seed=seed, max_pooled=max_pooled)
    kept = _kept(UserFilter(frozenset(drawn).__contains__, everyones_drops=True), loader, paths)
    histories = (
        history_of(kept.events_of(user), user=user, dataset=loader.name, rules=loader.rules)
        for user in drawn
    )
    pool = merged(histories, dataset=loader.name, seed=seed)
    return pool.with_drops(kept.lost + Counter({NOT_DRAWN: n_left_out}))


def _draw(loader: Loader, paths: Paths, *, seed: int, max_pooled: int) -> tuple[list[str], int]:
    """Return the drawn users, in the order drawn, and the number of replies of the others."""
    drawn: list[str] = []
    n_taken = n_left_out = 0
    with _counted(loader, paths) as users:
        for user, n in users.drawn(seed):
            if n_left_out or n_taken + n > max_pooled:
                n_left_out += n
            else:
                drawn.append(user)
                n_taken += n
    return drawn, n_left_out
