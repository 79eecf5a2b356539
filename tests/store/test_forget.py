"""Forgetting: the bytes of a store that never had it, nothing left anywhere, and who can tell."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from lorecall.errors import ConfigError, IntegrityError, MissingError, ModelError, PendingError
from lorecall.settings import TrainSettings, preset
from lorecall.store import BasePlace, Certificate, Person, Store
from lorecall.store.builder import Built
from lorecall.store.choose import Choice
from lorecall.store.recipe import BuildRequest, canonical
from stores import FakeBuilder, both, run_killed, write_days

EVERYTHING = Choice(everything=True)
GONE = "day number 7"


def without(days: Path, text: str) -> Path:
    """Return a file of the same days but those that say something."""
    path = days.with_name("without.jsonl")
    lines = days.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if text not in line))
    return path


def head_of(person: Person) -> tuple[str, str, bytes]:
    """Return the digest, the manifest and the weights of the head."""
    _, packed = person._read(None)
    return packed.digest, packed.manifest, packed.weights


@pytest.mark.parametrize(
    ("choice", "text", "n"),
    [
        ({"like": " DAY  number 7"}, GONE, 1),
        ({"conversation": "week 2"}, None, 3),
        ({"before": 4000.0}, None, 4),
        ({"before": "1970-01-01T01:06:40"}, None, 4),
        ({"before": "1970-01-01T02:06:40+01:00"}, None, 4),
    ],
)
def test_what_is_left_is_what_a_store_has_that_never_had_it(
    ada: Person, days: Path, tmp_path: Path, choice: dict[str, str], text: str | None, n: int
) -> None:
    """By what it says, by conversation, by time in any time zone."""
    chosen = {each.uid for each in ada.find(Choice(**choice)).gone}  # pyright: ignore[reportArgumentType]
    kept = [each.row for each in ada.find(EVERYTHING).gone if each.uid not in chosen]
    certificate = ada.forget(**choice)  # pyright: ignore[reportArgumentType]
    assert len(chosen) == n
    assert set(certificate.payload["records"]) == chosen  # pyright: ignore[reportArgumentType]
    assert [each.row for each in ada.find(EVERYTHING).gone] == kept
    lines = days.read_text().splitlines(keepends=True)
    names = {json.loads(line)["response"] for line in lines} & {row.text for row in kept}
    twin_file = tmp_path / "twin.jsonl"
    twin_file.write_text("".join(x for x in lines if json.loads(x)["response"] in names))
    with Store.open(tmp_path / "twin", builder=FakeBuilder()) as other:
        twin = other.person("ada")
        twin.remember(twin_file)
        twin.update()
        assert head_of(twin) == head_of(ada)
    assert text is None or not ada.find(Choice(like=text)).gone


def test_a_real_memory_without_it_has_the_twin_s_bytes(
    tmp_path: Path, days: Path, base_folder: Path
) -> None:
    """Weights, manifest and all, from processes of their own; and they are not what they were."""
    base = BasePlace(name=str(base_folder), shared="none")
    settings = preset("smoke")
    train = TrainSettings(max_epochs=1, factors=(1.0,), max_response_tokens=32)
    settings = type(settings)(preset="smoke", train=train)
    with Store.open(tmp_path / "people") as store, Store.open(tmp_path / "twins") as twins:
        ada, twin = store.person("ada"), twins.person("ada")
        ada.remember(days)
        ada.update(base, settings=settings, n_threads=1)
        before = head_of(ada)
        assert ada.stored().manifest.training.sample_ids == ()
        certificate = ada.forget(like=GONE)
        twin.remember(without(days, GONE))
        twin.update(base, settings=settings, n_threads=1)
        assert head_of(ada) == head_of(twin) != before
        assert head_of(ada)[0] in canonical(certificate.payload)
    assert certificate.verdict == "forgotten"


@both
def test_the_base_answers_while_it_is_rebuilt(
    ada: Person, days: Path, builder: FakeBuilder
) -> None:
    """The head is withdrawn before anything else is done, and so is every version that held it."""
    ada.remember(write_days(days, range(31)))
    ada.update()
    seen: list[object] = []

    def slow(request: BuildRequest, **_: object) -> Built:
        seen.extend((ada.log().head, [version.state for version in ada.log().versions]))
        return builder(request)

    with Store.open(ada._site.place, keys=ada._site.keys_folder, builder=slow) as store:
        store.person("ada").forget(like=GONE)
    assert seen == [None, ["destroyed", "destroyed"]]
    assert [version.state for version in ada.log().versions] == ["destroyed"] * 2 + ["published"]
    with pytest.raises(MissingError, match="which held what was forgotten"):
        ada.rollback(1)
    assert builder.requests[-1].known == ()


def test_a_version_that_never_held_it_stays(ada: Person, days: Path) -> None:
    """What came after the head is forgotten without a build."""
    ada.remember(write_days(days, range(40)))
    certificate = ada.forget(like="day number 35")
    assert certificate.payload["destroyed"] == []
    assert certificate.payload["rebuilt"] is None
    assert (ada.log().head, ada.log().n_behind) == (1, 9)


def test_what_came_after_the_head_is_not_learnt_by_forgetting(ada: Person, days: Path) -> None:
    """The version is built from the head's other records."""
    ada.remember(write_days(days, range(40)))
    ada.forget(like=GONE)
    assert (ada.log().versions[-1].n_records, ada.log().n_behind) == (29, 10)


