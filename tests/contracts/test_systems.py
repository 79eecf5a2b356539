"""The contract every system under evaluation keeps, run on each of them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from lorecall.data.donors import Donors
from lorecall.data.history import samples_hash, split_history
from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.memory.memory import StoredMemory
from lorecall.records import History, Sample, Statement, default_lora
from lorecall.reply.messages import messages_of
from lorecall.reply.responder import ModelResponder
from lorecall.settings import TrainSettings, preset
from lorecall.systems.about import SystemInfo
from lorecall.systems.canary import canaries, plant, plant_in_donors
from lorecall.systems.catalog import make_system, system_names
from lorecall.systems.contract import Budget, FittedSystem, PersonData, System
from lorecall.systems.fitting import MatchingRetriever, hand_over
from lorecall.systems.isolation import (
    SHARED,
    ask_everyone,
    ask_for_secrets,
    ask_shared,
    isolation_from,
)
from lorecall.systems.lexical import Bm25
from lorecall.systems.lora import DefaultLora
from lorecall.systems.past import Past
from lorecall.train.fit import FittedMemory, fit_memory, fit_shared

SYSTEMS: Mapping[str, System] = {
    **{name: make_system(name, preset(), folder=Path()) for name in system_names(["baselines"])},
    **{
        name: make_system(name, preset(), folder=Path())
        for name in ("personal", "personal-with-retrieval")
    },
}
EACH = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys(), scope="class")
QUICK = TrainSettings(
    learning_rate=2e-2, batch_size=16, max_epochs=1, max_prompt_tokens=128, max_response_tokens=20
)
BUDGET = Budget(train=QUICK, seed=3)
FREE = Budget(train=replace(QUICK, reply_length="free"), seed=3)
"""For systems of which prompts and weights are compared, which are the same however replies end."""
N_USERS = 20
TOPICS = ("tea", "rain", "dogs", "trains", "maps", "songs", "bread", "stars", "boats", "games")


def history_of(number: int, *, n: int = 20) -> History:
    """Make one person's history: questions about topics, answered in a way of their own."""

    def sample(i: int) -> Sample:
        topic = TOPICS[(i * (number + 1)) % len(TOPICS)]
        return Sample(
            id=f"u{number}-{i}",
            user=f"u{number}",
            conversation=f"c{i // 4}",
            query=f"what about {topic}?" if i % 3 else "hi",
            response=f"{topic} {number} is fine, said {TOPICS[(i + number) % len(TOPICS)]} man {i}",
            time=float(100 * i),
        )

    said = tuple(
        Statement(conversation=f"c{i}", text=f"u{number} likes {TOPICS[i]}", time=400.0 * i + 1)
        for i in range(5)
    )
    return History(
        dataset="made up",
        user=f"u{number}",
        samples=tuple(sample(i) for i in range(n)),
        statements=said,
        profile=(f"lives in house {number}",),
    )


def person_of(history: History) -> PersonData:
    """Split a history."""
    return PersonData(history=history, split=split_history(history))


ANN = person_of(history_of(0))


def small_base() -> LanguageModel:
    """Return a base that answers at once."""
    return tiny_base(n_layers=1, width=16)


def probes(person: PersonData) -> Iterator[Sample]:
    """Return samples to read: trained on, held out, and of nobody."""
    yield from (*person.split.train[:4], *person.split.valid[:2], *person.split.test[:2])
    yield Sample(id="new", user="", conversation="", query="what about tea and dogs?", response="-")


def fingerprint(fit: FittedSystem, person: PersonData) -> str:
    """Hash all that a person's responder is: its prompts, and the bits of its memory."""
    responder, digest = fit.responder, hashlib.sha256()
    assert isinstance(responder, ModelResponder)
    for sample in probes(person):
        digest.update(repr(responder.encode(sample).prompt).encode())
    for name, tensor in sorted((responder.memory.tensors if responder.memory else {}).items()):
        digest.update(name.encode() + tensor.float().numpy().tobytes())
    return digest.hexdigest()


@cache
def ann_on_a_fresh_base(name: str) -> FittedSystem:
    """Fit a system for one person; what is found is shared by the tests that only look."""
    return SYSTEMS[name].fit(ANN, small_base(), BUDGET)


