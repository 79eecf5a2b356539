"""What is remembered: once, in order, of the person alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.errors import ConfigError, ConflictError, DataError, MissingError
from lorecall.store import Remembered, Store
from lorecall.store.choose import Choice
from lorecall.store.derive import derived
from lorecall.store.rows import Row, rows_of
from stores import FakeBuilder, both, write_days

MakeRow = Callable[..., Row]
EVERYTHING = Choice(everything=True)


@both
def test_the_same_file_twice_adds_nothing(store: Store, days: Path) -> None:
    """Nor do other files that overlap with it add what is there."""
    ada = store.person("ada")
    assert ada.remember(days, dry_run=True) == Remembered(added=30, known=0)
    assert store.people() == []
    assert ada.remember(days) == Remembered(added=30, known=0)
    assert ada.remember(days) == Remembered(added=0, known=30)
    more = write_days(days.with_name("more.jsonl"), range(25, 35))
    assert ada.remember(more, dry_run=True) == Remembered(added=5, known=5)
    assert ada.remember(more) == Remembered(added=5, known=5)
    assert len(ada.find(EVERYTHING).gone) == 35


def test_what_a_file_has_twice_is_kept_twice(store: Store, days: Path) -> None:
    """And is the same two when it is read again."""
    doubled = days.with_name("doubled.jsonl")
    doubled.write_text(days.read_text() * 2)
    ada = store.person("ada")
    assert ada.remember(doubled).added == 60
    assert ada.remember(doubled).added == 0
    assert ada.remember(days).added == 0


def test_a_broken_file_adds_nothing(store: Store, days: Path) -> None:
    """Not even the person."""
    days.write_text(days.read_text() + "{\n")
    with pytest.raises(DataError):
        store.person("ada").remember(days)
    assert store.people() == []


@pytest.mark.parametrize("nobody", [None, 3, b"ada"])
def test_nobody_is_a_type_error(store: Store, nobody: object) -> None:
    """A name that was not given must never mean everyone."""
    with pytest.raises(TypeError, match="a person must be named"):
        store.person(nobody)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        store.person()  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("name", ["", " ", " ada", "a\nb", "a\u200bda", "\u202eada", "a" * 201])
def test_a_name_that_cannot_be_read_is_refused(store: Store, name: str) -> None:
    """Blank, unseen, reversed or endless."""
    with pytest.raises(ConfigError, match="a person's name"):
        store.person(name)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Alice", "alice"),
        ("ada b", "adab"),
        ("\uff41da", "ada"),
        ("stra\u00dfe", "STRASSE"),
        ("ada", "\u0430d\u0430"),  # Cyrillic
        ("Bob", "\u0412\u043e\u042c"),
        ("Vick", "\u03bdick"),  # Greek
        ("Ivan", "\u0406van"),
        ("\u0418\u0432\u0430\u043d", "\u0418\u0432a\u043d"),  # a Latin letter among others
    ],
)
def test_a_name_that_looks_like_anothers_is_refused(
    store: Store, days: Path, first: str, second: str
) -> None:
    """By case, blanks, width: before anything of it is kept."""
    store.person(first).remember(days)
    with pytest.raises(ConflictError, match="must not look like another's"):
        store.person(second).remember(days)
    with pytest.raises(MissingError, match="the person must be in the store"):
        store.person(second).log()
    assert store.people() == [first]


@pytest.mark.parametrize(
    ("first", "second"),
    [("Marnie", "Mamie"), ("a1", "al"), ("Jose", "Jos\u00e9"), ("Ian", "Lan")],
)
def test_names_that_can_be_told_apart_are_two(
    store: Store, days: Path, first: str, second: str
) -> None:
    """One script, or another accent."""
    store.person(first).remember(days)
    assert store.person(second).remember(days).added == 30


@both
def test_one_name_in_two_forms_is_one_person(store: Store, days: Path) -> None:
    """Composed or not (NFC, NFD)."""
    store.person("Ren\u00e9").remember(days)
    assert store.person("Rene\u0301").remember(days).added == 0
    assert store.people() == ["Ren\u00e9"]


def test_a_name_is_no_path(store: Store, days: Path, tmp_path: Path) -> None:
    """Files are named by what the store drew, which are hexadecimal."""
    before = {path for path in tmp_path.rglob("*") if "people" not in path.parts}
    zoltan = store.person("../../zoltan")
    zoltan.remember(days)
    zoltan.update()
    assert store.people() == ["../../zoltan"]
    assert {p for p in tmp_path.rglob("*") if p.is_file() and "zoltan" in p.name} == set()
    after = {p for p in tmp_path.rglob("*") if not str(p).startswith(str(tmp_path / "people"))}
    assert after == {p for p in before if not str(p).startswith(str(tmp_path / "people"))}


def test_no_text_is_on_the_disk(store: Store, days: Path, tmp_path: Path) -> None:
    """Nor a name: not of the person, not of a conversation."""
    ada = store.person("ada lovelace")
    ada.remember(days)
    ada.update()
    files = [*tmp_path.glob("people*/**/*")]
    assert any(path.name == "store.db-wal" for path in files)
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        for text in (b"tea and rain", b"what was it", b"week 1", b"lovelace"):
            assert text not in content, path


@both
def test_other_people_stay_apart(store: Store, days: Path, builder: FakeBuilder) -> None:
    """Each memory is built from the person's own records."""
    store.person("ada").remember(days)
    jazz = write_days(days.with_name("jazz.jsonl"), range(30), what="jazz")
    store.person("bob").remember(jazz)
    store.person("bob").update()
    (request,) = builder.requests
    assert request.user == "bob"
    assert all("jazz" in row.text for row in request.rows)


