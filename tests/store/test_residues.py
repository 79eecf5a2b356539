"""Residues: whatever is left of what was forgotten is found, in every form and place."""

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from lorecall.core import SilentReporter
from lorecall.core.files import cache_folder
from lorecall.errors import ModelError, PendingError
from lorecall.store import BuildRequest, Built, Packed, Person, Store
from lorecall.store.choose import Choice
from lorecall.store.plan import key_name
from lorecall.store.residue import residues
from lorecall.store.residue.residues import Residues, tokens_of
from lorecall.store.residue.traces import Traces
from stores import FakeBuilder

GONE = "day number 7"
KEY = bytes(range(32))
IDS = list(range(1000, 1040))
WEIGHTS = torch.arange(100, 148, dtype=torch.bfloat16)


class Told(SilentReporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Keep it."""
        self.lines.append(line)


@pytest.fixture
def traces(ada: Person) -> Traces:
    """Return what would be found of a day, its tokens and some weights."""
    packed = Packed(recipe="", again="", manifest="", weights=save({"a": WEIGHTS}))
    rows = [each.row for each in ada.find(Choice(like=GONE)).gone]
    return Traces.of(KEY, rows, [packed]).with_tokens([IDS])


@pytest.mark.parametrize(
    "content",
    [
        b"tea and rain on day number 7",
        b"x" * 99 + b"and what was it on day 7?",
        *(np.array([7, *IDS, 7], dtype=width).tobytes() for width in ("<i8", "<i4", "<u2")),
        json.dumps([7, *IDS]).encode(),
        ",".join(map(str, IDS)).encode(),
        b"?" + save({"a": WEIGHTS}),
        save({"a": WEIGHTS.float()}),
    ],
)
def test_every_form_is_found(traces: Traces, content: bytes) -> None:
    """Across the borders of what is looked at in one go; and nothing that is not there."""
    assert traces.found_in(content) > 0
    assert traces.found_in(b"?" * ((1 << 20) - 9) + content) > 0
    assert traces.found_in(content[::-1] * 3) == 0
    assert traces.found_in(b"") == 0


def test_traces_are_kept_without_what_they_are_of(traces: Traces) -> None:
    """And are the same when they are read again; another key finds nothing."""
    note = traces.noted()
    again = Traces.of_note(note, KEY)
    assert (again.marks, again.has_tokens) == (traces.marks, True)
    assert Traces.of_note(note, KEY[::-1]).found_in(b"tea and rain on day number 7") == 0
    assert "rain" not in note
    assert Traces(key=KEY, marks=frozenset(), n_too_short=0).found_in(b"?" * 100) == 0


def test_texts_beyond_ascii_are_found_as_json_writes_them() -> None:
    """Escaped or not."""
    row = replace(_row(), text="\u0434\u043e\u0436\u0434\u044c \u0438 \u0447\u0430\u0439", query="")
    traces = Traces.of(KEY, [row, replace(row, text="kurz")], [])
    assert (traces.n_too_short, len(traces.marks)) == (1, 3)
    for text in (row.text, json.dumps(row.text)):
        assert traces.found_in(text.encode()) > 0


def _row():  # noqa: ANN202 - a row
    from lorecall.store.rows import Row  # noqa: PLC0415

    return Row(format="jsonl", kind="reply", text="tea", query="what then?")


def test_every_place_is_searched(ada: Person, traces: Traces, days: Path) -> None:
    """And the one that has it is named."""
    site, uid = ada._site, ada._who().uid
    for path in (
        site.place / "store.db-left",
        site.place / "blobs" / uid / "left",
        site.keys_folder / "left",
        cache_folder() / "left",
        Path(tempfile.gettempdir()) / "below" / "lorecall-build-x" / "scratch" / "left",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"?" * 100 + days.read_bytes())
        found = Residues.of(site, uid, traces, since=0.0)
        assert found.paths == (() if path.parent.name == uid else (path,))
        assert sum(bool(place["hits"]) for place in found.places) == 1
        late = Residues.of(site, uid, traces, since=path.stat().st_mtime + 1)
        assert bool(late.n_hits) == (path.parent.name in _own(uid))
        path.unlink()


@pytest.mark.parametrize(
    "name",
    [
        *("lorecall-abc", "etilqs_abc", "run/study.db", "run/stages/base.json", "run/result.json"),
        *("run/report.html", "run/workers/1.log", "run/exports/ada.jsonl"),
        *("run/.memory.old-12/manifest.json", ".mine.old-12/memory.safetensors"),
    ],
)
def test_what_this_program_leaves_in_a_temporary_folder_is_searched(
    ada: Person, traces: Traces, days: Path, name: str
) -> None:
    """Each thing that a run or a killed process leaves, and nothing of other programs'."""
    site, uid = ada._site, ada._who().uid
    folder = Path(tempfile.gettempdir()) / "somewhere"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "run.json").write_text("{}", encoding="utf-8")
    strangers = (folder / "chat.txt", folder / "cache" / "base.json")
    for path in (folder / name, *strangers):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(days.read_bytes())
    (folder / "lorecall-link").symlink_to(strangers[0])
    found = Residues.of(site, uid, traces, since=0.0)
    shutil.rmtree(folder)
    assert found.paths == (folder / name,)


