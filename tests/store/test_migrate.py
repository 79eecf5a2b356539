"""Migrating: from the first tables to those of now, wholly or not at all."""

import shutil
import sqlite3
from pathlib import Path
from threading import Thread

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from lorecall.errors import ConfigError, IntegrityError, MissingError
from lorecall.store import Store
from lorecall.store.choose import Choice
from lorecall.store.database import connect, writing
from lorecall.store.migrate import migrate
from lorecall.store.place import Place
from lorecall.store.revisions import FIRST, SCRIPTS
from lorecall.store.schema import REVISION, data, keys
from stores import FakeBuilder, run_killed

FIRST_AGAIN = """
DROP TABLE erasure; DROP TABLE alembic_version;
"""


def as_first(place: Path) -> None:
    """Make a store one that the first version made."""
    for path, more in (
        (
            place / "store.db",
            "DROP TABLE suppressed; INSERT INTO meta VALUES ('format', '1');",
        ),
        (place.with_name("people-keys") / "keys.db", ""),
    ):
        database = sqlite3.connect(path)
        database.executescript(FIRST_AGAIN + more)
        database.close()


@pytest.fixture
def old(tmp_path: Path, days: Path) -> Path:
    """Return a store that the first version made."""
    place = tmp_path / "people"
    with Store.open(place, builder=FakeBuilder()) as store:
        store.person("ada").remember(days)
        store.person("ada").update()
    as_first(place)
    return place


def check_there(place: Path) -> None:
    """Look whether a migrated store has what it had."""
    with Store.open(place, builder=FakeBuilder()) as store:
        assert store.person("ada").log().head == 1
        assert len(store.person("ada").find(Choice(everything=True)).gone) == 30
        assert store.check(deep=True).broken == ()


@pytest.mark.parametrize("name", ["data", "keys"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_is_migrated_is_what_is_made(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, database: str
) -> None:
    """Step by step from nothing, the tables are those of the schema."""
    url = tmp_path / "x.db" if database == "sqlite" else request.getfixturevalue("schema_url")
    engine = connect(url)
    with writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes.update({"connection": connection, "database": name})
        command.upgrade(config, REVISION)
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, data if name == "data" else keys) == []
        assert ScriptDirectory.from_config(config).get_current_head() == REVISION
    engine.dispose()


def test_an_older_store_is_migrated_when_it_is_told_to(old: Path) -> None:
    """Until then it is refused, and stays as it is; afterwards nothing is left to be done."""
    with pytest.raises(ConfigError, match="lorecall store migrate"):
        Store.open(old)
    assert Store.migrate(old) == (FIRST, REVISION)
    check_there(old)
    assert Store.migrate(old) == (REVISION, REVISION)
    with pytest.raises(MissingError, match="the store must be there to be migrated"):
        Store.migrate(old / "none")


def test_a_later_store_is_not_migrated(old: Path) -> None:
    """It is refused."""
    Store.migrate(old)
    database = sqlite3.connect(old / "store.db")
    database.execute("update alembic_version set version_num = '9999'")
    database.commit()
    database.close()
    with pytest.raises(IntegrityError, match="of a later version"):
        Store.migrate(old)


def test_four_at_once_migrate_once(old: Path) -> None:
    """The others wait, and find it done."""
    found: list[tuple[str, str]] = []
    threads = [Thread(target=lambda: found.append(Store.migrate(old))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(FIRST, REVISION)] + [(REVISION, REVISION)] * 3
    check_there(old)


@pytest.mark.parametrize("at", [2, 9, 16])
def test_a_killed_migration_is_finished_by_the_same_command(old: Path, at: int) -> None:
    """The store is the old one or the new one, and nothing of it is lost."""
    assert run_killed(old, old, "migrate", at)
    Store.migrate(old)
    check_there(old)


def test_what_is_not_whole_afterwards_was_not_done(old: Path, tmp_path: Path) -> None:
    """A step that leaves a record without its person is undone."""
    Store.migrate(old)
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / "bad.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9999', {REVISION!r}\n"  # noqa: S608
        "def upgrade():\n"
        "    if op.get_context().config.attributes['database'] == 'data':\n"
        "        op.execute(\"UPDATE version SET person = 'nobody'\")\n"
    )
    with pytest.raises(IntegrityError, match="a migrated database must be whole"):
        migrate(Place.of(old), scripts=scripts, to="9999")
    database = sqlite3.connect(old / "store.db")
    assert database.execute("select version_num from alembic_version").fetchall() == [(REVISION,)]
    assert database.execute("select count(*) from version where person = 'nobody'").fetchone() == (
        0,
    )
    database.close()
    check_there(old)
