"""Every system by name, and that one more needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from lorecall.data.history import samples_hash
from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.reply.responder import ModelResponder
from lorecall.settings import LearnSettings
from lorecall.systems.about import SystemInfo, headline
from lorecall.systems.catalog import Entry, about, make_system, system_names, systems
from lorecall.systems.contract import Budget, FittedSystem, PersonData

ABLATIONS = ("layer", "n", "rank", "n+rank", "n+layer", "rank+layer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parrot:
    """A system that nothing else knows of."""

    about: ClassVar[SystemInfo] = SystemInfo(name="parrot", title="it repeats", notes=True)

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Return the base."""
        responder = ModelResponder(base, limits=budget.train)
        return FittedSystem(responder=responder, samples_sha256=samples_hash(person.split.train))


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Parrot:
    """Put one more system into the catalogue."""
    made = Parrot()
    monkeypatch.setitem(
        systems(), "parrot", Entry(about=made.about, make=lambda _settings, _folder: made)
    )
    return made


def test_the_names_are_those_of_the_tables() -> None:
    """All of SPEC section 7, what takes least first, our own memories last."""
    assert tuple(systems()) == (
        *("vanilla", "dictionary-faithful", "dictionary-fair", "retrieval"),
        *("default-lora", "largest-lora", "oppu", "malp", "oppu-retrieval"),
        *("personal", "memory", "personal-with-retrieval", "memory-with-retrieval"),
        *(f"memory:{space}" for space in ABLATIONS),
    )


def test_a_made_system_is_what_the_catalogue_says(quick: LearnSettings, tmp_path: Path) -> None:
    """Its name and its traits, also of those that are made anew each time."""
    for name, entry in systems().items():
        assert make_system(name, quick, folder=tmp_path).about == entry.about == about(name)
        assert entry.about.name == name
        assert entry.about.title


def test_traits_are_attributes() -> None:
    """What used to be read off a name."""
    traits = {name: entry.about for name, entry in systems().items()}
    assert [n for n, it in traits.items() if it.paper] == [
        *("vanilla", "dictionary-faithful", "dictionary-fair", "malp")
    ]
    assert tuple(it.searches for it in traits.values() if it.is_ablation) == ABLATIONS
    assert traits["memory"].searches == "paper"
    assert traits["personal"].searches == "none"
    assert traits["personal"].is_memory
    assert traits["personal-with-retrieval"].memory_of == "personal"
    assert traits["memory-with-retrieval"].memory_of == "memory"
    assert traits["memory-with-retrieval"].is_memory
    assert not traits["memory-with-retrieval"].is_ablation
    assert [n for n, it in traits.items() if it.notes] == [
        *("dictionary-faithful", "dictionary-fair", "retrieval", "malp", "oppu-retrieval"),
        *("personal-with-retrieval", "memory-with-retrieval"),
    ]
    assert [n for n, it in traits.items() if it.is_swappable and not it.is_ablation] == [
        *("default-lora", "largest-lora", "oppu", "personal", "memory")
    ]


def test_groups_are_spelt_out_once() -> None:
    """In the order given; together they are all there is."""
    assert system_names(["memory", "memories", "vanilla"]) == (
        *("memory", "personal", "personal-with-retrieval", "memory-with-retrieval", "vanilla"),
    )
    assert {*system_names(["baselines"]), *system_names(["memories"])} == {*system_names(["all"])}
    assert {*system_names(["all", "ablations"])} == {*systems()}


@pytest.mark.parametrize("name", ["brain", "memory:width", ""])
def test_an_unknown_name_is_refused(name: str, quick: LearnSettings, tmp_path: Path) -> None:
    """With those there are."""
    with pytest.raises(ConfigError, match="some of vanilla, dictionary-faithful"):
        system_names(["vanilla", name])
    with pytest.raises(ConfigError, match="memory:layer"):
        make_system(name, quick, folder=tmp_path)
    assert about(name) == SystemInfo(name=name, title="unknown")


def test_one_more_system_needs_nothing_else(
    parrot: Parrot, quick: LearnSettings, tmp_path: Path
) -> None:
    """It is named, made and in the groups that it belongs to."""
    assert make_system("parrot", quick, folder=tmp_path) is parrot
    assert "parrot" in system_names(["baselines"])
    assert "parrot" not in system_names(["memories"])


@pytest.mark.parametrize(
    ("systems", "chosen"),
    [
        (("vanilla", "memory", "personal", "malp"), "personal"),
        (("vanilla", "memory", "malp"), "memory"),
        (("vanilla", "malp"), "malp"),
    ],
)
def test_the_headline_is_a_memory_of_ours(systems: tuple[str, ...], chosen: str) -> None:
    """Of one design where there is one, else a searched one, else the last."""
    assert headline(systems) == chosen
