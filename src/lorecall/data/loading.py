"""The one way from a file to a history, a summary or a pool, whatever the format.

A format is a `Loader`: what its rows are, which replies are usable, and a generator of events.
Files are read front to back, once or twice, and of all their events only the wanted user's are
kept.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from lorecall.core.unpack import documents
from lorecall.data.events import Dropped, Event, Reply, Said
from lorecall.data.head import head_of, looks_like
from lorecall.data.history import LONG_ENOUGH, is_long_enough
from lorecall.data.loader import Dataset, Loader, Paths
from lorecall.data.pool import POOLED, merged
from lorecall.data.privacy import mask
from lorecall.data.resolve import may_be, resolve_user, resolve_users
from lorecall.data.samples import history_of
from lorecall.data.seen import Seen
from lorecall.data.user_filter import UserFilter
from lorecall.data.users import Totals, Users, UserSummary
from lorecall.errors import DataError
from lorecall.records import Authorship, History

MAX_PROBLEMS = 20
MAX_CANDIDATES = 20_000
MAX_POOLED = 50_000
NOT_DRAWN = "reply of a user not drawn into the pool"
IN_ANOTHER_FILE = "message that another file has too"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A row that does not fit the format: its line (or place in a list) from 1, and why.

    `file` is the name of its file, empty where there can be only one.

    Examples:
        >>> from lorecall.data import check
        >>> check("jsonl", path="chat.txt").problems[0].line
        1
    """

    line: int
    reason: str
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What files hold.

    `dataset` is the format's entry in the catalogue; `strict` says whether `learn` refuses broken
    rows. `users` are those with the most samples (all, or as many as asked for), `n_users` counts
    all, `n_learnable` those that `learn` takes; `totals` sums over those with a sample. `dropped`
    counts what is no sample, by reason: broken rows and unusable replies; `authored_by` says who
    wrote the usable ones. The first `MAX_PROBLEMS` of `n_problems` broken rows are in `problems`.
    `pii` counts the different things that name someone outright, by kind, where that was asked for.
    Where there is no reply at all, `seems` says what the file looks like. `n_untimed` replies have
    no time where others have one: they stay between their neighbours in the file.

    Examples:
        >>> from lorecall.data import check
        >>> check("history.jsonl").authored_by
        frozenset({'user'})
    """

    dataset: Dataset
    strict: bool
    n_replies: int
    n_users: int
    n_learnable: int
    authored_by: frozenset[Authorship]
    users: tuple[UserSummary, ...]
    totals: Totals
    dropped: Mapping[str, int]
    problems: tuple[Problem, ...]
    n_problems: int
    pii: Mapping[str, int] | None = None
    seems: str = ""
    n_untimed: int = 0

    @property
    def refusal(self) -> str | None:
        """Why `learn` takes nobody of this, and what to do about it; None where it takes some."""
        if self.strict and self.n_problems:
            return "nobody in it can be learnt: broken rows are refused. Correct them first."
        if self.n_learnable:
            return None
        if self.seems:
            return f"nobody in it can be learnt: no reply was found. The file is {self.seems}."
        totals = self.totals
        pooled = is_long_enough(n_samples=totals.n_samples, n_conversations=totals.n_users)
        next_step = (
            "Take `--user pooled`, which is all of them as if they were one, or add more messages."
            if pooled
            else "Export a longer chat, or add more messages."
        )
        return f"nobody in it can be learnt: a user needs {LONG_ENOUGH}. {next_step}"

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "format": self.dataset.title,
            "n_replies": self.n_replies,
            "n_users": self.n_users,
            "n_learnable": self.n_learnable,
            "refusal": self.refusal,
            "authored_by": sorted(self.authored_by),
            "n_untimed": self.n_untimed,
            "n_problems": self.n_problems,
            "problems": [asdict(problem) for problem in self.problems],
            "dropped": dict(self.dropped),
            "pii": None if self.pii is None else dict(self.pii),
            "users": [asdict(user) | {"learnable": user.learnable} for user in self.users],
        }


def history_from(
    loader: Loader,
    paths: Paths,
    *,
    user: str | None = None,
    seed: int = 0,
    max_pooled: int = MAX_POOLED,
) -> History:
    """Load one user, or `pooled`: many users as if they were one.

    Args:
        loader: The format.
        paths: Its files.
        user: The user's id, or the start of it; or `pooled`; None for the only user there is.
        seed: Seed of the pool's draw.
        max_pooled: How many replies are pooled at most; whole users are left out beyond.

    Raises:
        DataError: A file cannot be used, or the user is not in it.
    """
    if user == POOLED:
        return _load_pool(loader, paths, seed=seed, max_pooled=max_pooled)
    full_id, wanted = load_events(loader, paths, user=user)
    history = history_of(
        wanted.events_of(full_id), user=full_id, dataset=loader.name, rules=loader.rules
    )
    return history.with_drops(wanted.lost)


def load_events(loader: Loader, paths: Paths, *, user: str | None) -> tuple[str, UserFilter]:
    """Return a user's full id, and what of the files is theirs.

    Args:
        loader: The format.
        paths: Its files.
        user: The user's id, or the start of it; several with commas between are one person; None
            for the only user there is.

    Raises:
        DataError: A file cannot be used, or the user is not in it.
    """
    wanted = UserFilter(lambda known: may_be(user, known), room=MAX_CANDIDATES)
    with closing(Users(loader.rules)) as users:
        for event in events(loader, paths):
            if isinstance(event, Reply):
                users.count(event.user)
            wanted.add(event)
        _check_anyone(users, loader, paths)
        full_ids = resolve_users(user, users)
    if wanted.overflowed:  # many start like the one that is wanted
        wanted = _filtered(UserFilter(full_ids.__contains__), loader, paths)
    wanted.join(full_ids)
    return full_ids[0], wanted


def users_from(loader: Loader, paths: Paths, starts: Sequence[str]) -> list[str]:
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


def summary_from(
    loader: Loader,
    paths: Paths,
    *,
    n_users: int | None = None,
    strict: bool | None = None,
    pii: bool = False,
) -> Summary:
    """Count what files hold.

    Args:
        loader: The format.
        paths: Its files.
        n_users: How many users to name; None for all.
        strict: Whether a broken row is an error; None for as the loader says.
        pii: Whether to count what names someone outright.

    Raises:
        DataError: A file cannot be used.
    """
    dropped: Counter[str] = Counter()
    problems: list[Problem] = []
    authors: set[Authorship] = set()
    n_replies = n_problems = n_untimed = 0
    with closing(Users(loader.rules)) as users:
        for event in events(loader, paths, strict=strict):
            if pii:
                users.names_in(event)
            if isinstance(event, Reply):
                n_replies += 1
                n_untimed += event.time is None
                if reason := users.reply(event):
                    dropped[reason] += 1
                else:
                    authors.add(event.authored_by)
            elif isinstance(event, Dropped):
                dropped[event.reason] += 1
                n_problems += event.broken
                if event.broken and n_problems <= MAX_PROBLEMS:
                    reason = mask(event.detail or event.reason)
                    problems.append(Problem(line=event.place, reason=reason, file=event.file))
            elif isinstance(event, Said):
                (users.text_once if event.again else users.text)(event.user, event.text)
        return Summary(
            dataset=loader.dataset,
            strict=loader.strict,
            n_replies=n_replies,
            n_users=users.n_users(),
            n_learnable=users.n_learnable(),
            authored_by=frozenset(authors),
            users=tuple(users.summaries(n_users)),
            totals=users.totals(),
            dropped=MappingProxyType(dict(dropped)),
            problems=tuple(problems),
            n_problems=n_problems,
            pii=users.named if pii else None,
            seems="" if n_replies else _seems(loader, paths),
            n_untimed=n_untimed if n_untimed < n_replies else 0,
        )


def events(loader: Loader, paths: Paths, *, strict: bool | None = None) -> Iterator[Event]:
    """Return what the files hold; refuse a broken row where the format is strict."""
    strict = loader.strict if strict is None else strict
    inside = [each for path in paths for each in _of_format(loader, path)]
    found = loader.read(inside) if len(inside) < 2 else _once(loader.read(inside))  # noqa: PLR2004
    for event in found:
        if strict and isinstance(event, Dropped) and event.broken:
            raise DataError(
                f"each row must be {loader.record}",
                expected=f"such rows in {', '.join(map(str, paths))}",
                got=f"line {event.place}: {mask(event.detail or event.reason)}",
                next_step="Correct it; `lorecall data check` lists every broken row.",
            )
        yield event


def _of_format(loader: Loader, path: Path) -> list[Path]:
    """Return a file, or those of the format that an archive holds."""
    inside, is_one = documents(path), loader.recognises
    if len(inside) == 1 or is_one is None:
        return [path]
    return [each for each in inside if is_one(head_of(each))] or [path]


def _once(found: Iterable[Event]) -> Iterator[Event]:
    """Return the events of several files, those of exports that overlap once.

    A conversation has one name in every export of it, and a turn one place in it; so has one that
    has the same time, and the same query or response. Of pairs that are cut where a file begins or
    ends, the whole one is taken, or the longest.
    """
    cut: list[Reply] = []
    with closing(Seen()) as seen:
        for event in found:
            if isinstance(event, Reply) and event.is_cut:
                cut.append(event)
            else:
                yield _first(event, seen)
        for event in sorted(cut, key=lambda each: -len(each.query + each.response)):
            yield _first(event, seen)


def _first(event: Event, seen: Seen) -> Event:
    """Return an event, or the drop that it is where it was seen before."""
    is_new = True
    if isinstance(event, Reply) and event.position is not None:
        is_new = seen.is_new(event.user, event.conversation, event.position)
        if event.time is not None and event.authored_by == "user":
            sides = [seen.is_new(event.user, event.time, t) for t in (event.query, event.response)]
            is_new = is_new and (all(sides) or not event.is_cut)
    elif isinstance(event, Said) and not event.again:
        is_new = seen.is_new(event.user, event.conversation, event.time, event.text)
    return event if is_new else Dropped(IN_ANOTHER_FILE, 0, broken=False, user=event.user)


@contextmanager
def _counted(loader: Loader, paths: Paths) -> Generator[Users]:
    """Count everyone's replies."""
    with closing(Users(loader.rules)) as users:
        for event in events(loader, paths):
            if isinstance(event, Reply):
                users.count(event.user)
        _check_anyone(users, loader, paths)
        yield users


