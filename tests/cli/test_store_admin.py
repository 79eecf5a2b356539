"""`lorecall store`: what it prints, and how it ends."""

from pathlib import Path

import pytest

from lorecall.errors import ConfigError, InputError, IntegrityError, MissingError
from lorecall.store import Store
from lorecall.store.schema import REVISION
from stores import FakeBuilder, invoke, printed, write_days


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a store with one version."""
    with Store.open(tmp_path / "people", builder=FakeBuilder()) as store:
        store.person("ada").remember(write_days(tmp_path / "days.jsonl", range(30)))
        store.person("ada").update()
    return tmp_path


def test_a_store_is_begun(tmp_path: Path) -> None:
    """Where its keys and versions are is said; a second time it is the same one."""
    store = ("--store", tmp_path / "people", "--blobs", tmp_path / "versions")
    result = invoke("store", "init", *store)
    assert result.exit_code == 0, (result.output, result.exception)
    assert f"its keys are in {tmp_path / 'people-keys'}: copy root.key" in result.output
    again = printed("store", "init", *store)
    assert (again["schema"], again["people"]) == ("lorecall.store.init/1", 0)
    assert (again["blobs"], again["store"]) == (str(tmp_path / "versions"), again["store"])
    assert str(again["store"]) in result.output


def test_a_store_is_looked_after(place: Path) -> None:
    """Checked, counted, swept, migrated; copied, and restored without what was forgotten."""
    store = ("--store", place / "people")
    found = printed("store", "check", "--deep", *store)
    assert (found["records"], found["versions"], found["broken"]) == (30, 1, [])
    assert "nothing is broken" in invoke("store", "check", *store).output
    assert printed("store", "stat", *store)["versions"] == {"published": 1}
    assert "1 published; 0.00 MB" in invoke("store", "stat", *store).output
    assert "removed 0 blobs" in invoke("store", "gc", *store).output
    assert f"it is revision {REVISION}" in invoke("store", "migrate", *store).output
    backup = invoke("store", "backup", place / "backup", "--keys-to", place / "kept", *store)
    assert "1 versions to" in backup.output, backup.exception
    printed("forget", "ada", "--all", *store)
    keys = ("--keys", place / "people-keys")
    restored = printed("store", "restore", place / "backup", "--store", place / "again", *keys)
    assert (restored["schema"], restored["people"]) == ("lorecall.store.restore/1", 0)


def test_what_is_broken_ends_with_its_code(place: Path) -> None:
    """And is named."""
    for path in (place / "people" / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    result = invoke("store", "check", "--store", place / "people")
    assert (result.exit_code, "broken: ada: v1 has no blob" in result.output) == (5, True)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["init"], ConfigError),
        (["init", "--store", "postgresql://host/db"], ConfigError),
        (["init", "--store", "x", "--blobs", "ftp://host"], ConfigError),
        (["check", "--store", "nowhere"], MissingError),
        (["migrate", "--store", "nowhere"], MissingError),
        (["backup", "people-keys", "--store", "people"], ConfigError),
        (["restore", "nothing", "--store", "new"], ConfigError),
        (["restore", "people", "--store", "new"], IntegrityError),
        (["restore", "people", "--store", "people"], ConfigError),
    ],
)
def test_what_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], kind: type[InputError]
) -> None:
    """With the error that has the exit code, and nothing is left half made."""
    monkeypatch.chdir(place)
    before = {path for path in place.iterdir() if path.is_dir()}
    assert type(invoke("store", *arguments).exception) is kind
    assert {path for path in place.iterdir() if path.is_dir()} == before
