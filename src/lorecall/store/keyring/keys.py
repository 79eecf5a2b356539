"""What a store is encrypted with: a key of its own for each record and blob.

notation    what                                  kept
root key    wraps what is below it                with its holder: a file, or a key service
person key  wraps the keys of one person's data   wrapped by the root key; a new one at each forget
data key    encrypts one record or one blob       wrapped by the person's key (RFC 3394)

A data key is used once (AES-256-GCM), for one content in one place: store, person, kind and name go
into what is authenticated, so that nothing opens under another's name. Who destroys the data key
has destroyed the content, wherever else a copy of its ciphertext lies. A person's key cannot forget
one record, which is why each has its own.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, Engine, bindparam, delete, insert, inspect, select, update

from lorecall.errors import IntegrityError
from lorecall.store.asking import Asker, Question
from lorecall.store.database import connect, in_parts, scrub, writing
from lorecall.store.keyring import ledger
from lorecall.store.keyring.root import CurrentRoot, RootKey, generation_in, wrap_again
from lorecall.store.revisions import answers, make_tables
from lorecall.store.schema import data_key, key_erasure, keys, person_key, secret

_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = 1
_INDEX, _SIGNING, _CHECK = "index", "signing", "check"
_SECRETS = Question(select(secret.c.name, secret.c.wrapped))
_OF_PERSON = select(person_key).where(person_key.c.person == bindparam("person"))
_ADD = insert(data_key)


class KeyStore:
    """The keys of one store, in a folder of their own.

    Args:
        folder: Where they are.
        store: The store's name: what another store encrypted does not open.
        root: Who holds the root key.
        new: Whether the store is new.

    Raises:
        IntegrityError: They are another store's, or the root key is another.
    """

    def __init__(self, folder: Path, *, store: str, root: RootKey, new: bool) -> None:
        if new:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        elif not (folder / "keys.db").is_file():
            raise _not_its_own("none")
        self._store = store
        self._engine = connect(folder / "keys.db")
        self._asker = Asker(self._engine)
        try:
            if new:
                with writing(self._engine) as connection:
                    make_tables(connection, keys)
                    _begin(connection, root, store)
            found = self._secrets()
            self._root = CurrentRoot(root, self._engine, generation=generation_in(found))
            self._index = root.unwrap(found[_INDEX])
            self._seed = root.unwrap(found[_SIGNING])
        except BaseException:
            self.close()
            raise

    def _secrets(self) -> dict[str, bytes]:
        answered = answers(self._asker, _SECRETS)
        found = {} if answered is None else dict(answered[0])
        if found.get(_CHECK) != self._store.encode():
            raise _not_its_own("another's" if found else "none")
        return found

    @property
    def engine(self) -> Engine:
        """The keys' own database."""
        return self._engine

    def close(self) -> None:
        """Close the database."""
        self._asker.close()
        self._engine.dispose()

    @cached_property
    def _signing(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._seed)

    @property
    def public_key(self) -> bytes:
        """What the store's signatures are checked with: Ed25519, 32 bytes."""
        return self._signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, content: bytes) -> bytes:
        """Sign something in the store's name."""
        return self._signing.sign(content)

    def index(self, text: str) -> bytes:
        """Return what a name is found by: it tells nobody else the name."""
        return hmac.digest(self._index, text.encode(), hashlib.sha256)

    def add_person(self, person: str) -> None:
        """Make a person's first key, unless there is one."""
        with writing(self._engine) as connection:
            if connection.execute(_OF_PERSON, {"person": person}).first() is None:
                values = {"person": person, "generation": 1}
                fresh = {name: self._root.wrap(os.urandom(_BYTES)) for name in ("wrapped", "salt")}
                connection.execute(insert(person_key).values(**values, **fresh))

    def commitments(self, person: str, contents: Iterable[bytes]) -> list[bytes]:
        """Return what records are known again by: nobody without the person's salt can guess."""
        with self._engine.connect() as connection:
            salt = self._root.unwrap(self._person(connection, person).salt)
        return [hmac.digest(salt, content, hashlib.sha256) for content in contents]

    def seal(self, person: str, kind: str, contents: Mapping[str, bytes]) -> dict[str, bytes]:
        """Encrypt contents, by their names, each under a key of its own that is now kept."""
        sealed: dict[str, bytes] = {}
        rows: list[dict[str, object]] = []
        with writing(self._engine) as connection:
            own = self._root.unwrap(self._person(connection, person).wrapped)
            for uid, content in contents.items():
                key, nonce = AESGCM.generate_key(8 * _BYTES), os.urandom(_NONCE_BYTES)
                rows.append({"uid": uid, "person": person, "wrapped": aes_key_wrap(own, key)})
                place = self._place(person, kind, uid)
                sealed[uid] = nonce + AESGCM(key).encrypt(nonce, content, place)
            connection.execute(_ADD, rows)
        return sealed

    def open(
        self, person: str, kind: str, sealed: Mapping[str, bytes], *, strict: bool = True
    ) -> dict[str, bytes]:
        """Decrypt contents, by their names.

        Args:
            person: Whose.
            kind: What they are.
            sealed: What was encrypted, by name.
            strict: Whether to refuse what does not open, rather than to leave it out.

        Raises:
            IntegrityError: A key was destroyed, or what it is to open is not what it encrypted.
        """
        rows = select(data_key.c.uid, data_key.c.wrapped).where(data_key.c.person == person)
        if len(sealed) == 1:
            rows = rows.where(data_key.c.uid.in_(sealed))
        with self._engine.connect() as connection:
            if not strict and connection.execute(_OF_PERSON, {"person": person}).first() is None:
                return {}
            own = self._root.unwrap(self._person(connection, person).wrapped)
            wrapped = dict(connection.execute(rows).all())
        opened: dict[str, bytes] = {}
        for uid, content in sealed.items():
            try:
                place = self._place(person, kind, uid)
                opened[uid] = _decrypted(content, own, wrapped.get(uid), place=place)
            except ValueError as reason:
                if strict:
                    raise _unopened(kind, str(reason)) from None
        return opened

    def destroy(self, person: str, uids: Iterable[str]) -> int:
        """Destroy the keys of contents, and the person's key that wrapped them.

        The others are wrapped by a new one, and the old bytes are overwritten.

        Returns:
            The generation of the person's key from now on.
        """
        gone = [*uids]
        with writing(self._engine) as connection:
            generation = self._wrap_anew(connection, person, without=gone)
            ledger.note(connection, key_erasure, person, gone)
        scrub(self._engine)
        return generation

    def drop(self, uids: Iterable[str]) -> None:
        """Drop the keys of contents that were never published."""
        with writing(self._engine) as connection:
            for some in in_parts(uids):
                connection.execute(delete(data_key).where(data_key.c.uid.in_(some)))

    def drop_person(self, person: str) -> None:
        """Drop the keys of someone who was never added."""
        with writing(self._engine) as connection:
            _delete_keys(connection, person)

    def destroy_person(self, person: str) -> None:
        """Destroy every key of a person."""
        with writing(self._engine) as connection:
            _delete_keys(connection, person)
            ledger.note(connection, key_erasure, person, [person])
        scrub(self._engine)

    def rotate(self, root: RootKey) -> None:
        """Wrap all by another root key, and have the old bytes overwritten."""
        generation = wrap_again(self._engine, self._root.inner, root)
        scrub(self._engine)
        self._root = CurrentRoot(root, self._engine, generation=generation)

    def keep(self, name: str, key: bytes) -> None:
        """Keep a further key by its name, wrapped by the root key; one of that name is replaced."""
        with writing(self._engine) as connection:
            connection.execute(delete(secret).where(secret.c.name == name))
            connection.execute(insert(secret).values(name=name, wrapped=self._root.wrap(key)))

    def kept_key(self, name: str) -> bytes | None:
        """Return a key that was kept; None where there is none of that name."""
        query = select(secret.c.wrapped).where(secret.c.name == name)
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else self._root.unwrap(found)

    def drop_key(self, name: str) -> None:
        """Destroy a key that was kept."""
        with writing(self._engine) as connection:
            connection.execute(delete(secret).where(secret.c.name == name))
        scrub(self._engine)

    def people(self) -> set[str]:
        """Return who has keys."""
        with self._engine.connect() as connection:
            return set(connection.scalars(select(person_key.c.person)))

    def kept(self, person: str) -> set[str]:
        """Return the names of a person's contents that there are keys for."""
        with self._engine.connect() as connection:
            query = select(data_key.c.uid).where(data_key.c.person == person)
            return set(connection.scalars(query))

    def erased_to(self) -> int:
        """Return the last number in the ledger of what was destroyed."""
        ((last,),) = self._asker.ask(ledger.OF_KEYS)
        return last

    def erasures(self, after: int) -> list[ledger.Erasure]:
        """Return what the ledger has after a number."""
        with self._engine.connect() as connection:
            return ledger.after(connection, key_erasure, after)

    def erase_again(self, rows: Sequence[ledger.Erasure]) -> None:
        """Destroy keys that were destroyed before, in an older copy of the keys.

        Args:
            rows: What the ledger of the data has more than this one.
        """
        with writing(self._engine) as connection:
            known = ledger.last(connection, key_erasure)
            rows = [row for row in rows if row.seq > known]
            for person in dict.fromkeys(row.person for row in rows):
                uids = {row.uid for row in rows if row.person == person}
                if person in uids:
                    _delete_keys(connection, person)
                elif connection.execute(_OF_PERSON, {"person": person}).first() is not None:
                    self._wrap_anew(connection, person, without=uids)
            ledger.copy(connection, key_erasure, rows)
        scrub(self._engine)

    def _wrap_anew(self, connection: Connection, person: str, *, without: Iterable[str]) -> int:
        """Wrap a person's keys by a new one, but some; return its generation."""
        gone, before = set(without), self._person(connection, person)
        old, new = self._root.unwrap(before.wrapped), os.urandom(_BYTES)
        mine = select(data_key.c.uid, data_key.c.wrapped).where(data_key.c.person == person)
        kept = {
            uid: aes_key_wrap(new, aes_key_unwrap(old, wrapped))
            for uid, wrapped in connection.execute(mine)
            if uid not in gone
        }
        connection.execute(delete(data_key).where(data_key.c.person == person))
        rows = [{"uid": uid, "person": person, "wrapped": it} for uid, it in kept.items()]
        if rows:
            connection.execute(insert(data_key), rows)
        generation = int(before.generation) + 1
        connection.execute(
            update(person_key)
            .where(person_key.c.person == person)
            .values(generation=generation, wrapped=self._root.wrap(new))
        )
        return generation

    def _person(self, connection: Connection, person: str):  # noqa: ANN202 - a row
        found = connection.execute(_OF_PERSON, {"person": person}).first()
        if found is None:
            raise _unopened("person", "the keys of nobody: they were destroyed, or are another's")
        return found

    def _place(self, person: str, kind: str, uid: str) -> bytes:
        return f"{self._store}|{person}|{kind}|{uid}|{_FORMAT}".encode()


