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

from lorecall.store import audit, people
from lorecall.store.builder import Builder, build
from lorecall.store.certificate import Certificate
from lorecall.store.keys import RootKey
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the databases."""
        self._site.close()

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