def test_of_a_large_database_the_person_s_rows_the_log_and_free_pages_are_searched(
    ada: Person, traces: Traces, days: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a table that was dropped; elsewhere are other people's pages alone."""
    site, uid = ada._site, ada._who().uid
    with closing(sqlite3.connect(site.place / "store.db")) as database:
        database.execute("CREATE TABLE gone (content BLOB)")
        rows = [(days.read_bytes() + bytes(i),) for i in range(3000)]
        database.executemany("INSERT INTO gone VALUES (?)", rows)
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA secure_delete = OFF")
        monkeypatch.setattr(residues, "_WHOLE_BYTES", 1 << 20)
        before = Residues.of(site, uid, traces, since=0.0)
        database.execute("DROP TABLE gone")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        after = Residues.of(site, uid, traces, since=0.0)
        database.execute("VACUUM")
    assert [found.places[0]["place"] for found in (before, after)] == [residues.LARGE] * 2
    assert (before.n_hits, after.n_hits > 0) == (0, True)


def _own(uid: str) -> set[str]:
    """Return the folders of a store's own, which are searched whatever their time."""
    return {"people", "people-keys", uid}


def test_a_residue_is_told(ada: Person, days: Path) -> None:
    """On the spot with its file, in the certificate without."""
    left = cache_folder() / "left"
    left.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(days, left)
    reporter = Told()
    certificate = ada.forget(like=GONE, reporter=reporter)
    left.unlink()
    assert certificate.verdict == "residues found"
    assert reporter.lines == [f"something of what was forgotten is in {left}"]
    assert str(left) not in certificate.envelope


def _broken(_: BuildRequest, **__: object) -> Built:
    raise ModelError("the base must be there", expected="it", got="none", next_step="Look.")


@pytest.mark.parametrize("has_key", [True, False])
def test_one_that_is_finished_later_is_searched_for(ada: Person, days: Path, has_key: bool) -> None:  # noqa: FBT001 - a case
    """By what was written down of it; without its key it says that it was not."""
    with Store.open(ada._site.place, builder=_broken) as broken, pytest.raises(PendingError):
        broken.person("ada").forget(like=GONE)
    left = cache_folder() / "left"
    shutil.copy(days, left)
    if not has_key:
        ada._site.keys.drop_key(key_name(ada._who().uid))
    made = ada.resume()
    left.unlink()
    assert made is not None
    assert made.verdict == ("residues found" if has_key else "forgotten, not searched")
    assert ada._site.keys.kept_key(key_name(ada._who().uid)) is None


def test_all_of_a_person_is_searched_for(ada: Person, builder: FakeBuilder) -> None:
    """Though their keys are gone by then."""
    certificate = ada.forget(everything=True)
    assert certificate.verdict == "forgotten"
    assert builder.requests[1:] == []


def test_tokens_are_the_base_s(base_folder: Path) -> None:
    """By themselves and after a blank; none where the base is gone."""
    found = tokens_of(str(base_folder), {"the cat sat"})
    assert found is not None
    assert len(found) == 2
    assert all(found)
    assert tokens_of(str(base_folder / "gone"), {"the cat sat"}) is None