def test_too_little_left_is_no_memory(store: Store, tmp_path: Path) -> None:
    """Which is a success."""
    ada = store.person("ada")
    ada.remember(write_days(tmp_path / "few.jsonl", range(20)))
    ada.update()
    certificate = ada.forget(like=GONE)
    assert certificate.verdict == "forgotten"
    assert "No memory was built in their place" in str(certificate.payload["statement"])
    assert ada.log().head is None


def test_a_copy_that_comes_first_revives_no_other(store: Store, tmp_path: Path) -> None:
    """A pair that was said twice stays once when one of the two is forgotten."""
    days = write_days(tmp_path / "days.jsonl", range(30))
    days.write_text(days.read_text() + days.read_text().splitlines()[7] + "\n")
    ada = store.person("ada")
    ada.remember(days)
    found = ada.find(Choice(like=GONE))
    assert len(found.gone) == 2
    one = ada.find(Choice(records=[found.gone[0].uid[:8]]))
    assert [each.uid for each in one.alike] == [found.gone[1].uid]
    ada.forget(records=[found.gone[0].uid])
    assert len(ada.find(Choice(like=GONE)).gone) == 1


@both
def test_everything_is_the_person(store: Store, ada: Person, days: Path) -> None:
    """Others stay as they were; the name is free; nothing of the person's is left."""
    bob = store.person("bob")
    bob.remember(write_days(days, range(30), what="jazz"))
    bob.update()
    before = head_of(bob)
    certificate = ada.forget(everything=True)
    assert store.people() == ["bob"]
    assert head_of(bob) == before
    assert len([p for p in Path(ada._site.blobs.place).rglob("*") if p.is_file()]) == 1
    assert store.verify(certificate).in_log
    with pytest.raises(MissingError):
        ada.log()
    assert ada.remember(days).added == 30


@pytest.mark.parametrize(
    "choice", [{}, {"records": []}, {"records": "a" * 32}, {"like": "x", "before": 1.0}]
)
def test_nothing_chosen_is_a_type_error(ada: Person, choice: dict[str, object]) -> None:
    """It never means everything."""
    with pytest.raises(TypeError, match="exactly one of"):
        ada.forget(**choice)  # pyright: ignore[reportArgumentType]
    assert ada.log().n_records == 30


def test_what_is_not_there_cannot_be_forgotten(ada: Person) -> None:
    """Nor what is named by too little, nor before what is no time."""
    for choice in ({"like": "nothing of it"}, {"records": ["0" * 32]}, {"conversation": "no"}):
        with pytest.raises(MissingError):
            ada.forget(**choice)  # pyright: ignore[reportArgumentType]
    for choice in ({"before": "yesterday"}, {"like": " "}):
        with pytest.raises(ConfigError):
            ada.forget(**choice)
    assert (ada.log().head, ada.log().n_records) == (1, 30)


@both
def test_nothing_is_found_of_it_anywhere(ada: Person) -> None:
    """In none of the places, each of which was looked through."""
    certificate = ada.forget(like=GONE)
    places = certificate.payload["residues"]
    assert isinstance(places, list)
    assert [place["hits"] for place in places] == [0] * 5
    assert all(place["bytes"] for place in places[:3])


def test_the_keys_of_it_are_gone(ada: Person, tmp_path: Path) -> None:
    """The bytes that wrapped them are not in the key store's files any more."""
    keys = tmp_path / "people-keys"
    with ada._site.keys._engine.connect() as connection:
        uid = ada.find(Choice(like=GONE)).gone[0].uid
        rows = connection.exec_driver_sql("select uid, wrapped from data_key").all()
    old = {row.uid: row.wrapped for row in rows}
    assert any(old[uid] in path.read_bytes() for path in keys.iterdir())
    ada.forget(like=GONE)
    content = b"".join(path.read_bytes() for path in keys.iterdir())
    content += b"".join(path.read_bytes() for path in ada._site.place.glob("store.db*"))
    assert uid not in ada._site.keys.kept(ada._who().uid)
    assert not any(wrapped in content for wrapped in old.values())  # of the old generation


