"""Fills a store's tables with people, so that they are as large as those of many.

Some people are remembered as anyone would be, and are the ones that are measured. The others only
make the tables as large: their rows have the sizes of real ones, and random bytes for contents.
Their names and those of their records begin with a number, so that each row comes after the one
before in every index, which fills tens of millions in minutes; what a version was built from is
left out, for nothing that is measured reads it.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

_AT_ONCE = 2000  # people
_DATA, _KEYS = "store.db", "keys.db"
_PEOPLE = """
CREATE TEMP TABLE filled (i INTEGER PRIMARY KEY, uid TEXT);
CREATE TEMP TABLE days (i INTEGER PRIMARY KEY);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :n_people)
INSERT INTO filled SELECT i, printf('%08x', i) || lower(hex(randomblob(12))) FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :n_events)
INSERT INTO days SELECT i FROM n
"""
_SOME = {  # of the people, in each file
    _DATA: """
INSERT INTO person (uid, name, name_index, look_index, head, last_n, last_source)
SELECT uid, randomblob(40), randomblob(32), randomblob(32), 1, 1, 1
FROM filled WHERE i >= :first AND i < :end;

INSERT INTO event (uid, person, source, place, commitment, content)
SELECT printf('%08x%04x', p.i, d.i) || lower(hex(randomblob(10))), p.uid, 1, d.i,
    randomblob(32), randomblob(220)
FROM filled AS p CROSS JOIN days AS d WHERE p.i >= :first AND p.i < :end;

INSERT INTO version (person, n, state, made, n_records, recipe, machine, digest, n_bytes)
SELECT uid, 1, 'published', '2026-01-01T00:00:00.000000+00:00', (SELECT count(*) FROM days),
    hex(randomblob(32)), hex(randomblob(32)), hex(randomblob(32)), 1
FROM filled WHERE i >= :first AND i < :end
""",
    _KEYS: """
INSERT INTO person_key (person, generation, wrapped, salt)
SELECT uid, 1, randomblob(40), randomblob(40) FROM filled WHERE i >= :first AND i < :end;

INSERT INTO data_key (uid, person, wrapped)
SELECT printf('%08x%04x', p.i, d.i) || lower(hex(randomblob(10))), p.uid, randomblob(40)
FROM filled AS p CROSS JOIN days AS d WHERE p.i >= :first AND p.i < :end
""",
}
_POSTGRESQL = """
SET synchronous_commit = off;

CREATE FUNCTION pg_temp.drawn() RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')$$;

CREATE TEMP TABLE filled (i bigint, uid text);

INSERT INTO filled SELECT i, lpad(to_hex(i), 8, '0') || left(pg_temp.drawn(), 24)
FROM generate_series(0, %(n_people)s - 1) AS i;

INSERT INTO person (uid, name, name_index, look_index, head, last_n, last_source)
SELECT uid, decode(pg_temp.drawn(), 'hex'), decode(pg_temp.drawn(), 'hex'),
    decode(pg_temp.drawn(), 'hex'), 1, 1, 1
FROM filled ORDER BY i;

INSERT INTO event (uid, person, source, place, commitment, content)
SELECT lpad(to_hex(i), 8, '0') || lpad(to_hex(d), 4, '0') || left(pg_temp.drawn(), 20), uid, 1, d,
    decode(pg_temp.drawn(), 'hex'), decode(repeat(pg_temp.drawn(), 7), 'hex')
FROM filled, generate_series(0, %(n_events)s - 1) AS d ORDER BY i, d;

INSERT INTO version (person, n, state, made, n_records, recipe, machine, digest, n_bytes)
SELECT uid, 1, 'published', '2026-01-01T00:00:00.000000+00:00', %(n_events)s,
    pg_temp.drawn(), pg_temp.drawn(), pg_temp.drawn(), 1
FROM filled;

ANALYZE
"""


def fill(database: Path | str, keys: Path, *, n_people: int, n_events: int) -> None:
    """Add people who are only rows to a store's two databases, which nobody has open.

    Args:
        database: A SQLite file, or PostgreSQL's URL.
        keys: The keys' SQLite file.
        n_people: How many.
        n_events: How many records each has.
    """
    if n_people <= 0:
        return
    if isinstance(database, Path):
        _fill_sqlite(database, n_people=n_people, n_events=n_events)
    else:
        with psycopg.connect(database, autocommit=True) as connection:
            for statement in _POSTGRESQL.split(";"):
                given = {"n_people": n_people, "n_events": n_events} if "%(" in statement else None
                connection.execute(statement.encode(), given)
    _fill_sqlite(keys, n_people=n_people, n_events=n_events)


def _fill_sqlite(path: Path, *, n_people: int, n_events: int) -> None:
    """Fill a file without a log and without waiting for the disk, but at the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
            connection.execute(f"PRAGMA {pragma}")
        for statement in _PEOPLE.split(";"):
            connection.execute(statement, {"n_people": n_people, "n_events": n_events})
        for first in range(0, n_people, _AT_ONCE):
            connection.execute("BEGIN")
            for statement in _SOME[path.name].split(";"):
                connection.execute(statement, {"first": first, "end": first + _AT_ONCE})
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    with path.open("rb") as file:
        os.fsync(file.fileno())
