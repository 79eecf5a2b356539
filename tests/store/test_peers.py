"""Other people of a store beside someone: personal gain on the page, the scorecard, answers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lorecall.cli.app import app
from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.memory.shared import load_base
from lorecall.settings import TrainSettings
from lorecall.store import BasePlace, BuildRequest, Built, Store
from lorecall.store.histories import history_of
from lorecall.store.updates import place_of
from stores import FakeBuilder, write_days

MakeMemory = Callable[..., StoredMemory]


class Drawn(FakeBuilder):
    """Builds at once what replies: weights are drawn, one seed a build."""

    def __init__(self, base: LanguageModel, make_memory: MakeMemory) -> None:
        super().__init__()
        self._base, self._make = base, make_memory

    def __call__(self, request: BuildRequest, **named: object) -> Built:
        """Build; of which user it is said in the manifest."""
        built = super().__call__(request, **named)  # pyright: ignore[reportArgumentType]
        if built.packed is None:
            return built
        memory = self._make(self._base, seed=len(self.requests))
        made = memory.manifest
        short = made.recipe.model_copy(update={"settings": TrainSettings(max_response_tokens=8)})
        training = made.training.model_copy(update={"user": request.user})
        manifest = made.model_copy(update={"training": training, "recipe": short})
        files = replace(memory, manifest=manifest).files()
        packed = replace(
            built.packed,
            manifest=files["manifest.json"].decode(),
            weights=files["memory.safetensors"],
        )
        return replace(built, packed=packed)


@pytest.fixture(scope="module")
def base(base_folder: Path) -> LanguageModel:
    """Return the tiny base of the folder."""
    return load_base(str(base_folder), shared="none")


@pytest.fixture
def place(tmp_path: Path, base: LanguageModel, make_memory: MakeMemory) -> Path:
    """Return a store of three people; the first has two versions."""
    people = {"ada": "tea", "bob": "jazz", "eve": "snow"}
    with Store.open(tmp_path / "people", builder=Drawn(base, make_memory)) as store:
        for name, what in people.items():
            path = write_days(tmp_path / f"{name}.jsonl", range(24), what=what)
            store.person(name).remember(path)
            store.person(name).update()
        store.person("ada").remember(write_days(tmp_path / "ada.jsonl", range(27)))
        store.person("ada").update()
    return tmp_path / "people"


def test_personal_gain_is_over_other_people_of_the_store(place: Path) -> None:
    """On the newest version's test replies, for each version that is there; nothing is kept."""
    with Store.open(place) as store:
        ada, lines = store.person("ada"), store.check_log().seq
        found = history_of(ada._site, ada._who(), "ada", n_others=5)
        assert found.n_others == 2
        assert {*found.gains} == {1, 2}
        assert found.gains[1] != found.gains[2]
        assert history_of(ada._site, ada._who(), "ada").gains == {}
        own, others = ada.beside(n_others=1)
        assert own.person.history.user == "ada"
        assert own.memory.manifest.training.user == "ada"
        assert [each.person.history.user for each in others] in (["bob"], ["eve"])
        assert ada.beside(n_others=1)[1][0].person.history == others[0].person.history
        ada.forget(everything=True)
        bob = store.person("bob")
        assert history_of(bob._site, bob._who(), "bob", n_others=5).n_others == 1
        assert store.check_log().seq == lines + 3


def test_versions_answer_beside_each_other(place: Path) -> None:
    """The validation queries of the second, each by both."""
    arguments = ["diff", "ada", "1", "2", "--answers", "--store", str(place)]
    said = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"}).output.splitlines()
    first = said.index("> and what was it on day 18?")
    assert said[first + 3] == "  truly: tea and rain on day number 18"
    answers = [line for line in said[first:] if line.startswith(("  v1: ", "  v2: "))]
    assert len(answers) == 6
    assert answers[0][6:] != answers[1][6:]


def test_a_scorecard_of_someone_in_a_store(place: Path) -> None:
    """Beside the others' memories, which are there already."""
    arguments = ["scorecard", "--person", "ada@2", "--store", str(place), "--others", "2", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--test-samples", "3"])
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert (found["user"], found["personal"]["n_memories"]) == ("ada", 3)
    for wrong in (["scorecard"], ["scorecard", "runs", "--person", "ada"]):
        assert isinstance(CliRunner().invoke(app, wrong).exception, ConfigError)


def test_a_base_that_is_loaded_says_where_it_is(base: LanguageModel, base_folder: Path) -> None:
    """A build loads it again, as it is here."""
    found = BasePlace(name=str(base_folder), shared="none", dtype="float32")
    assert replace(place_of(base), dtype="float32") == found
    assert place_of("some") == BasePlace(name="some")
    assert place_of(found) is found