def new_uid() -> str:
    """Return a name that says nothing: 128 random bits."""
    return uuid4().hex


def store_of(folder: Path) -> str | None:
    """Return the store that keys in a folder were made for; None where there are none."""
    if not (folder / "keys.db").exists():
        return None
    engine = connect(folder / "keys.db")
    query = select(secret.c.wrapped).where(secret.c.name == _CHECK)
    with engine.connect() as connection:
        is_made = inspect(connection).has_table(secret.name)
        found = connection.execute(query).scalar() if is_made else None
    engine.dispose()
    return None if found is None else bytes(found).decode()


def _begin(connection: Connection, root: RootKey, store: str) -> None:
    if connection.execute(select(secret.c.name)).first() is not None:
        return  # they were made by one that did not come to its end
    made = {name: root.wrap(os.urandom(_BYTES)) for name in (_INDEX, _SIGNING)}
    made[_CHECK] = store.encode()
    rows = [{"name": name, "wrapped": wrapped} for name, wrapped in made.items()]
    connection.execute(insert(secret), rows)


def _decrypted(content: bytes, own: bytes, wrapped: bytes | None, *, place: bytes) -> bytes:
    if wrapped is None:
        raise ValueError("its key is not there: it was destroyed, or is another's")
    try:
        key = aes_key_unwrap(own, wrapped)
        return AESGCM(key).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], place)
    except (InvalidTag, InvalidUnwrap, ValueError):
        raise ValueError("another content, or one that was changed") from None


def _delete_keys(connection: Connection, person: str) -> None:
    for table in (data_key, person_key):
        connection.execute(delete(table).where(table.c.person == person))


def _not_its_own(got: str) -> IntegrityError:
    return IntegrityError(
        "a store is opened with its own keys",
        expected="the keys that were made with it",
        got=got,
        next_step="Name the folder of its keys (--keys), or restore the root key from its copy.",
    )


def _unopened(kind: str, got: str) -> IntegrityError:
    return IntegrityError(
        f"a {kind} must be what the store wrote there",
        expected="what was encrypted under this name, and its key",
        got=got,
        next_step="Restore the store from a copy, or forget this and remember it again.",
    )