def test_two_people_of_one_file(store: Store, tmp_path: Path) -> None:
    """Who is meant must be said."""
    both = tmp_path / "both.jsonl"
    both.write_text(
        write_days(tmp_path / "a.jsonl", range(3)).read_text()
        + write_days(tmp_path / "b.jsonl", range(4), user="bob").read_text()
    )
    with pytest.raises(DataError, match="a user must be chosen"):
        store.person("bob").remember(both)
    assert store.person("bob").remember(both, user="bob").added == 4


def test_redacted_texts_are_kept_redacted(store: Store, tmp_path: Path) -> None:
    """The number never gets in."""
    row = {"user": "ann", "query": "your number?", "response": "it is 555-010-4477"}
    (tmp_path / "one.jsonl").write_text(json.dumps(row) + "\n")
    ada = store.person("ada")
    ada.remember(tmp_path / "one.jsonl", redact=True)
    (record,) = ada.find(EVERYTHING).gone
    assert record.row.text == "it is [phone]"


def test_nothing_of_a_neighbour_is_kept_in_a_record(tmp_path: Path) -> None:
    """An importer tells the turns before a pair; they are derived again, of what is there."""
    chat = "".join(
        f"02/05/2024, 19:{10 + i} - {who}: words of {who} in turn {i}\n"
        for i, who in enumerate(["Ann", "Bob"] * 6)
    )
    (tmp_path / "chat.txt").write_text(chat)
    rows = rows_of(tmp_path / "chat.txt", user="Bob")
    assert "turn 4" in rows[2].query
    for i, row in enumerate(rows):
        others = {n for n in range(12) if f"turn {n}" in row.content().decode().replace('"', " ")}
        assert others == {2 * i, 2 * i + 1} or others >= {2 * i, 2 * i + 1}
    without = derived(rows[:2] + rows[3:], user="bob")
    assert all("turn 5" not in turn.text for s in without.samples for turn in s.earlier)
    assert without.samples[2].earlier[1].text == rows[1].text


def test_a_history_is_of_what_is_there_alone(make_row: MakeRow) -> None:
    """Ids, places and names of conversations are those of a history without what is gone."""
    rows = [
        make_row(
            text=f"tea on day {i}", query=f"day {i}?", conversation=f"c{i // 3}", time=60.0 * i
        )
        for i in range(12)
    ]
    whole, less = derived(rows, user="ada"), derived(rows[3:], user="ada")
    assert [s.conversation for s in less.samples] == [s.conversation for s in whole.samples[:9]]
    assert whole.samples[1].earlier[0].text == "day 0?"


def test_formats_are_merged_in_time(make_row: MakeRow) -> None:
    """A pair that two formats have counts once."""
    rows = [
        make_row(text="it was tea again", query="late?", conversation="x", time=90.0),
        make_row(
            format="openai", text="it was tea first", query="early?", conversation="x", time=1.0
        ),
        make_row(
            format="openai", text="it was tea again", query="late?", conversation="y", time=95.0
        ),
    ]
    history = derived(rows, user="ada")
    assert history.dataset == "jsonl+openai"
    assert [sample.query for sample in history.samples] == ["early?", "late?"]
    assert len({sample.conversation for sample in history.samples}) == 2


def test_a_row_without_a_conversation_is_one_of_its_own(tmp_path: Path) -> None:
    """However many lines come before it."""
    row = {"user": "ann", "query": "what then?", "response": "tea"}
    (tmp_path / "some.jsonl").write_text(
        "".join(json.dumps(row | {"response": f"tea {i}"}) + "\n" for i in range(3))
    )
    rows = rows_of(tmp_path / "some.jsonl")
    assert {each.conversation for each in rows} == {None}
    assert [s.conversation for s in derived(rows, user="ada").samples] == ["c0", "c1", "c2"]