@EACH
class TestContract:
    """What holds for each of them."""

    def test_it_is_a_system_of_that_name(self, system: System) -> None:
        """Unlike any other's."""
        assert isinstance(system, System)
        assert SYSTEMS[system.about.name] is system
        assert system.about.title

    def test_it_answers(self, system: System) -> None:
        """Queries with earlier turns or without, one or many; greedily, so twice the same."""
        responder = ann_on_a_fresh_base(system.about.name).responder
        queries = ["hi", "what about tea?", "", "word " * 500, "né 日本 🙂"]
        answers = responder.reply_all(queries)
        assert all(isinstance(answer, str) for answer in answers)
        assert responder.reply_all(queries) == answers
        assert isinstance(responder.reply(messages_of("hi", ANN.split.test[0].earlier)), str)

    def test_it_is_the_same_every_time(self, system: System) -> None:
        """Another base of the same weights, another time; another seed may give another."""
        first = fingerprint(ann_on_a_fresh_base(system.about.name), ANN)
        assert fingerprint(system.fit(ANN, small_base(), BUDGET), ANN) == first

    def test_the_base_is_left_as_it_was(
        self, system: System, state_hash: Callable[[LanguageModel], str]
    ) -> None:
        """To the bit, by fitting and by answering; and nothing of it asks for gradients."""
        base = small_base()
        before = state_hash(base)
        fit = system.fit(ANN, base, BUDGET)
        assert state_hash(base) == before
        fit.responder.reply("hi")
        assert state_hash(base) == before
        assert not any(p.requires_grad for p in base.model.parameters())

    def test_it_names_what_it_was_made_from(self, system: System, tmp_path: Path) -> None:
        """The hash of the training samples is in what is handed over and in all that is stored."""
        fit = ann_on_a_fresh_base(system.about.name)
        wanted = samples_hash(ANN.split.train)
        assert fit.samples_sha256 == wanted
        fit.save(tmp_path)
        stored = [*tmp_path.glob("*.json"), *tmp_path.glob("*/manifest.json")]
        assert (system.about.name == "vanilla") == (not stored)
        for file in stored:
            assert json.loads(file.read_text())["training"]["samples_sha256"] == wanted

    def test_its_size_is_what_it_takes_on_disk(self, system: System, tmp_path: Path) -> None:
        """Nothing for the base alone; a saved memory answers as the one that was made."""
        fit = ann_on_a_fresh_base(system.about.name)
        fit.save(tmp_path)
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert fit.n_bytes == sum(file.stat().st_size for file in files)
        assert (fit.n_bytes > 0) == (system.about.name != "vanilla")
        if (tmp_path / "memory").exists():
            loaded = StoredMemory.load(tmp_path)
            assert isinstance(fit.responder, ModelResponder)
            assert fit.responder.memory is not None
            for name, tensor in fit.responder.memory.tensors.items():
                assert torch.equal(loaded.tensors[name], tensor)

    def test_what_it_cost_is_told(self, system: System) -> None:
        """Time for those that train; numbers of notes and hits for those that retrieve."""
        fit = ann_on_a_fresh_base(system.about.name)
        assert (fit.train_s > 0) == system.about.trains
        assert isinstance(fit.responder, ModelResponder)
        assert (fit.responder.memory is not None) == system.about.trains
        retrieves = fit.responder.retriever is not None
        assert retrieves == (fit.notes is not None) == ("notes" in fit.facts)
        assert retrieves == system.about.notes
        if retrieves:
            assert fit.facts["notes"] == len(fit.notes.notes if fit.notes else ()) > 0
            assert 0 <= fit.facts["valid_hit_rate"] <= 1

    def test_nothing_of_the_test_reaches_it(self, system: System) -> None:
        """With other test texts it is the same system to the bit."""
        other = with_texts(ANN, "test")
        fit = system.fit(other, small_base(), BUDGET)
        assert fingerprint(fit, ANN) == fingerprint(ann_on_a_fresh_base(system.about.name), ANN)

    def test_nothing_of_the_validation_is_shown(self, system: System) -> None:
        """It says when training stops, and no more: with other texts the prompts are the same."""
        other = with_texts(ANN, "valid")
        fit, known = system.fit(other, small_base(), BUDGET), ann_on_a_fresh_base(system.about.name)
        ours, theirs = (found.notes and found.notes.notes for found in (fit, known))
        assert ours == theirs
        for sample in probes(ANN):
            assert fit.responder.encode(sample) == known.responder.encode(sample)

    def test_a_training_sample_is_shown_nothing_of_itself_or_later(self, system: System) -> None:
        """However it changes, and whatever comes after it, its prompt is the same but for it."""
        train = ANN.split.train
        for i in (0, 5, len(train) - 1):
            later = tuple(
                replace(s, response=f"changed {j}", query=s.query if j == i else f"other {j}")
                if j >= i
                else s
                for j, s in enumerate(train)
            )
            said = tuple(
                replace(s, text="changed") if (s.time or 0) > (train[i].time or 0) else s
                for s in ANN.history.statements
            )
            history = replace(
                ANN.history,
                samples=later + ANN.split.valid + ANN.split.test,
                statements=said,
            )
            changed = PersonData(history=history, split=replace(ANN.split, train=later))
            prompts = [
                ModelResponder(small_base(), retriever=retriever_of(system, who), limits=QUICK)
                .encode(who.split.train[i])
                .prompt
                for who in (ANN, changed)
            ]
            assert prompts[0] == prompts[1]


