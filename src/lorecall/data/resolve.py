"""Finding a user by what someone types: an id, the start of one, in any case, or nothing."""

import difflib
from functools import lru_cache

from lorecall.data.users import N_SHOWN, Users, folded
from lorecall.errors import DataError

N_COMPARED = 2_000  # comparing names is slow; a file may hold a million of them

_CONDITIONS = (
    "user = ?",
    "starts(user, ?)",
    "folded(user) = folded(?)",
    "starts(folded(user), folded(?))",
)
"""How an id may be given; the first of these that fits anyone decides."""


def resolve_user(user: str | None, users: Users) -> str:
    """Return the user whose id is, or alone starts with, what was given.

    An exact id comes first, then an exact start, then both without regard to case.

    Raises:
        DataError: No user or more than one matches.
    """
    if user is None:
        return _only(users)
    user = user.encode(errors="replace").decode()  # an argument need not be UTF-8
    for condition in _CONDITIONS if user else _CONDITIONS[:1]:
        matches, n_matches = users.fitting(condition, user)
        if n_matches == 1:
            return matches[0]
        if n_matches:
            raise DataError(
                "the start of a user id must fit one user",
                expected="a longer start or the full id",
                got=f"{user!r}, which fits {n_matches}: {_names(matches, n_matches)}",
                next_step="Add characters until one is left.",
            )
    near = _near(user, users.largest(N_COMPARED))
    raise DataError(
        "the user must be in the data",
        expected=f"a user id or the start of one, such as {_names(near, len(near))}",
        got=f"{user!r} ({users.n_users()} users, none fits)",
        next_step="List the users of this source and choose one.",
    )


def resolve_users(user: str | None, users: Users) -> list[str]:
    """Return the users that were given: one, or several with commas between, who are one person.

    Raises:
        DataError: No user or more than one matches one of them.
    """
    parts = _parts(user)
    is_one = len(parts) < 2 or any(users.fitting(each, user or "")[1] for each in _CONDITIONS)  # noqa: PLR2004
    found = [resolve_user(each, users) for each in ([user] if is_one else parts)]
    return list(dict.fromkeys(found))


def may_be(user: str | None, known: str) -> bool:
    """Whether `resolve_users` may find this user for what was given."""
    if user is None:
        return True
    whole = folded(known)
    return any(
        known.startswith(each) or whole.startswith(folded(each)) for each in (user, *_parts(user))
    )


@lru_cache(maxsize=16)
def _parts(user: str | None) -> tuple[str, ...]:
    """Return what stands between commas; a name may have one too."""
    return tuple(part for each in (user or "").split(",") if (part := each.strip()))


def _only(users: Users) -> str:
    names, n = users.largest(N_SHOWN), users.n_users()
    if n == 1:
        return names[0]
    raise DataError(
        "a user must be chosen where a source has not one alone",
        expected="a user id or the start of one",
        got=f"none, and {n} users{': ' * bool(n)}{_names(names, n)}",
        next_step="Say whose memory it is to be (--user)." if n else "Check the file.",
    )


def _near(user: str, largest: list[str]) -> list[str]:
    """Return names that start much like the one asked for, else those with the most replies."""
    starts = {known[: len(user) + 2].casefold(): known for known in largest}
    close = difflib.get_close_matches(user.casefold(), starts, n=N_SHOWN)
    return [starts[start] for start in close] or largest[:N_SHOWN]


def _names(users: list[str], n: int) -> str:
    return ", ".join(repr(user) for user in users) + (", ..." if n > len(users) else "")
