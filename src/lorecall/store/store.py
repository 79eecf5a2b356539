"""A store: many people, each with what is remembered, versions of a memory, and what was forgotten.

```
FOLDER/store.db          people, records, versions, jobs, the audit log: ciphertext and random names
FOLDER/blobs/PERSON/...  versions, encrypted
FOLDER-keys/keys.db      wrapped keys, apart from what they open
FOLDER-keys/root.key     the key above all: keep a copy elsewhere, for without it all is lost
```

The database may be PostgreSQL, and the versions in S3. The keys never are: where they are destroyed
they must be overwritten, which a server's log and a bucket do not promise.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import select

from lorecall.errors import ConfigError
from lorecall.store import audit, copies, counts, people, strays
from lorecall.store import check as checking
from lorecall.store.builder import Builder, build
from lorecall.store.certificate import Certificate
from lorecall.store.copies import Copied
from lorecall.store.database import writing
from lorecall.store.exports import Imported, built_like, read_archive
from lorecall.store.keyring.root import RootKey
from lorecall.store.keyring.rotation import ROOT, rotate_file
from lorecall.store.migrate import migrate
from lorecall.store.opening import open_site
from lorecall.store.person import Person
from lorecall.store.place import Place
from lorecall.store.schema import audit as audit_table
from lorecall.store.site import Site


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a store is: its random name, the folder of its keys, and the place of its versions."""

    uid: str
    keys: Path
    blobs: str


class Store:
    """Many people's memories, in a folder or in PostgreSQL.

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
        blobs: str | Path | None = None,
        root: RootKey | None = None,
        builder: Builder = build,
        create: bool = True,
    ) -> Self:
        """Open a store, or make one. What was forgotten is gone from it, if it is an older copy.

        Args:
            place: Its folder, on a disk of this machine; or `postgresql://USER@HOST/DATABASE`.
            keys: The folder of its keys; when None, the one beside it that ends with `-keys`. A
                database's must be named.
            blobs: Where a new store keeps versions: a folder, or `s3://BUCKET/PREFIX`. When None
                in it; a database's must be named.
            root: Who holds the root key; the file `root.key` among the keys when None.
            builder: Who builds versions: a new process.
            create: Whether to make it where there is none.

        Raises:
            ConfigError: The place is neither, or an older version made the store.
            MissingError: There is no store, and none is to be made.
            IntegrityError: The keys are not its own, or it was made by a later version.
            StorageError: The database or the bucket cannot be reached.

        Examples:
            >>> import lorecall
            >>> store = lorecall.Store.open("others", keys="elsewhere")
            >>> store.people()
            []
            >>> store.close()
        """
        where = Place.of(place, keys=keys, blobs=blobs)
        return cls(open_site(where, root=root, builder=builder, create=create))

    @classmethod
    def restore(
        cls,
        source: str | Path,
        place: str | Path,
        *,
        keys: str | Path | None = None,
        blobs: str | Path | None = None,
        root: RootKey | None = None,
    ) -> Self:
        """Copy a backup into a new place, take out what was forgotten since, and open it.

        Args:
            source: The backup's folder.
            place: Where the store is to be, as in `open`; so are the others.
            keys: The folder of its keys: today's.
            blobs: Where its versions are to be.
            root: Who holds the root key.

        Raises:
            ConfigError: There is no backup, or a store where it is to be.
            IntegrityError: The keys are another store's.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("first") as store:
            ...     ada = store.person("ada")
            ...     _ = ada.remember("history.jsonl", user="ann")
            ...     _ = store.backup("first-backup")
            ...     _ = ada.forget(like="day 3")
            >>> with lorecall.Store.restore("first-backup", "second", keys="first-keys") as store:
            ...     store.person("ada").log().n_records
            23
        """
        where = Place.of(place, keys=keys, blobs=blobs)
        copied = copies.restore(Path(source), where)
        store = cls(open_site(where, root=root, builder=build, create=False))
        with writing(store._site.engine) as connection:
            details = {"rows": copied.rows, "versions": copied.versions}
            audit.append(connection, person="", action="restored", details=details)
        return store

    @staticmethod
    def migrate(place: str | Path, *, keys: str | Path | None = None) -> tuple[str, str]:
        """Bring a store that an older version made to this one's revision: wholly, or not at all.

        Args:
            place: Where it is, as in `open`.
            keys: The folder of its keys.

        Returns:
            The revision that it was of, and the one that it is of.

        Raises:
            MissingError: There is no store.
            IntegrityError: A later version made it, or what came of it is not whole.

        Examples:
            >>> import lorecall
            >>> lorecall.Store.open("new").close()
            >>> before, after = lorecall.Store.migrate("new")
            >>> before == after
            True
        """
        return migrate(Place.of(place, keys=keys))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the databases."""
        self._site.close()

    @property
    def where(self) -> Where:
        """Its random name, and where its keys and versions are."""
        site = self._site
        return Where(uid=site.uid, keys=site.keys_folder, blobs=site.blobs.place)

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

    def check(self, *, deep: bool = False) -> checking.Checkup:
        """Look whether all is there that must be, in the databases, among the keys and the blobs.

        Args:
            deep: Whether to decrypt every record and version as well.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("people") as store:
            ...     store.check().broken
            ()
        """
        return checking.check(self._site, deep=deep)

    def gc(self) -> strays.Swept:
        """Remove what killed processes left; others may work meanwhile.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("people") as store:
            ...     store.gc().blobs
            0
        """
        return strays.collect(self._site)

    def stat(self) -> counts.Counts:
        """Count what there is.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("empty") as store:
            ...     store.stat().people
            0
        """
        return counts.count(self._site)

    def backup(self, out: str | Path, *, keys_to: str | Path | None = None) -> Copied:
        """Copy the store into a folder, which is a store of its own; others may work meanwhile.

        Args:
            out: The folder.
            keys_to: Another folder, for the keys (not the root key); None to leave them.

        Raises:
            ConfigError: The folder holds a store, or is not apart from the keys.

        Examples:
            >>> import lorecall
            >>> with lorecall.Store.open("saved") as store:
            ...     _ = store.person("ada").remember("history.jsonl", user="ann")
            ...     copied = store.backup("saved-backup", keys_to="elsewhere-keys")
            >>> copied.versions
            0
        """
        to = None if keys_to is None else Path(keys_to)
        return copies.backup(self._site, Path(out), keys_to=to)
