"""The scorecard, on memories that learnt, that broke the base, and that do nothing."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console

from lorecall.bench.reading import read_losses
from lorecall.errors import ArtefactError, ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.prompts import Retriever
from lorecall.memory.memory import StoredMemory
from lorecall.records import InjectionConfig, Interval
from lorecall.reply.responder import ModelResponder
from lorecall.scorecard.ability import ability, general_text
from lorecall.scorecard.absence import Asked, absence, does_not_know, questions_never_said
from lorecall.scorecard.card import CardSettings, Scorecard, make_card
from lorecall.scorecard.personal import memories_like, memories_of, personal
from lorecall.scorecard.recall import halves, recall
from lorecall.scorecard.view import scorecard_view
from lorecall.settings import TrainSettings
from lorecall.systems.contract import PersonData
from lorecall.train.fit import fit_memory

LIMITS = TrainSettings(
    max_epochs=12, patience=30, learning_rate=2e-2, max_response_tokens=64, reply_length="free"
)
SETTINGS = CardSettings(limits=LIMITS, test_samples=3, n_recall=6)
MakePerson = Callable[..., PersonData]


def lengthened(person: PersonData) -> PersonData:
    """Make every response long enough to be cut in two, and the person's own."""
    user = person.history.user

    def longer(samples: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(
            replace(s, response=f"well, {s.response}, and {user} {user} said so {i} times again")
            for i, s in enumerate(samples)
        )

    split = person.split
    train = longer(split.train)
    own = tuple(sample.response for sample in train)
    return replace(person, split=replace(split, train=train, own_content=own))


@pytest.fixture
def people(make_person: MakePerson) -> tuple[PersonData, PersonData, PersonData]:
    """Return a person and two others."""
    ann, bob, cem = (lengthened(make_person(user)) for user in ("ann", "bob", "cem"))
    return ann, bob, cem


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    """Return a tiny base that can be trained."""
    return tiny_base("llama", n_layers=2, seed=0)


def learnt(base: LanguageModel, person: PersonData) -> ModelResponder:
    """Train a memory of a person until it knows the training part by heart."""
    split = replace(person.split, valid=person.split.train)
    config = InjectionConfig(layers=(0, 1), n_loras=2, rank=16)
    memory = fit_memory(config, split, base, settings=LIMITS, seed=0).memory
    return ModelResponder(base, memory=memory, limits=LIMITS)


def switched_off(memory: StoredMemory) -> StoredMemory:
    """Make a memory that changes nothing."""
    return replace(memory, tensors={k: 0 * x for k, x in memory.tensors.items()})


@pytest.fixture(scope="module")
def anns(tiny: LanguageModel, make_person: MakePerson) -> ModelResponder:
    """Return a memory of ann that knows the training part by heart."""
    return learnt(tiny, lengthened(make_person("ann")))


@pytest.fixture(scope="module")
def card(anns: ModelResponder, make_person: MakePerson) -> Scorecard:
    """Return ann's card."""
    ann, bob, cem = (lengthened(make_person(user)) for user in ("ann", "bob", "cem"))
    assert anns.memory is not None
    memories = {"bob": switched_off(anns.memory), "cem": anns.memory}
    return make_card(anns, ann, [bob, cem], memories=memories, settings=SETTINGS)


def test_a_memory_recalls_what_it_learnt(
    tiny: LanguageModel, anns: ModelResponder, people: tuple[PersonData, PersonData, PersonData]
) -> None:
    """Its own person's continuations are the likeliest; another person's are not helped as much."""
    ann, bob, cem = people
    bare = ModelResponder(tiny, limits=LIMITS)
    responder = anns
    own = recall(responder, bare, ann, [bob, cem], n=8)
    foreign = recall(responder, bare, bob, [ann, cem], n=8)
    assert own.gain.value > 0
    assert own.hits.value > 80
    assert own.rank > own.rank_before
    assert own.gain.value > foreign.gain.value
    assert own.chance == 12.5
    assert own == recall(responder, bare, ann, [bob, cem], n=8)


def test_notes_recall_too(
    tiny: LanguageModel, people: tuple[PersonData, PersonData, PersonData], note: Retriever
) -> None:
    """A system that has the history in the prompt is asked as one that does not read the sample."""
    ann, bob, _ = people
    seen: list[str | None] = []

    class Noting:
        signature = note.signature

        def retrieve(self, query: str, *, before: str | None = None) -> tuple[str, ...]:
            seen.append(before)
            return tuple(note.retrieve(query, before=before))

    responder = ModelResponder(tiny, retriever=Noting(), limits=LIMITS)
    recall(responder, ModelResponder(tiny, limits=LIMITS), ann, [bob], n=2)
    assert set(seen) == {"recall"}


def test_recall_needs_words(tiny: LanguageModel, make_person: MakePerson) -> None:
    """Responses too short to be cut are no questions, and nobody's are no alternatives."""
    ann, bob = make_person("ann"), make_person("bob")
    bare = ModelResponder(tiny, limits=LIMITS)
    assert recall(bare, bare, ann, [bob]) is None
    assert recall(bare, bare, lengthened(ann), []) is None
    assert halves("a b c d e") == ("a b", "c d e")


def test_damage_is_a_loss_that_rose(tiny: LanguageModel, anns: ModelResponder) -> None:
    """Here the trained one stands for the base: without it, what letters are likely is lost."""
    bare = ModelResponder(tiny, limits=LIMITS)
    lost = ability(bare, anns)
    assert lost.change.value > 0.1
    assert lost.is_damaged
    assert not ability(anns, bare).is_damaged
    assert anns.memory is not None
    whole = ability(ModelResponder(tiny, memory=switched_off(anns.memory)), bare)
    assert whole.change.value == pytest.approx(0, abs=1e-5)
    assert "n=60 sentences" in whole.signature


def test_the_general_text_is_varied() -> None:
    """Sixty different sentences without anyone's name for a user."""
    text = general_text()
    assert len(set(text)) == 60
    assert all(8 <= len(line.split()) <= 25 and line.endswith(".") for line in text)


@pytest.mark.parametrize(
    "answer",
    [
        *("I don't know.", "i dont really know lol", "I\u2019m not sure, sorry", "No idea!"),
        *(
            "I can't remember that.",
            "As an AI, I do not have a sister.",
            "idk",
            "I have never been",
        ),
    ],
)
def test_not_knowing_is_read_off_phrases(answer: str) -> None:
    """As people say it."""
    assert does_not_know(answer)


@pytest.mark.parametrize(
    "answer", ["", "Her name is Dr. Knox.", "I know! It is blue.", "Sure, 42.", "nothing, note it"]
)
def test_made_up_answers_do_not_count(answer: str) -> None:
    """Nor does an empty one."""
    assert not does_not_know(answer)


def test_what_was_said_is_not_asked() -> None:
    """A question is left out when its subject is in the person's content."""
    everything = questions_never_said([])
    assert len(everything) == 20
    fewer = questions_never_said(["I play chess in my Garage."])
    assert len(fewer) == 18
    assert not any("chess" in question for question in fewer)


def test_absence_keeps_answers(tiny: LanguageModel) -> None:
    """A few, of both; the same answers give no change."""
    bare = ModelResponder(tiny, limits=replace(LIMITS, max_response_tokens=4))
    found = absence(bare, bare, ["I own a boat."])
    assert found is not None
    assert found.n == 19
    assert len(found.answers) == 4
    assert found.change.value == 0


def test_a_whole_card(card: Scorecard) -> None:
    """Numbers beside the base's own, a verdict a line, shown on a terminal."""
    assert card.user == "ann"
    assert card.style.n == 3
    assert card.recall.hits.value > card.recall.hits_before.value
    assert any(verdict.startswith("recall (hits): better") for verdict in card.verdicts)
    assert card.verdicts[0].startswith("personal:")
    shown = text_of(card)
    assert shown.index("personal gain (PG)") < shown.index("style: loss")
    for words in ("recall: hits", "ability: loss", "absence: admits"):
        assert words in shown


def test_a_broken_memory_is_named_first(card: Scorecard) -> None:
    """Before anything else that it may do well."""
    assert not any("DAMAGED" in verdict for verdict in card.verdicts)
    rose = Interval(value=0.15, low=0.12, high=0.18)
    broken = replace(card, ability=replace(card.ability, change=rose))
    assert broken.verdicts[0].startswith("DAMAGED")
    assert "DAMAGED: the loss on general text rose" in text_of(broken)
    unsure = Interval(value=0.15, low=-0.01, high=0.3)
    assert not replace(card.ability, change=unsure).is_damaged


def test_swapping_says_what_is_personal(anns: ModelResponder, make_person: MakePerson) -> None:
    """By hand: the others' mean loss less the own, reply by reply, on the same replies."""
    ann = lengthened(make_person("ann"))
    assert anns.memory is not None
    memories = {"bob": switched_off(anns.memory), "cem": anns.memory.multiplied(0.5)}
    bare = ModelResponder(anns.base, limits=LIMITS)
    samples = ann.split.train[:4]
    found = personal(anns, bare, samples, memories, limits=LIMITS)
    assert found is not None
    encoded = [bare.encode(sample) for sample in samples]
    readers = [anns, *(ModelResponder(anns.base, m, limits=LIMITS) for m in memories.values())]
    own, bob, cem = (fmean(read_losses(reader, encoded)) for reader in readers)
    assert found.gain.value == pytest.approx((bob + cem) / 2 - own, abs=1e-5)
    assert found.own_less_shared.value == pytest.approx(own - bob, abs=1e-4)
    assert (found.rank, found.n_memories) == (1, 3)
    assert found.gain.low > 0
    assert found.auc > 0.9
    assert personal(anns, bare, samples, {}, limits=LIMITS) is None


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.2, "personal: its own person's"),
        (-0.1, 0.3, "personal: NOT SURELY its"),
        (-0.3, -0.1, "personal: NOT its"),
    ],
)
def test_the_verdict_says_whether_it_is_sure(
    card: Scorecard, low: float, high: float, words: str
) -> None:
    """By the interval of personal gain."""
    assert card.personal is not None
    gain = Interval(value=(low + high) / 2, low=low, high=high)
    moved = replace(card, personal=replace(card.personal, gain=gain))
    assert any(verdict.startswith(words) for verdict in moved.verdicts)