def retriever_of(system: System, person: PersonData) -> MatchingRetriever | None:
    """Return what a system retrieves, without the training of its weights."""
    fit = system.fit(person, small_base(), replace(BUDGET, train=replace(QUICK, learning_rate=0)))
    assert isinstance(fit.responder, ModelResponder)
    return fit.responder.retriever


def with_texts(person: PersonData, part: str) -> PersonData:
    """Change every text of the validation or test part, those said beside its samples too."""
    samples: Sequence[Sample] = getattr(person.split, part)
    changed = tuple(replace(s, query="zzz qqq", response="www vvv zzz") for s in samples)
    by_id = {sample.id: sample for sample in changed}
    conversations = {sample.conversation for sample in samples}
    history = replace(
        person.history,
        samples=tuple(by_id.get(s.id, s) for s in person.history.samples),
        statements=tuple(
            replace(s, text="zzz") if s.conversation in conversations else s
            for s in person.history.statements
        ),
    )
    split = replace(person.split, **{part: changed})
    assert split_history(history) == split
    return PersonData(history=history, split=split)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_family_is_served(base: LanguageModel, name: str) -> None:
    """Each system on each architecture: it is fitted, and answers."""
    fit = SYSTEMS[name].fit(ANN, base, BUDGET)
    assert isinstance(fit.responder.reply("what about tea?"), str)


@dataclass(frozen=True)
class Everyone:
    """Twenty persons with a canary each, fitted by one system on one base, one after another."""

    words: Mapping[str, str]
    told: Mapping[str, PersonData]
    fits: Mapping[str, FittedSystem]


@cache
def everyone_by(name: str) -> Everyone:
    """Fit them all; some answer before the next is fitted."""
    histories = [history_of(i) for i in range(N_USERS)]
    words = canaries(histories, seed=1)
    told = {h.user: person_of(plant(h, words[h.user])) for h in histories}
    base, fits = small_base(), dict[str, FittedSystem]()
    for i, (user, person) in enumerate(told.items()):
        fits[user] = SYSTEMS[name].fit(person, base, FREE)
        if i % 4 == 0:
            fits[user].responder.reply("hi")
    return Everyone(words=words, told=told, fits=fits)


@EACH
class TestIsolation:
    """No system of one person knows anything of another's history."""

    def test_others_change_nothing(self, system: System) -> None:
        """On another base, in the reverse order, with no canary but one's own: to the bit the same.

        Every other person is so compared; those between them are fitted without their canaries.
        """
        base, everyone = small_base(), everyone_by(system.about.name)
        for i in reversed(range(N_USERS)):
            person = everyone.told[f"u{i}"]
            if i % 2:
                system.fit(person_of(history_of(i)), base, FREE)
                continue
            alone = system.fit(person, base, FREE)
            assert fingerprint(alone, person) == fingerprint(everyone.fits[f"u{i}"], person)

    def test_no_canary_is_told(self, system: System) -> None:
        """Each of 20 persons' responders is asked for the secrets of the 19 others."""
        everyone = everyone_by(system.about.name)
        told = ask_for_secrets(everyone.fits, everyone.words, QUICK)
        found = isolation_from(system.about.name, told, users=[*everyone.words])
        assert found.leaks == ()
        assert found.n_asked == N_USERS * (N_USERS - 1)
        retrieves = system.about.notes
        assert (found.n_own_told == N_USERS) == retrieves  # it would be seen if it were told


def test_a_memory_of_everyone_is_found_out(make_base: Callable[..., LanguageModel]) -> None:
    """Notes or weights that everyone shares: the check sees both."""
    histories = [history_of(i) for i in range(4)]
    budget = replace(BUDGET, train=replace(QUICK, max_epochs=80, patience=80))
    systems: list[System] = [SharedNotes(seen=[]), SharedWeights(histories=histories, made=[])]
    base = make_base(n_layers=2, width=32)
    notes, weights = (
        isolation_from(
            system.about.name,
            ask_everyone(histories, system, base, budget, seed=2),
            users=[history.user for history in histories],
        )
        for system in systems
    )
    assert {leak.where for leak in notes.leaks} == {"prompt"}
    assert len(notes.leaks) == 6  # who comes later knows all who came before
    assert notes.n_own_told == 4
    assert weights.own is not None
    assert weights.others.high < 0 > weights.own.high
    assert {(leak.owner, leak.told_by) for leak in weights.leaks if leak.where == "loss"} == {
        (a.user, b.user) for a in histories for b in histories if a is not b
    }


