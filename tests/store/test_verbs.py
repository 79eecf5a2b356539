"""Comparing versions, taking in exports, and keeping out what was forgotten for good."""

import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.errors import ConfigError, ConflictError, DataError, MissingError
from lorecall.settings import DesignSettings, TrainSettings, preset
from lorecall.store import BasePlace, BuildSettings, Person, Remembered, Store
from lorecall.store.choose import Choice
from stores import FakeBuilder, invoke, write_days

GONE = "day number 7"


def asked(ada: Person, *arguments: str | Path) -> Result:
    """Run a command on the store of someone."""
    return invoke(*arguments, "--store", str(ada._site.place))


def test_versions_are_compared(ada: Person, days: Path) -> None:
    """Records that one of them has alone, and what else of the recipe differs."""
    ada.remember(write_days(days, range(32)))
    ada.update(settings=preset("laptop", seed=1))
    found = ada.diff(1, 2)
    assert [each.row.text for each in found.added] == [
        "tea and rain on day number 30",
        "tea and rain on day number 31",
    ]
    assert (found.removed, dict(found.recipe)) == ((), {"seed": (0, 1)})
    assert found.theta == ({}, {})
    back = ada.diff(2, 1)
    assert (back.added, back.removed) == ((), found.added)
    assert ada.diff(1, 1).recipe == {}
    with pytest.raises(MissingError, match="the nearest that is there, 2"):
        ada.diff(1, 3)
    said = asked(ada, "diff", "ada", "1", "2").output
    assert "records in v2 alone: 2" in said
    assert "seed: 0 -> 1" in said
    assert json.loads(asked(ada, "diff", "ada", "1", "2", "--json").output)["removed"] == []


def test_an_export_taken_in_is_the_same_export(ada: Person, tmp_path: Path) -> None:
    """With its memory built again as it was; and a second time it adds nothing."""
    ada.update(settings=preset("laptop", seed=3), n_threads=2)
    ada.export(tmp_path / "one.zip")
    with Store.open(tmp_path / "others", builder=FakeBuilder()) as others:
        done = others.take_in(tmp_path / "one.zip")
        assert (done.person, done.added, done.known) == ("ada", 30, 0)
        assert others.take_in(tmp_path / "one.zip").added == 0
        twin = others.person("ada")
        twin.update(done.base, settings=done.settings, n_threads=done.n_threads)
        twin.export(tmp_path / "two.zip")
        assert others.take_in(tmp_path / "one.zip", name="eve").added == 30
        assert [r.row for r in twin.find(Choice(everything=True)).gone] == [
            r.row for r in ada.find(Choice(everything=True)).gone
        ]
    names, parts = zip(*(_parts(tmp_path / f"{name}.zip") for name in ("one", "two")), strict=True)
    assert names[0] == names[1]
    assert parts[0]["records.jsonl"] == parts[1]["records.jsonl"]
    assert parts[0]["export.json"] == parts[1]["export.json"]


def _parts(path: Path) -> tuple[list[str], dict[str, bytes]]:
    with zipfile.ZipFile(path) as file:
        return file.namelist(), {name: file.read(name) for name in file.namelist()}


def test_records_alone_are_the_same_bytes(store: Store, days: Path, tmp_path: Path) -> None:
    """Whatever is in them, a line's end of Unicode's among it."""
    row = json.loads(days.read_text().splitlines()[0]) | {"response": "a\u2028b\x85c\rd"}
    days.write_text(json.dumps(row) + "\n", encoding="utf-8")
    store.person("ada").remember(days)
    store.person("ada").export(tmp_path / "one.zip")
    with Store.open(tmp_path / "others") as others:
        assert others.take_in(tmp_path / "one.zip").base is None
        others.person("ada").export(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (None, "BadZipFile"),
        ({}, "KeyError"),
        ({"export.json": "[]", "records.jsonl": ""}, "of another kind"),
        ({"export.json": '{"schema": "lorecall.export/2"}', "records.jsonl": ""}, "another kind"),
        ({"export.json": '{"schema": "lorecall.export/1"}', "records.jsonl": ""}, "neither whose"),
        (({"person": "ada"}, "{}"), "line 1 of records.jsonl"),
        (({"person": "ada"}, '{"format": "nothing", "kind": "said", "text": "x"}'), "'nothing'"),
        (({"person": "ada", "built": {"n_threads": "many"}}, ""), "settings that cannot be"),
    ],
)
def test_what_is_no_export_is_refused(
    store: Store, tmp_path: Path, parts: dict[str, str] | tuple[dict[str, object], str], said: str
) -> None:
    """With the reason; and nothing is added, not even the person."""
    path = tmp_path / "some.zip"
    if isinstance(parts, tuple):
        about = json.dumps({"schema": "lorecall.export/1", **parts[0]})
        parts = {"export.json": about, "records.jsonl": parts[1]}
    if parts is None:
        path.write_text("no archive")
    else:
        with zipfile.ZipFile(path, "w") as file:
            for name, text in parts.items():
                file.writestr(name, text)
    with pytest.raises(DataError, match=said):
        store.take_in(path)
    assert store.people() == []