def test_others_get_memories_as_one_was_made(
    tiny: LanguageModel, anns: ModelResponder, make_person: MakePerson
) -> None:
    """The same theta, settings and seed, of their own words; with notes it cannot be done."""
    assert anns.memory is not None
    others = [make_person("bob"), make_person("cem")]
    made = memories_like(anns.memory, others, tiny)
    assert {*made} == {"bob", "cem"}
    ours = anns.memory.manifest
    for user, memory in made.items():
        theirs = memory.manifest
        assert theirs.training.user == user
        assert (theirs.theta, theirs.base) == (ours.theta, ours.base)
        assert theirs.recipe.settings == ours.recipe.settings
    noted = ours.model_copy(update={"recipe": ours.recipe.model_copy(update={"notes": "bm25"})})
    assert memories_like(replace(anns.memory, manifest=noted), others, tiny) == {}


def test_memories_on_disk_are_of_one_person_each(anns: ModelResponder, tmp_path: Path) -> None:
    """By their folders; one that is not there, and one person twice, are refused."""
    assert anns.memory is not None
    for name in ("one", "two"):
        anns.memory.save(tmp_path / name)
    assert {*memories_of([tmp_path / "one"])} == {anns.memory.manifest.training.user}
    with pytest.raises(ConfigError, match="one memory a person"):
        memories_of([tmp_path / "one", tmp_path / "two"])
    with pytest.raises(ArtefactError, match="no such folder"):
        memories_of([tmp_path / "none"])