def _check_anyone(users: Users, loader: Loader, paths: Paths) -> None:
    """Refuse files in which nobody replies to anyone, and say what they look like."""
    if not users.n_users() and (seems := _seems(loader, paths)):
        raise DataError(
            "the files must hold someone's replies",
            expected=f"{loader.record}, in {', '.join(map(str, paths))}",
            got=f"no reply in {seems}",
            next_step="`lorecall data check` says what was left out. Leave the format's name out to"
            " see whether the file is of another, or write its messages as JSONL.",
        )


def _seems(loader: Loader, paths: Paths) -> str:
    """Return what the first of some files looks like; nothing where there is none."""
    if not (paths and paths[0].is_file()):
        return ""
    head = head_of(_of_format(loader, paths[0])[0])
    if loader.recognises and loader.recognises(head):
        return f"a file of {loader.name} where nobody answers anyone"
    return looks_like(head)[0]


def _filtered(wanted: UserFilter, loader: Loader, paths: Paths) -> UserFilter:
    for event in events(loader, paths):
        wanted.add(event)
    return wanted


def _load_pool(loader: Loader, paths: Paths, *, seed: int, max_pooled: int) -> History:
    """Draw users until as many replies are together, and merge their histories."""
    drawn, n_left_out = _draw(loader, paths, seed=seed, max_pooled=max_pooled)
    of_drawn = UserFilter(frozenset(drawn).__contains__, everyones_drops=True)
    of_drawn = _filtered(of_drawn, loader, paths)
    histories = (
        history_of(of_drawn.events_of(user), user=user, dataset=loader.name, rules=loader.rules)
        for user in drawn
    )
    pool = merged(histories, dataset=loader.name, seed=seed)
    return pool.with_drops(of_drawn.lost + Counter({NOT_DRAWN: n_left_out}))


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
