"""Where versions are kept, encrypted: a folder, or a bucket of S3.

A blob is never changed. What is written is read back before anything refers to it, and what is
removed is gone: in a bucket that keeps versions of objects, with all of them.
"""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from lorecall.core.files import write_bytes
from lorecall.core.provenance import without_password
from lorecall.errors import ConfigError, MissingExtraError, StorageError

_S3 = "s3://"
_PROBE = "probe"
_LIMITS = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 3}}


class Blobs(Protocol):
    """Where versions are kept; people and blobs have the store's random names."""

    @property
    def place(self) -> str:
        """What it is opened by."""
        ...

    def check(self) -> None:
        """Refuse a place where what is removed would stay.

        Raises:
            ConfigError: It would.
            StorageError: It cannot be reached.
        """
        ...

    def put(self, person: str, uid: str, content: bytes) -> None:
        """Write a blob: whole, and on the disk, when it returns."""
        ...

    def get(self, person: str, uid: str) -> bytes:
        """Read a blob.

        Raises:
            FileNotFoundError: It is not there.
        """
        ...

    def remove(self, person: str, uid: str) -> None:
        """Remove a blob, and every older version of it; one that is not there is none."""
        ...

    def remove_all(self, person: str) -> None:
        """Remove all that is a person's."""
        ...

    def names(self, person: str) -> list[str]:
        """Return what a person's blobs are called, those that were left half written too."""
        ...

    def people(self) -> list[str]:
        """Return who has any."""
        ...


def blobs_at(place: str | Path) -> Blobs:
    """Return where blobs are kept.

    Args:
        place: A folder, or `s3://BUCKET/PREFIX`.

    Raises:
        ConfigError: It is another's URL.
        MissingExtraError: What reads S3 is not installed.
    """
    text = str(place)
    if text.startswith(_S3) and text.removeprefix(_S3).strip("/"):
        if find_spec("s3fs") is None:
            install = "pip install lorecall[s3]"
            raise MissingExtraError("a store in S3", package="s3fs", install=install)
        return S3Blobs(text)
    if "://" in text:
        raise ConfigError(
            "versions are kept in a folder or in S3",
            expected="a folder's path, or s3://BUCKET/PREFIX",
            got=without_password(text),
            next_step="Name one of them (--blobs).",
        )
    return FolderBlobs(Path(place))


class FolderBlobs:
    """Blobs in a folder on a disk of this machine.

    Args:
        folder: Which.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    def check(self) -> None:
        """Nothing stays in a folder, as far as a program can see."""

    def put(self, person: str, uid: str, content: bytes) -> None:
        """Write a blob."""
        write_bytes(self.path(person, uid), content)

    def get(self, person: str, uid: str) -> bytes:
        """Read a blob."""
        return self.path(person, uid).read_bytes()

    def remove(self, person: str, uid: str) -> None:
        """Remove a blob."""
        self.path(person, uid).unlink(missing_ok=True)

    def remove_all(self, person: str) -> None:
        """Remove all that is a person's, and their folder."""
        for uid in self.names(person):
            self.remove(person, uid)
        with contextlib.suppress(OSError):  # it is not there
            (self._folder / person).rmdir()

    def names(self, person: str) -> list[str]:
        """Return what a person's blobs are called."""
        return _names_in(self._folder / person)

    def people(self) -> list[str]:
        """Return who has any."""
        return _names_in(self._folder)

    def path(self, person: str, uid: str) -> Path:
        """Return a blob's file."""
        return self._folder / person / uid