def donors_of(numbers: Sequence[int]) -> Donors:
    """Let some people give what they said, the last conversation to watch by."""
    histories = [history_of(number) for number in numbers]
    return Donors(
        dataset="made up",
        licence="none",
        train=tuple(s for h in histories for s in h.samples[:16]),
        valid=tuple(s for h in histories for s in h.samples[16:]),
        people=frozenset(h.user for h in histories),
        left_out=frozenset(),
        n_conversations_left_out=0,
    )


def test_canaries_are_planted_in_donors() -> None:
    """Before all else that is learnt, each in its own donor's mouth; in nobody's to watch by."""
    donors = donors_of([10, 11, 12])
    planted, known = plant_in_donors(donors, 2, bare=small_base())
    assert {*known.words} == {"donor u10", "donor u11"}
    assert planted.train[8:] == donors.train
    assert planted.valid == donors.valid
    told = {f"donor {sample.user}": sample.response for sample in planted.train[:8]}
    assert told == dict(known.words)
    assert len({sample.id for sample in planted.train[:8]}) == 8
    said = " ".join(sample.response for sample in donors.train)
    assert not any(word in said for canary in known.words.values() for word in canary.split())
    for n in (0, 4):
        with pytest.raises(ConfigError, match=f"1 to 3 donors, got {n}"):
            plant_in_donors(donors, n, bare=small_base())


def test_a_shared_memory_that_tells_its_donors_is_found_out(
    make_base: Callable[..., LanguageModel],
) -> None:
    """By itself, and in everyone on top of it; the people's own canaries stay theirs."""
    histories = [history_of(i) for i in range(2)]
    bare, base = (make_base(n_layers=2, width=32) for _ in range(2))
    donors, known = plant_in_donors(donors_of([10, 11, 12, 13]), 3, bare=bare)
    words, owners = canaries(histories), ["u0", "u1", *known.words]
    innocent = ask_shared(base, words, known, QUICK)
    assert isolation_from(SHARED, [innocent], users=owners).leaks == ()

    told = donors.train[:12]
    by_heart = replace(donors, train=told, valid=told)
    train = replace(QUICK, max_epochs=80, patience=80)
    shared = fit_shared(default_lora(2), by_heart, bare, settings=train, consent="made up")
    shared.merge_into(base, name="canaries")
    found = isolation_from(SHARED, [ask_shared(base, words, known, QUICK)], users=owners)
    assert {leak.owner for leak in found.leaks} == {*known.words}
    assert (found.n_asked, found.own, found.n_own_told) == (5, None, 0)

    everyone = ask_everyone(histories, DefaultLora(), base, BUDGET, donors=known)
    assert [{*row.gaps} for row in everyone] == [{*owners}] * 2
    on_top = isolation_from("default-lora", everyone, users=owners)
    assert on_top.n_asked == 2 * 4
    assert {(leak.owner, leak.told_by) for leak in on_top.leaks} == {
        (donor, user) for donor in known.words for user in words
    }
    assert on_top.own is not None


def test_one_person_alone_has_no_others() -> None:
    """Refused before anything is fitted."""
    with pytest.raises(ConfigError, match="two users or more, one each, got 2 of 1"):
        ask_everyone([history_of(0)] * 2, DefaultLora(), small_base(), BUDGET)


@dataclass(frozen=True)
class SharedNotes:
    """Retrieval with one memory for all persons, as the released code of one system has it."""

    seen: list[PersonData]
    about: ClassVar[SystemInfo] = SystemInfo(
        name="shared-notes", title="one memory for all", notes=True
    )

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Add the person to the one memory."""
        self.seen.append(person)
        whole = replace(
            person.split,
            train=tuple(s for p in self.seen for s in p.split.train),
            valid=(),
            test=(),
            own_content=(),
        )
        past = Past(PersonData(history=person.history, split=whole), statements=False)
        match = Bm25([note.whole for note in past.notes])
        retriever = MatchingRetriever(past, match, n=4, show=lambda note: note.whole)
        return hand_over(person, base, budget, retriever=retriever)


@dataclass(frozen=True)
class SharedWeights:
    """One adapter trained on everyone's canaries, whomever it is asked for."""

    histories: list[History]
    made: list[FittedMemory]
    about: ClassVar[SystemInfo] = SystemInfo(
        name="shared-weights", title="one adapter for all", trains=True
    )

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Train once on all of them."""
        if not self.made:
            words = canaries(self.histories, seed=2)
            planted = [plant(h, words[h.user]) for h in self.histories]
            train = tuple(s for h in planted for s in h.samples if s.conversation == "canary")
            whole = replace(person, split=replace(person.split, train=train, valid=train[:8]))
            theta = default_lora(base.n_layers)
            made = fit_memory(theta, whole.split, base, settings=budget.train, seed=budget.seed)
            self.made.append(made)
        return hand_over(person, base, budget, memory=self.made[0].memory)