def test_alone_what_needs_others_is_left_out(
    tiny: LanguageModel, people: tuple[PersonData, PersonData, PersonData]
) -> None:
    """And said to be; the rest is asked all the same."""
    ann, bob, _ = people
    bare = ModelResponder(tiny, limits=LIMITS)
    alone = make_card(bare, ann, [], settings=SETTINGS)
    assert (alone.recall, alone.personal, alone.style.other) == (None, None, None)
    assert "cannot be told, for there is nobody else's memory" in alone.verdicts[0]
    assert alone.verdicts[-1].endswith("recall, Persona F1 against another's content")
    shown = text_of(alone)
    assert "ability: loss" in shown
    assert "personal gain" not in shown
    with pytest.raises(ConfigError, match="other people"):
        make_card(bare, ann, [bob, ann], settings=SETTINGS)


def test_a_persons_own_memory_is_no_other(
    anns: ModelResponder, people: tuple[PersonData, PersonData, PersonData]
) -> None:
    """It would rank beside itself."""
    assert anns.memory is not None
    with pytest.raises(ConfigError, match="'ann' among the others"):
        make_card(anns, people[0], [], memories={"ann": anns.memory}, settings=SETTINGS)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_number_is_whole_on_any_terminal(card: Scorecard, width: int) -> None:
    """Nothing is cut; a text from outside is only a text."""
    hostile = "Bob [/work] [bold]x[/bold]\x1b[2J"
    answer = Asked(question="q", before=hostile, after=hostile)
    assert card.absence is not None
    absence = replace(card.absence, answers=(answer,))
    shown = text_of(replace(card, absence=absence, user="[/b]", dataset=hostile), width=width)
    assert "\x1b" not in shown
    assert " ".join(shown.split()).count("Bob [/work] [bold]x[/bold]") >= 2
    assert card.personal is not None
    for change in (card.style.loss.change, card.personal.gain, card.personal.own_less_shared):
        assert f"{change.value:+.3f}" in shown
        assert f"{change.low:+.3f}, {change.high:+.3f}" in shown


def text_of(card: Scorecard, *, width: int = 100) -> str:
    """Print a card."""
    console = Console(file=io.StringIO(), width=width)
    for part in scorecard_view(card):
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]
