"""A store: many people, each with what is remembered, versions of a memory, and what was forgotten.

```
FOLDER/store.db          people, records, versions, jobs, the audit log: ciphertext and random names
FOLDER/blobs/PERSON/...  versions, encrypted
FOLDER-keys/keys.db      wrapped keys, apart from what they open
FOLDER-keys/root.key     the key above all: keep a copy elsewhere, for without it all is lost
```
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import insert, select

from lorecall.errors import ConfigError, IntegrityError, MissingError
from lorecall.store import audit, people
from lorecall.store.builder import Builder, build
from lorecall.store.certificate import Certificate
from lorecall.store.exports import Imported, built_like, read_archive
from lorecall.store.keys import KeyStore, new_uid, store_of
from lorecall.store.person import Person
from lorecall.store.root import FileRootKey, RootKey
from lorecall.store.rotation import ROOT, rotate_file, settle
from lorecall.store.schema import FORMAT, data, meta, open_database, writing
from lorecall.store.schema import audit as audit_table
from lorecall.store.site import Site

_UID, _FORMAT = "uid", "format"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checking a certificate with the store came to.

    Args:
        certificate: What it says.
        own_key: Whether this store's key signed it.
        in_log: Whether the audit log has the line it names; None where another store's key signed.
    """

    certificate: Certificate
    own_key: bool
    in_log: bool | None


class Store:
    """Many people's memories, in a folder.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     ada = store.person("ada")
        ...     added = ada.remember("history.jsonl", user="ann")
        ...     updated = ada.update("base", settings=lorecall.preset("smoke"))
        ...     store.people(), added.added, updated.n
        (['ada'], 24, 1)
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    @classmethod
    def open(
        cls,
        place: str | Path,
        *,
        keys: str | Path | None = None,
        root: RootKey | None = None,
        builder: Builder = build,
        create: bool = True,
    ) -> Self:
        """Open a store, or make one.

        Args:
            place: Its folder, on a disk of this machine.
            keys: The folder of its keys; the one beside it that ends with `-keys` when None.
            root: Who holds the root key; the file `root.key` among the keys when None.
            builder: Who builds versions: a new process.
            create: Whether to make it where there is none.

        Raises:
            ConfigError: The place is no folder.
            MissingError: There is no store, and none is to be made.
            IntegrityError: The keys are not its own, or it was made by a later version.

        Examples:
            >>> import lorecall
            >>> store = lorecall.Store.open("others", keys="elsewhere")
            >>> store.people()
            []
            >>> store.close()
        """
        folder = Path(place)
        if "://" in str(place) or folder.is_file():
            raise ConfigError(
                "a store is a folder on a disk of this machine",
                expected="a folder",
                got="a URL" if "://" in str(place) else "a file",
                next_step="Name a folder.",
            )
        if not create and not (folder / "store.db").is_file():
            raise MissingError(
                "the store must be there",
                expected=f"{folder}/store.db",
                got="nothing",
                next_step="Check --store, or begin one with `lorecall remember`.",
            )
        keys_folder = folder.with_name(f"{folder.name}-keys") if keys is None else Path(keys)
        return cls(_opened(folder, keys_folder, root, builder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the databases."""
        self._site.engine.dispose()
        self._site.keys.close()

    @property
    def public_key(self) -> str:
        """What its certificates are checked with, as hexadecimal digits: to be made known."""
        return self._site.keys.public_key.hex()

    def person(self, name: str) -> Person:
        """Return someone by name, who need not be there yet.

        Args:
            name: What they are called. Names that differ in case alone are different, and the
                second of them is refused.

        Raises:
            TypeError: Nobody is named.
            ConfigError: The name cannot be read.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("people") as store:
            ...     store.person("ada").name
            'ada'
        """
        return Person(self._site, people.checked_name(name))

    def people(self) -> list[str]:
        """Return what everyone is called."""
        return people.names(self._site)

    def take_in(self, file: str | Path, *, name: str | None = None) -> Imported:
        """Add the records of an export; what is there already is not added again.

        The memory in it is not taken in, for nobody could say what it was built from: `update`
        builds it of the records, with the base, the settings and the threads that are returned.

        Args:
            file: Made by `Person.export`.
            name: What the person is to be called; as in the export when None.

        Raises:
            DataError: It is no export, or a record in it cannot be used.
            ConflictError: The name looks like another's.
        """
        archive = read_archive(Path(file))
        built = built_like(archive)
        person = self.person(archive.person if name is None else name)
        done = person.add(archive.rows)
        base, settings, n_threads = (None, None, None) if built is None else built
        return Imported(
            person=person.name,
            added=done.added,
            known=done.known,
            suppressed=done.suppressed,
            base=base,
            settings=settings,
            n_threads=n_threads,
        )

    def rotate(self, root: RootKey | None = None) -> None:
        """Wrap all keys by another root key; killed at any moment, the old or the new one opens it.

        Args:
            root: Who holds the new one; a new key in the file that holds it now when None.

        Raises:
            ConflictError: Another process is at it.
            ConfigError: The root key is in no file, and no new one is given.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("people") as store:
            ...     _ = store.person("ada").remember("history.jsonl", user="ann")
            ...     store.rotate()
            >>> with lorecall.Store.open("people") as store:  # with the new key
            ...     store.people()
            ['ada']
        """
        if root is None:
            if not (self._site.keys_folder / ROOT).exists():
                raise ConfigError(
                    "who holds the root key makes the new one",
                    expected="it as an argument, where it is no file",
                    got="none",
                    next_step="Give it: store.rotate(root).",
                )
            rotate_file(self._site.keys_folder, self._wrap_by)
        else:
            self._wrap_by(root)

    def _wrap_by(self, root: RootKey) -> None:
        self._site.keys.rotate(root)
        with writing(self._site.engine) as connection:
            audit.append(connection, person=self._site.uid, action="rotated", details={})

    def verify(self, certificate: Certificate | str | Path) -> Checked:
        """Check a certificate's signature, and look its line up in the audit log.

        Args:
            certificate: It, or its file.

        Raises:
            IntegrityError: It was changed, or the log was.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("people") as store:
            ...     ada = store.person("ada")
            ...     _ = ada.remember("history.jsonl", user="ann")
            ...     checked = store.verify(ada.forget(like="day 3"))
            >>> checked.own_key, checked.in_log
            (True, True)
        """
        if not isinstance(certificate, Certificate):
            certificate = Certificate.load(certificate)
        certificate = Certificate.checked(certificate.envelope)
        if certificate.key != self.public_key:
            return Checked(certificate=certificate, own_key=False, in_log=None)
        with self._site.engine.connect() as connection:
            audit.check_chain(connection)
            query = select(audit_table.c.details).where(audit_table.c.action == "forgotten")
            in_log = any(certificate.sha256 in details for details in connection.scalars(query))
        return Checked(certificate=certificate, own_key=True, in_log=in_log)

    def check_log(self) -> audit.AuditHead:
        """Compute the audit log's hashes again, and return its head.

        Raises:
            IntegrityError: A line was changed, added or taken out.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("logged") as store:
            ...     _ = store.person("ada").remember("history.jsonl", user="ann")
            ...     store.check_log().seq  # added, and remembered
            2
        """
        with self._site.engine.connect() as connection:
            return audit.check_chain(connection)


