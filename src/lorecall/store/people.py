"""People in a store: found by name, kept apart by a random name that never changes."""

import unicodedata
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select
from sqlalchemy.exc import IntegrityError as Taken

from lorecall.errors import ConfigError, ConflictError, MissingError
from lorecall.store import audit
from lorecall.store.asking import Question
from lorecall.store.database import writing
from lorecall.store.keyring.keys import new_uid
from lorecall.store.schema import person
from lorecall.store.site import Site
from lorecall.store.skeleton import skeleton

_NAME = "name"
_MAX_CHARACTERS = 200
_BY_NAME = Question(
    select(person.c.uid, person.c.head).where(person.c.name_index == bindparam("index"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A person who is in the store: their random name, and their head if they have one."""

    uid: str
    head: int | None


def checked_name(name: str) -> str:
    """Return a person's name in one form (NFC).

    Raises:
        TypeError: It is no text.
        ConfigError: It is empty, too long, or has characters that cannot be seen.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a person must be named, as text; got {type(name).__name__}")
    formed = unicodedata.normalize("NFC", name)
    unseen = [c for c in formed if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    if not formed.strip() or formed != formed.strip() or unseen or len(formed) > _MAX_CHARACTERS:
        raise ConfigError(
            "a person's name must be one that can be read",
            expected=f"1 to {_MAX_CHARACTERS} characters, no blank at an end, none that is unseen",
            got=ascii(name[:_MAX_CHARACTERS]),
            next_step="Choose another name.",
        )
    return formed


def find(site: Site, name: str) -> Known:
    """Return a person who is there.

    Raises:
        MissingError: They are not.
    """
    found = _found(site, name)
    if found is None:
        raise MissingError(
            "the person must be in the store",
            expected="someone it has",
            got=repr(name),
            next_step="Check the spelling, or remember something of theirs first.",
        )
    return found


def is_there(site: Site, name: str) -> bool:
    """Whether a person is in the store."""
    return _found(site, name) is not None


def find_or_add(site: Site, name: str) -> Known:
    """Return a person, who is added if they are not there.

    Raises:
        ConflictError: The name looks like another's.
    """
    found = _found(site, name)
    if found is not None:
        return found
    uid = new_uid()
    site.keys.add_person(uid)
    try:
        _add(site, uid, name)
    except (Taken, ConflictError) as reason:
        site.keys.drop_person(uid)
        if isinstance(reason, ConflictError):
            raise
        return find_or_add(site, name)  # another process was sooner
    return Known(uid=uid, head=None)


def names(site: Site) -> list[str]:
    """Return what everyone is called."""
    with site.engine.connect() as connection:
        rows = connection.execute(select(person.c.uid, person.c.name)).all()
    there = site.keys.people()  # of someone who is being forgotten the row goes last
    return sorted(
        site.keys.open(uid, _NAME, {uid: sealed})[uid].decode()
        for uid, sealed in rows
        if uid in there
    )


def name_of(site: Site, uid: str) -> str:
    """Return what someone is called; their random name where that cannot be read."""
    with site.engine.connect() as connection:
        sealed = connection.execute(select(person.c.name).where(person.c.uid == uid)).scalar()
    opened = {} if sealed is None else site.keys.open(uid, _NAME, {uid: sealed}, strict=False)
    return opened[uid].decode() if opened else uid


def _found(site: Site, name: str) -> Known | None:
    rows = site.asker.ask(_BY_NAME, index=site.keys.index(name))
    return next((Known(uid=uid, head=head) for uid, head in rows), None)


def _add(site: Site, uid: str, name: str) -> None:
    look = site.keys.index(f"look {skeleton(name)}")
    sealed = site.keys.seal(uid, _NAME, {uid: name.encode()})[uid]
    with writing(site.engine) as connection:
        alike = connection.execute(
            select(person.c.uid, person.c.name, person.c.name_index).where(
                person.c.look_index == look
            )
        ).first()
        if alike is not None and alike.name_index != site.keys.index(name):
            theirs = site.keys.open(alike.uid, _NAME, {alike.uid: alike.name})[alike.uid].decode()
            raise ConflictError(
                "a person's name must not look like another's",
                expected="a name of its own",
                got=f"{name!r}, which looks like {theirs!r}",
                next_step="Use that one, or choose another name.",
            )
        connection.execute(
            insert(person).values(
                uid=uid, name=sealed, name_index=site.keys.index(name), look_index=look
            )
        )
        audit.append(connection, person=uid, action="added", details={})
