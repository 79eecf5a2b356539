"""The gate: what harms is no head, and the line says why."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lorecall.cli.app import app
from lorecall.errors import MissingError, PendingError
from lorecall.memory.shared import load_base
from lorecall.settings import TrainSettings, preset
from lorecall.store import BasePlace, Person, Store
from lorecall.store.choose import Choice
from lorecall.store.gate import Beside, Gate, Head, Measured
from lorecall.store.measure import measured, memory_of
from lorecall.store.updates import Updated, request_for
from stores import HARMLESS, FakeBuilder, write_days

HARMFUL = replace(HARMLESS, general=3.521)


def beside(own: float, *, error: float = 0.1) -> Beside:
    """Return a version beside a head of loss 4."""
    return Beside(n=1, loss=4.0, own=own, error=error, n_replies=5)


@pytest.mark.parametrize(
    ("measured", "harm"),
    [
        (HARMLESS, ""),
        (replace(HARMLESS, general=3.4), ""),
        (replace(HARMLESS, general=3.519), ""),
        (HARMFUL, "the loss on general text rises by 0.021 nats per token, and 0.02 are allowed"),
        (replace(HARMLESS, general=float("nan")), "rises by nan"),
        (replace(HARMLESS, valid=float("inf")), "its validation loss is no number"),
        (replace(HARMLESS, beside=beside(4.0, error=0.0)), ""),
        (replace(HARMLESS, beside=beside(4.09)), ""),
        (
            replace(HARMFUL, beside=beside(4.11)),
            "above v1's, and the standard error of that is 0.100 (5 replies)",
        ),
    ],
)
def test_what_harms(measured: Measured, harm: str) -> None:
    """General text by a fixed amount, validation by its own error; no number is harm, too."""
    assert harm in measured.harm if harm else not measured.harm
    assert measured.gain == measured.valid_before - measured.valid


def test_what_harms_stays_a_candidate(ada: Person, days: Path, builder: FakeBuilder) -> None:
    """The head answers as before; the same is not built again, and someone may promote it."""
    ada.remember(write_days(days, range(33)))
    builder.measured = HARMFUL
    held = ada.update()
    assert (held.n, held.is_new, held.is_head) == (2, True, False)
    log = ada.log()
    assert (log.head, log.n_behind) == (1, 3)
    assert log.versions[1].state == "candidate"
    assert log.held_back == {2: held.held_back}
    again = ada.update()
    assert (again.n, again.is_new, again.held_back) == (2, False, held.held_back)
    assert ada.check(2)[0] == 2
    assert ada.rollback(2) == 3
    assert ada.update().is_head
    builder.measured = HARMLESS
    ada.remember(write_days(days, range(34)))
    assert ada.update().n == 4


def test_a_first_version_is_held_back_as_well(
    store: Store, days: Path, builder: FakeBuilder
) -> None:
    """The base answers; and what it held is forgotten like any other's."""
    ada = store.person("ada")
    ada.remember(days)
    builder.measured = HARMFUL
    assert not ada.update().is_head
    with pytest.raises(MissingError, match="until then the base answers"):
        ada.stored()
    certificate = ada.forget(like="day number 7")
    assert [each.state for each in ada.log().versions] == ["destroyed"]
    assert certificate.payload["rebuilt"] is None


def test_a_version_that_was_built_again_is_held_back_as_well(
    ada: Person, builder: FakeBuilder
) -> None:
    """The certificate says so; there is no head to compare with, for it is withdrawn."""
    builder.measured = HARMFUL
    certificate = ada.forget(like="day number 7")
    assert "held back, and the base answers" in str(certificate.payload["statement"])
    assert ada.log().head is None
    gate = builder.gates[-1]
    assert gate is not None
    assert gate.head is None


def test_the_head_is_measured_beside(ada: Person, days: Path, builder: FakeBuilder) -> None:
    """With which of the records it was built from."""
    ada.remember(write_days(days, range(32)))
    ada.update()
    gate = builder.gates[-1]
    assert gate is not None
    assert gate.head is not None
    assert (gate.head.n, gate.head.held) == (1, tuple(range(30)))


def test_a_real_version_is_measured(tmp_path: Path, days: Path, base_folder: Path) -> None:
    """After it was built, beside the base and the head; one that breaks the base is held back."""
    base = BasePlace(name=str(base_folder), shared="none")
    train = TrainSettings(max_epochs=1, factors=(1.0,), max_response_tokens=32)
    settings = replace(preset("smoke"), train=train)
    with Store.open(tmp_path / "people") as store:
        ada = store.person("ada")
        ada.remember(days)
        ada.update(base, settings=settings, n_threads=1)
        ada.remember(write_days(days, range(40)))
        wild = replace(settings, train=replace(train, learning_rate=0.1, factors=(1.5,)))
        held = ada.update(base, settings=wild, n_threads=1)
        packed = ada._read(1)[1]
        first, second = (Measured.of(each) for each in (packed, ada._read(2)[1]))
        rows = ada.find(Choice(everything=True)).gone
    assert first is not None
    assert first.beside is None
    assert first.n_valid == 3
    assert first.valid_before != first.valid
    assert second is not None
    assert second.beside is not None
    assert (second.beside.n, second.beside.n_replies) == (1, second.n_valid)
    assert second.general_before == first.general_before
    assert (held.n, held.held_back) == (2, second.harm)
    tiny = load_base(str(base_folder), shared="none")
    request = request_for("ada", rows)
    for start, n in ((0, 6), (9, 3), (18, None)):
        head = Head(n=1, packed=packed, held=tuple(range(start, 40)))
        found = measured(request, tiny, memory_of(packed), Gate(head=head)).beside
        assert (found and found.n_replies) == n  # what it has learnt is left out
        assert found is None or found.own == found.loss


def test_the_command_line_says_why(ada: Person, days: Path) -> None:
    """In the log; a store's own folder is closed to nobody who has its keys."""
    ada.remember(write_days(days, range(33)))
    with Store.open(ada._site.place, builder=FakeBuilder()) as store:
        builder = store._site.builder
        assert isinstance(builder, FakeBuilder)
        builder.measured = HARMFUL
        store.person("ada").update()
    arguments = ["log", "ada", "--store", str(ada._site.place)]
    said = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"}).output
    assert "candidate: the loss on general text rises by 0.021" in said
    assert "head v1; 33 records, stale: 3 of them came after it" in said
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert "0.021" in found["versions"][1]["held_back"]


def test_an_update_that_is_held_back_says_what_can_be_done(
    ada: Person, days: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be tried by its number, or taken all the same."""
    ada.remember(write_days(days, range(33)))
    held = Updated(n=2, n_records=33, is_new=True, held_back=HARMFUL.harm)
    monkeypatch.setattr(Person, "update", lambda *_, **__: held)
    arguments = ["update", "ada", "--store", str(ada._site.place)]
    ended = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
    assert ended.exit_code == PendingError.exit_code
    assert "v2 from 33 records stays a candidate: the loss on general text" in ended.output
    assert "`lorecall ask --person ada@2` tries it" in ended.output
    assert "`lorecall rollback ada 2` takes it all the same" in ended.output