def test_a_certificate_needs_no_store(ada: Person, tmp_path: Path) -> None:
    """And one that was changed is refused, whatever of it."""
    certificate = ada.forget(like=GONE)
    certificate.save(tmp_path / "certificate.json")
    assert Certificate.load(tmp_path / "certificate.json") == certificate
    outer = json.loads(certificate.envelope)
    changed = [
        outer | {"payloadType": "text/plain"},
        outer | {"payload": outer["payload"].replace("A", "B", 1)},
        outer | {"signatures": []},
        {},
        [],
    ]
    for each in changed:
        with pytest.raises(IntegrityError, match="a certificate must be as it was signed"):
            Certificate.checked(json.dumps(each))


def test_another_store_says_that_it_did_not_sign(ada: Person, store: Store, tmp_path: Path) -> None:
    """The signature holds all the same."""
    certificate = ada.forget(like=GONE)
    checked = store.verify(certificate)
    assert (checked.own_key, checked.in_log) == (True, True)
    with Store.open(tmp_path / "other") as other:
        checked = other.verify(certificate)
        assert (checked.own_key, checked.in_log) == (False, None)


def test_no_text_and_no_hash_of_one_is_in_the_log_or_the_certificate(
    store: Store, days: Path
) -> None:
    """Whoever guesses every short reply finds none; nor the name, which no hash holds by chance."""
    zoltan = store.person("zoltan")
    zoltan.remember(days)
    zoltan.update()
    certificate = zoltan.forget(like=GONE)
    told = canonical(certificate.payload)
    with zoltan._site.engine.connect() as connection:
        told += str(connection.exec_driver_sql("select * from audit").all())
    assert "zoltan" not in told
    for i in range(30):
        for text in (
            f"tea and rain on day number {i}",
            f"and what was it on day {i}?",
            f"week {i}",
        ):
            assert text not in told
            for name in ("md5", "sha1", "sha256"):
                assert hashlib.new(name, text.encode()).hexdigest()[:12] not in told


@both
def test_what_cannot_be_rebuilt_is_pending(ada: Person, store: Store, days: Path) -> None:
    """It is forgotten, the base answers, nothing else is begun, and it is finished later."""

    def broken(request: BuildRequest, **_: object) -> Built:
        raise ModelError("the base", expected="it", got=f"{request.user} none", next_step="Look.")

    with Store.open(ada._site.place, keys=ada._site.keys_folder, builder=broken) as other:
        with pytest.raises(PendingError, match="It is forgotten, and the base answers"):
            other.person("ada").forget(like=GONE)
        assert other.person("ada").log().head is None
        with pytest.raises(PendingError, match="--resume"):
            other.person("ada").update()
        with pytest.raises(PendingError, match="--resume"):
            other.person("ada").rollback(1)
    certificate = store.person("ada").resume()
    assert certificate is not None
    assert certificate.verdict == "forgotten"  # it was searched for, though the text was gone
    assert ada.log().head == 2
    assert ada.resume() is None
    assert [each.sha256 for each in ada.log().certificates] == [certificate.sha256]
    assert ada.remember(days).added == 1


@both
def test_a_version_that_cannot_be_read_is_forgotten_all_the_same(ada: Person) -> None:
    """There is nothing to say how it was built, so none is built in its place."""
    for path in Path(ada._site.blobs.place).rglob("*"):
        if path.is_file():
            path.write_bytes(b"broken")
    certificate = ada.forget(like=GONE)
    assert certificate.verdict == "forgotten"
    assert certificate.payload["rebuilt"] is None
    assert ada.update().n == 2


@pytest.mark.parametrize("at", [9, 17, 25, 33])
def test_a_killed_forgetting_is_finished_by_the_same_command(
    tmp_path: Path, days: Path, at: int
) -> None:
    """Whatever was done of it; and what is left is the twin's."""
    place = tmp_path / "people"
    with Store.open(place, builder=FakeBuilder()) as store:
        store.person("ada").remember(days)
        store.person("ada").update()
    run_killed(place, days, "forget", at)
    check_finished(place, days)


def check_finished(place: Path, days: Path) -> None:
    """Give the command again, and compare with a store that never had it."""
    shutil.rmtree(place.with_name("twin"), ignore_errors=True)
    shutil.rmtree(place.with_name("twin-keys"), ignore_errors=True)
    twins = Store.open(place.with_name("twin"), builder=FakeBuilder())
    with Store.open(place, builder=FakeBuilder()) as store, twins:
        ada, twin = store.person("ada"), twins.person("ada")
        try:
            certificate = ada.forget(like=GONE)
        except MissingError:  # it had come to its end
            (certificate,) = ada.log().certificates
        assert store.verify(certificate).in_log
        twin.remember(without(days, GONE))
        twin.update()
        assert head_of(twin) == head_of(ada)
        assert ada.log().n_records == 29
        assert ada.log().versions[0].state == "destroyed"
        assert sum(version.is_there for version in ada.log().versions) == 1
        ada.rollback(ada.log().head or 0)
        store.check_log()
