"""What memories are trained on: each way's tokens, and a comparison made once for everyone."""

import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lorecall.bench.plan import BenchPlan, Source
from lorecall.data.history import split_history
from lorecall.lm.base import BaseModel
from lorecall.lm.prompts import Encoded, with_prompts
from lorecall.records import History, Sample, Statement, Turn
from lorecall.settings import TrainSettings
from lorecall.train.engine import PlainEngine
from lorecall.train.trial import Trials


@pytest.fixture
def base(make_base: Callable[..., BaseModel]) -> BaseModel:
    """Give a tiny base."""
    return make_base("llama", n_layers=2)


@pytest.fixture
def ann(make_samples: Callable[..., tuple[Sample, ...]]) -> History:
    """Make up a person: every other answer has an earlier turn; some is said to nobody."""
    samples = tuple(
        replace(sample, earlier=(Turn(by_author=True, text="well then"),) if i % 2 else ())
        for i, sample in enumerate(make_samples(24))
    )
    first, last = samples[0], samples[-1]
    said = (
        Statement(conversation=first.conversation, text="the moon", time=1.0),
        Statement(conversation=first.conversation, text="the moon", time=1.0),
        Statement(conversation=first.conversation, text=first.response, time=1.0),
        Statement(conversation=last.conversation, text="nobody may know", time=2.0),
    )
    return History(dataset="made up", user="ann", samples=samples, statements=said)


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    load_for: Callable[[str, BaseModel], ModuleType],
    base: BaseModel,
    one_epoch: TrainSettings,
) -> ModuleType:
    """Import the experiment for a tiny base and short trainings."""
    module = load_for("trained_on", base)
    monkeypatch.setattr(module, "SETTINGS", replace(module.SETTINGS, train=one_epoch))
    return module


def learnt(
    experiment: ModuleType, base: BaseModel, history: History, way: str
) -> tuple[Encoded, ...]:
    """Give what a way trains on."""
    split = split_history(history)
    trials = Trials(base, settings=experiment.SETTINGS.train, seed=0)
    pairs = trials.data(split, split.train)
    found: tuple[Encoded, ...] = experiment.trained_on(way, trials, history, split, pairs)
    return found


def test_statements_are_new_and_of_the_training_part(
    experiment: ModuleType, base: BaseModel, ann: History
) -> None:
    """One said twice counts once; an answer's words and what is held out do not count."""
    pairs = learnt(experiment, base, ann, "pairs")
    both = learnt(experiment, base, ann, "statements")
    assert both[: len(pairs)] == pairs
    (added,) = both[len(pairs) :]
    assert base.tokenizer.decode(list(added.response)).startswith("the mo")


def test_the_whole_is_what_a_conversation_s_loss_is_of(
    experiment: ModuleType, base: BaseModel, ann: History
) -> None:
    """As `--loss-on conversation` has it."""
    whole = learnt(experiment, base, ann, "whole")
    assert whole == with_prompts(learnt(experiment, base, ann, "pairs"))


def test_contexts_are_the_answers_with_turns_once_more_without(
    experiment: ModuleType, base: BaseModel, ann: History
) -> None:
    """Answers that have none are not doubled."""
    pairs = learnt(experiment, base, ann, "pairs")
    both = learnt(experiment, base, ann, "contexts")
    turned = [p for p, s in zip(pairs, split_history(ann).train, strict=True) if s.earlier]
    again = both[len(pairs) :]
    assert [each.response for each in again] == [each.response for each in turned]
    assert all(len(a.prompt) < len(t.prompt) for a, t in zip(again, turned, strict=True))


def test_reworded_queries_lack_words_and_keep_their_answers(
    experiment: ModuleType, base: BaseModel, ann: History
) -> None:
    """Each pair once more; at least a word is kept, the same ones every time."""
    pairs = learnt(experiment, base, ann, "pairs")
    both = learnt(experiment, base, ann, "reworded")
    assert [each.response for each in both] == [each.response for each in pairs] * 2
    assert both == learnt(experiment, base, ann, "reworded")
    queries = [replace(s, query="a b c d e f g h i j") for s in split_history(ann).train]
    left = [s.query.split() for s in experiment.with_words_left_out(queries)]
    assert 8 < sum(map(len, left)) / len(left) < 9.5
    assert all(experiment.with_words_left_out([replace(queries[0], query="yes")] * 99))


