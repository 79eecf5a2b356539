"""A store that is measured: where it is, and the files that are remembered in it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.util import get_temp_dir
from pathlib import Path

from store_fill import fill
from store_stand_in import stand_in

import lorecall


class Made:
    """A store that is measured; its versions are built in no time.

    Args:
        place: Its folder, or its database's URL.
        folder: Where files are made.
    """

    def __init__(self, place: Path | str, folder: Path) -> None:
        self.place, self.folder = place, folder
        self.keys, self.blobs = folder / "keys", folder / "blobs"
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def database(self) -> Path | str:
        """Its SQLite file, or its database's URL."""
        return self.place / "store.db" if isinstance(self.place, Path) else self.place

    def opened(self) -> lorecall.Store:
        """Open it."""
        return lorecall.Store.open(self.place, keys=self.keys, blobs=self.blobs, builder=stand_in)

    def make(self, names: list[str], *, n_people: int, n_events: int) -> None:
        """Remember some people, build a version of each, and fill it up with the others."""
        with self.opened() as store:
            days = self.days("all", range(n_events))
            for name in names:
                store.person(name).remember(days)
                store.person(name).update()
        n_filled = n_people - len(names)
        fill(self.database, self.keys / "keys.db", n_people=n_filled, n_events=n_events)

    def days(self, name: str, days: range) -> Path:
        """Write a file of what someone said on some days."""
        path = self.folder / f"{name}.jsonl"
        lines = (
            json.dumps(
                {
                    "user": "someone",
                    "query": f"and what was it like on day {i}, in the end?",
                    "response": f"tea, rain and a long walk on day number {i}. nothing else",
                    "conversation": f"week {i // 7}",
                    "time": 1000.0 * i,
                }
            )
            for i in days
        )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


@contextmanager
def own_temporary(folder: Path) -> Iterator[None]:
    """Have a temporary folder and a cache of one's own: they are searched for what is forgotten."""
    folder.mkdir()
    get_temp_dir()  # that of processes is elsewhere, and goes when this one ends
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    os.environ["LORECALL_CACHE"] = str(folder / "cache")
    yield
    tempfile.tempdir = before


def days_from(first: int) -> range:
    """Return ten days."""
    return range(first, first + 10)
