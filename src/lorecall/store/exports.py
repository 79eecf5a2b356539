"""A person's records and memory in one file that anyone can read, and records out of such a file.

```
export.json                 whose it is, and how the memory was built
records.jsonl               what is remembered, a record a line, in its order
memory/manifest.json        the memory, as `lorecall ask --memory` reads it
memory/memory.safetensors
```

It holds nothing of the store it came from, no random name and no time of its making: what was taken
in from it and given away again is the same bytes. A memory is not taken in, for nobody could say
what it was built from; it is built again, of the records, as it was.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lorecall.data.catalog import LOADERS
from lorecall.errors import DataError
from lorecall.store.builder import request_again
from lorecall.store.recipe import BasePlace, BuildSettings, Packed
from lorecall.store.records import Record
from lorecall.store.rows import Row
from lorecall.store.updates import request_for

SCHEMA = "lorecall.export/1"
_ABOUT, _RECORDS = "export.json", "records.jsonl"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can say
_MOST_BYTES = 1 << 30
_MODE = 0o600 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What an export says.

    Args:
        person: Whose it is.
        rows: What is remembered of them, in its order.
        again: How the memory was built; None where there was none.
    """

    person: str
    rows: tuple[Row, ...]
    again: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of importing.

    Args:
        person: Whose it is.
        added: How many records are new.
        known: How many were there already.
        suppressed: How many were kept out, for they were forgotten for good.
        base: The base of the memory that was exported with them; None where there was none.
        settings: How it was trained.
        n_threads: On how many threads.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     _ = store.person("ada").remember("history.jsonl", user="ann")
        ...     store.person("ada").export("ada.zip")
        >>> with lorecall.Store.open("others") as others:
        ...     done = others.take_in("ada.zip")
        ...     done.person, done.added, done.base, others.take_in("ada.zip").added
        ('ada', 24, None, 0)
    """

    person: str
    added: int
    known: int
    suppressed: int
    base: BasePlace | None = None
    settings: BuildSettings | None = None
    n_threads: int | None = None


def archived(name: str, records: Sequence[Record], packed: Packed | None) -> bytes:
    """Return a ZIP file of someone's records and a version.

    Args:
        name: What they are called.
        records: What is remembered of them, in its order.
        packed: The version; none where they have none.
    """
    again = None if packed is None else json.loads(packed.again)
    about = {"schema": SCHEMA, "person": name, "records": len(records), "built": again}
    lines = (json.dumps(asdict(each.row), ensure_ascii=False) for each in records)
    parts = {
        _ABOUT: (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode(),
        _RECORDS: "".join(f"{line}\n" for line in lines).encode(),
    }
    if packed is not None:
        parts["memory/manifest.json"] = packed.manifest.encode()
        parts["memory/memory.safetensors"] = packed.weights
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for path, part in parts.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, _MODE
            file.writestr(entry, part)
    return content.getvalue()


def read_archive(path: Path) -> Archive:
    """Read an export.

    Raises:
        DataError: It is none, or a record in it cannot be used.
    """
    try:
        with zipfile.ZipFile(path) as file:
            about = json.loads(_part(file, _ABOUT))
            text = _part(file, _RECORDS).decode()
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as reason:
        raise _unusable(f"{path} ({type(reason).__name__})") from reason
    if not isinstance(about, Mapping) or about.get("schema") != SCHEMA:
        raise _unusable(f"{path}, which is of another kind")
    built, person = about.get("built"), about.get("person")
    if not isinstance(person, str) or not (built is None or isinstance(built, dict)):
        raise _unusable(f"{path}, which says neither whose it is nor how it was built")
    again = None if built is None else json.dumps(built)
    return Archive(person=person, rows=tuple(_rows(text)), again=again)


def built_like(archive: Archive) -> tuple[BasePlace, BuildSettings, int] | None:
    """Return on which base, how and on how many threads an export's memory was built.

    Raises:
        DataError: It is not said in a way that can be used.
    """
    if archive.again is None:
        return None
    try:
        found = request_again(archive.again, request_for(archive.person, ()))
    except ValidationError as reason:
        raise _unusable(f"settings that cannot be: {reason.errors()[0]['msg']}") from reason
    return found.base, found.settings, found.n_threads


def _part(file: zipfile.ZipFile, name: str) -> bytes:
    if file.getinfo(name).file_size > _MOST_BYTES:
        raise ValueError("larger than any export")
    return file.read(name)


def _rows(text: str) -> Iterator[Row]:
    adapter = TypeAdapter(Row)
    for i, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        try:
            row = adapter.validate_json(line)
        except ValidationError as reason:
            raise _unusable(f"line {i} of {_RECORDS}: {reason.errors()[0]['msg']}") from reason
        if row.format not in LOADERS:
            raise _unusable(f"line {i} of {_RECORDS}: the unknown format {row.format!r}")
        yield row


def _unusable(got: str) -> DataError:
    return DataError(
        "what is taken in must be someone's export",
        expected=f"a ZIP file with {_ABOUT} and {_RECORDS}",
        got=got,
        next_step="Make one with `lorecall export --person PERSON --zip FILE`.",
    )
