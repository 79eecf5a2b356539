"""The benchmarks of the store: what they make, what they measure, and what they count."""

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]
N_PEOPLE, N_EVENTS = 6, 24


@pytest.fixture
def made(load: Load, tmp_path: Path):  # noqa: ANN201 - a class of a script's
    """Return a store of two people who were remembered, and four who are only rows."""
    made = load("store_made").Made(tmp_path / "people", tmp_path / "SQLite")
    made.make(["ada", "bob"], n_people=N_PEOPLE, n_events=N_EVENTS)
    return made


def test_a_filled_store_is_one(made) -> None:  # noqa: ANN001 - the same
    """It has as many people and records as was said, and those who were remembered are whole."""
    with made.opened() as store:
        counted = store.stat()
        assert (counted.people, counted.records) == (N_PEOPLE, N_PEOPLE * N_EVENTS)
        assert (counted.with_head, counted.versions) == (N_PEOPLE, {"published": N_PEOPLE})
        assert store.person("ada").log().n_behind == 0
        assert store.person("ada").remember(made.days("all", range(N_EVENTS + 1))).added == 1
    with closing(sqlite3.connect(made.keys / "keys.db")) as keys:
        assert keys.execute("SELECT count(*) FROM data_key").fetchone()[0] > N_PEOPLE * N_EVENTS


def test_plain_sqlite3_does_the_same(load: Load, made) -> None:  # noqa: ANN001 - the same
    """As many rows in both files, and a line of the log."""
    bare, draw = load("store_bare"), Random(0)
    (name,) = bare.filled_people(made.database, n=1, n_filled=4, draw=draw)
    opened = bare.Bare.open(made.database, made.keys / "keys.db", draw)
    assert opened.head(name)[1] == 1
    before = opened.data.execute("SELECT max(seq) FROM audit").fetchone()
    opened.add(name, made.days("ten", range(100, 110)))
    versions, ((n,),), certificates = opened.log(name)
    assert (len(versions), n, certificates) == (1, N_EVENTS + 10, [])
    after = opened.data.execute("SELECT max(seq) FROM audit").fetchone()
    assert after[0] == before[0] + 1
    opened.close()


def test_what_many_processes_add_is_counted(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, once."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108 - cleared when this process ends
    contend = load("store_contend")
    made = load("store_made").Made(tmp_path / "people", tmp_path / "SQLite")
    row = contend.contend(made, contend.ONE, n_processes=2, n_adds=1)
    assert row.equivalence == {"records": 20, "wanted": 20, "failed": 0}
    assert contend.is_right(row)