def _opened(folder: Path, keys_folder: Path, root: RootKey | None, builder: Builder) -> Site:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if root is None:
        keys_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_database(folder / "store.db", data)
    try:
        with writing(engine) as connection:
            found = dict(connection.execute(select(meta.c.name, meta.c.value)).all())
            _check_format(found.get(_FORMAT))
            is_new = _UID not in found
            uid = found.get(_UID) or store_of(keys_folder) or new_uid()
            root = root or _root_in(keys_folder, is_new=is_new)
            keys = KeyStore(keys_folder, store=uid, root=root, new=is_new)
            if is_new:
                rows = [{"name": _UID, "value": uid}, {"name": _FORMAT, "value": str(FORMAT)}]
                connection.execute(insert(meta), rows)
    except BaseException:
        engine.dispose()
        raise
    return Site(
        uid=uid,
        folder=folder,
        keys_folder=keys_folder,
        engine=engine,
        keys=keys,
        builder=builder,
    )


def _root_in(folder: Path, *, is_new: bool) -> FileRootKey:
    path = folder / ROOT
    settle(folder)
    if not is_new and not path.exists():
        raise IntegrityError(
            "a store's root key must be there",
            expected=str(path),
            got="nothing",
            next_step="Restore it from its copy, or name the folder of the keys (--keys).",
        )
    return FileRootKey(path)


def _check_format(found: str | None) -> None:
    if found is not None and int(found) != FORMAT:
        raise IntegrityError(
            "a store must be of this version's format",
            expected=f"format {FORMAT}",
            got=f"format {found}",
            next_step="Use the lorecall that wrote it.",
        )