def test_negatives_are_the_base_s_own_replies_and_cost_what_their_odds_say(
    experiment: ModuleType, base: BaseModel, ann: History
) -> None:
    """The loss is the answer's and a quarter of the odds ratio's, by hand."""
    split = split_history(ann)
    trials = Trials(base, settings=experiment.SETTINGS.train, seed=0)
    pairs = trials.data(split, split.train).train.encoded[:3]
    negatives = experiment.negatives_of(trials, pairs)
    assert all(negatives[each].prompt == each.prompt for each in pairs)
    assert all(negatives[each].response[-1] == trials.format.end_id for each in pairs)
    plain = PlainEngine(base)
    wanted = plain.losses(pairs).tolist()
    unwanted = plain.losses([negatives[each] for each in pairs]).tolist()
    assert all(u < w for u, w in zip(unwanted, wanted, strict=True)), "greedy is likelier"
    found = experiment.Contrasting(plain, negatives).losses(pairs).tolist()
    for w, u, f in zip(wanted, unwanted, found, strict=True):
        odds = [math.exp(-x) / (1 - math.exp(-x)) for x in (w, u)]
        ratio = odds[0] / odds[1]
        assert f == pytest.approx(w - 0.25 * math.log(ratio / (1 + ratio)), rel=1e-4)
    assert experiment.log_odds(torch.zeros(1)).isfinite().all(), "certain of every token"


@pytest.mark.parametrize("way", ["negatives", "refit", "reworded"])
def test_every_way_trains_a_memory_of_its_own(
    experiment: ModuleType, base: BaseModel, ann: History, way: str
) -> None:
    """Its losses are others than the pairs' alone, on the same test samples."""
    pairs, other = (experiment.row_of(base, ann, each) for each in ("pairs", way))
    assert len(other.scores.loss) == len(pairs.scores.loss)
    assert other.scores.loss != pairs.scores.loss
    assert (other.valid_loss == pairs.valid_loss) is (way == "refit")


def test_trainings_are_made_once_and_compared(
    experiment: ModuleType,
    ann: History,
    make_samples: Callable[..., tuple[Sample, ...]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Of three people the two with the fewest samples; what is there is not trained again."""
    people = {
        "ann": ann,
        "ben": replace(ann, user="ben", samples=make_samples(40)),
        "cat": replace(ann, user="cat", samples=make_samples(32)),
    }
    monkeypatch.setattr(experiment, "load_history", lambda _, user: people[user])
    source = Source(name="made up", users=tuple(people))
    plan = BenchPlan(
        sources=(source,), systems=("vanilla",), seeds=(0,), settings=experiment.SETTINGS
    )
    monkeypatch.setattr(experiment, "read_plan", lambda _: ({}, plan))
    trained: list[tuple[str, str]] = []
    row_of = experiment.row_of

    def counting(base: BaseModel, history: History, way: str) -> object:
        trained.append((history.user, way))
        return row_of(base, history, way)

    monkeypatch.setattr(experiment, "row_of", counting)
    for first in ("1", "0"):
        asked = ["x", str(tmp_path), "--people", "2", "--first", first, "--ways", "whole"]
        monkeypatch.setattr(sys, "argv", asked)
        experiment.main()
    assert trained == [("cat", "pairs"), ("cat", "whole"), ("ann", "pairs"), ("ann", "whole")]
    found = json.loads(experiment.OUT.read_text())["people 1 to 2"]
    assert found["users"] == ["ann", "cat"]
    loss = found["test"]["loss"]
    assert loss["pairs"]["less pairs"] == [0, 0, 0]
    assert loss["whole"]["less pairs"][0] != 0
    asked = ["x", str(tmp_path), "--people", "2", "--after", "2", "--ways", "pairs"]
    for named in ([], ["--name", "ben alone"]):
        monkeypatch.setattr(sys, "argv", [*asked, *named])
        experiment.main()
    assert trained[4:] == [("ben", "pairs")]
    groups = json.loads(experiment.OUT.read_text())
    assert groups["people 1 to 2"] == found
    assert groups["people 3 to 3"] == groups["ben alone"]
    assert groups["ben alone"]["users"] == ["ben"]
    rows = [asdict(row) for row in experiment.rows() if row.user != "ben"]
    assert found["n_test"] == sum(len(r["scores"]["loss"]) for r in rows if r["way"] == "pairs")


def test_a_person_who_lacks_a_way_is_not_compared(experiment: ModuleType) -> None:
    """Nobody is there yet: no numbers, no error."""
    assert experiment.compared([], users=["ann"], ways=["pairs"])["test"] == {}