def test_what_is_suppressed_is_kept_out(ada: Person, days: Path, tmp_path: Path) -> None:
    """In whatever case, conversation and format it comes; the mark is no hash of the text alone."""
    certificate = ada.forget(like=GONE, suppress=True)
    assert certificate.payload["suppressed"] == 1
    assert ada.remember(days, dry_run=True) == Remembered(added=0, known=29, suppressed=1)
    assert ada.remember(days) == Remembered(added=0, known=29, suppressed=1)
    row = json.loads(days.read_text().splitlines()[7])
    other = {"user": "ann", "query": row["query"].upper(), "response": f" {row['response']}\n"}
    (tmp_path / "other.jsonl").write_text(json.dumps(other) + "\n")
    assert ada.remember(tmp_path / "other.jsonl").suppressed == 1
    assert "kept out 1: forgotten with --suppress" in asked(ada, "remember", "ada", days).output
    bob = ada._site
    with Store.open(bob.place, builder=FakeBuilder()) as store:
        assert store.person("bob").remember(days).added == 30  # another's are another's


def test_without_it_a_notice_is_given(ada: Person, days: Path) -> None:
    """That it is there again once it is remembered again."""
    said = asked(ada, "forget", "ada", "--like", "day number 35")
    assert isinstance(said.exception, MissingError)
    ada.remember(write_days(days, range(40)))
    said = asked(ada, "forget", "ada", "--like", "day number 35").output
    assert "remembered again, it is there again: --suppress" in said
    assert ada.remember(days).added == 1
    said = asked(ada, "forget", "ada", "--like", "day number 35", "--suppress").output
    assert "kept out from now on, by keyed hashes: 1" in said
    assert ada.remember(days).suppressed == 1
    with pytest.raises(ConfigError, match="what keeps records out goes with the person"):
        ada.forget(everything=True, suppress=True)
    ada.forget(everything=True)
    assert ada.remember(days).added == 40


def test_an_import_of_the_command_line(ada: Person, tmp_path: Path) -> None:
    """Into another store, under another name; `update` then builds."""
    assert asked(ada, "export", "--person", "ada", "--zip", tmp_path / "a.zip").exit_code == 0
    arguments = ["import", str(tmp_path / "a.zip"), "--store", str(tmp_path / "new"), "--json"]
    done = json.loads(CliRunner().invoke(app, [*arguments, "--person", "eve"]).output)
    assert (done["schema"], done["person"], done["added"]) == ("lorecall.import/1", "eve", 30)
    refused = CliRunner().invoke(app, [*arguments, "--person", "EVE"])
    assert isinstance(refused.exception, ConflictError)


def test_real_versions_beside_each_other_and_elsewhere(
    tmp_path: Path, days: Path, base_folder: Path
) -> None:
    """They answer the person's validation queries; what is taken in is built to the same bytes."""
    base = BasePlace(name=str(base_folder), shared="none")
    with Store.open(tmp_path / "people") as store:
        ada = store.person("ada")
        ada.remember(days)
        train = TrainSettings(max_epochs=1, factors=(1.0,), max_response_tokens=8)
        settings = BuildSettings(design=DesignSettings(rank=1), train=train)
        ada.update(base, settings=settings, n_threads=1)
        found = ada.diff(1, 1, answers=True)
        ada.export(tmp_path / "one.zip")
    assert [each.query for each in found.answers] == [
        f"and what was it on day {i}?" for i in range(21, 24)
    ]
    assert found.answers[0].truth == "tea and rain on day number 21"
    assert all(each.first == each.second for each in found.answers)
    arguments = ["import", str(tmp_path / "one.zip"), "--store", str(tmp_path / "new"), "--update"]
    assert "v1 was built" in CliRunner().invoke(app, arguments).output
    with Store.open(tmp_path / "new") as store:
        store.person("ada").export(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