class S3Blobs:
    """Blobs in a bucket of S3, or of what speaks its language.

    Credentials, region and endpoint are those of the environment (`AWS_PROFILE`,
    `AWS_ENDPOINT_URL` and so on).

    Args:
        url: `s3://BUCKET/PREFIX`.
    """

    def __init__(self, url: str) -> None:
        from s3fs import S3FileSystem  # noqa: PLC0415

        self._url = url.rstrip("/")
        self._bucket, _, prefix = self._url.removeprefix(_S3).partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._files: Any = S3FileSystem(
            skip_instance_cache=True, use_listings_cache=False, config_kwargs=_LIMITS
        )

    @property
    def place(self) -> str:
        """The URL."""
        return self._url

    def check(self) -> None:
        """Write an object, remove it, and look whether anything of it is left."""
        try:
            self.put(_PROBE, _PROBE, b"?")
            self.remove(_PROBE, _PROBE)
            left = self.names(_PROBE)
        except StorageError as reason:
            raise self._kept(reason.got) from reason
        if left:
            raise self._kept("an object that is still there after it was removed")

    def put(self, person: str, uid: str, content: bytes) -> None:
        """Write a blob: S3 has it whole or not at all."""
        with self._reaching():
            self._files.pipe_file(f"{self._bucket}/{self._key(person, uid)}", content)

    def get(self, person: str, uid: str) -> bytes:
        """Read a blob."""
        with self._reaching(missing=True):
            return bytes(self._files.cat_file(f"{self._bucket}/{self._key(person, uid)}"))

    def remove(self, person: str, uid: str) -> None:
        """Remove a blob, with all versions of the object and the marks that it was deleted."""
        key = self._key(person, uid)
        self._remove(each for each in self._versions(key) if each[0] == key)

    def remove_all(self, person: str) -> None:
        """Remove all that is a person's."""
        self._remove(self._versions(self._key(person, "")))

    def names(self, person: str) -> list[str]:
        """Return what a person's blobs are called, those of which only old versions are left."""
        start = self._key(person, "")
        return sorted({key.removeprefix(start) for key, _ in self._versions(start)})

    def people(self) -> list[str]:
        """Return who has any."""
        with self._reaching():
            pages = [
                page.get("CommonPrefixes", ()) for page in self._pages(self._prefix, Delimiter="/")
            ]
        found = (str(each["Prefix"]) for page in pages for each in page)
        return sorted(prefix.removeprefix(self._prefix).rstrip("/") for prefix in found)

    def _key(self, person: str, uid: str) -> str:
        return f"{self._prefix}{person}/{uid}"

    def _remove(self, found: Iterable[tuple[str, str]]) -> None:
        with self._reaching():
            for key, version in [*found]:
                self._files.call_s3(
                    "delete_object", Bucket=self._bucket, Key=key, VersionId=version
                )

    def _versions(self, start: str) -> Iterator[tuple[str, str]]:
        """Yield key and version of every object, and of every mark that one was deleted."""
        with self._reaching():
            for page in self._pages(start):
                for kind in ("Versions", "DeleteMarkers"):
                    yield from ((each["Key"], each["VersionId"]) for each in page.get(kind, ()))

    def _pages(self, start: str, **more: str) -> Iterator[Mapping[str, Any]]:
        marker: dict[str, str] = {}
        while True:
            page = self._files.call_s3(
                "list_object_versions", Bucket=self._bucket, Prefix=start, **marker, **more
            )
            yield page
            if not page.get("IsTruncated"):
                return
            marker = {
                "KeyMarker": page["NextKeyMarker"],
                "VersionIdMarker": page.get("NextVersionIdMarker", ""),
            }

    @contextlib.contextmanager
    def _reaching(self, *, missing: bool = False) -> Generator[None]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except (OSError, BotoCoreError, ClientError) as reason:
            if missing and isinstance(reason, FileNotFoundError):
                raise
            lines = str(reason).splitlines() or [""]
            raise StorageError(
                "the store's bucket must be reachable",
                expected=f"{self._url}, to be read, written, listed and deleted from",
                got=f"{type(reason).__name__}: {lines[0]}",
                next_step="Check the bucket, the credentials and the endpoint, and give the same"
                " command again.",
            ) from reason

    def _kept(self, got: str) -> ConfigError:
        return ConfigError(
            "what is removed from a bucket must be gone, with its older versions",
            expected=f"to write, list and delete versions of objects in {self._url}",
            got=got,
            next_step="Allow s3:ListBucketVersions and s3:DeleteObjectVersion, take object lock"
            " off, or choose another bucket.",
        )


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
