"""A made-up but plausible result, of any size, that was never run; pairs and scripted judges."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lorecall.data.history import split_history
from lorecall.judge.judge import JudgeItem, Scores
from lorecall.judge.pairs import Pair
from lorecall.learning.result import HeldOutReply, PersonalResult, RunResult, ScoreIntervals
from lorecall.metrics.personal import Picked
from lorecall.metrics.registry import Metric
from lorecall.records import History, InjectionConfig, Interval, Sample, Turn
from lorecall.search.records import Hypervolume, Quartiles, Trial
from lorecall.settings import RANKS, LearnSettings, SearchSettings, TrainSettings, preset
from lorecall.systems.contract import PersonData

TOPICS = ("tea", "rain", "the sea", "my dog", "jazz", "bread", "snow", "books", "the moon")


def interval(value: float, half: float) -> Interval:
    """Make an interval around a value."""
    return Interval(value=value, low=value - half, high=value + half)


def scores(loss: float, rouge1: float, rouge_l: float, persona: float) -> ScoreIntervals:
    """Make scores with intervals about as wide as 43 samples give."""
    return ScoreIntervals(
        loss=interval(loss, 0.171),
        rouge1=interval(rouge1, 2.31),
        rougeL=interval(rouge_l, 2.04),
        persona_f1=interval(persona, 0.41),
    )


def _trial(number: int, n_layers: int) -> Trial:
    rank = RANKS[number % len(RANKS)]
    layers = tuple(i for i in range(n_layers) if (i * 7 + number * 3) % (2 + number % 3) == 0)
    config = InjectionConfig(layers=layers or (0,), n_loras=1 + (number * 5) % 32, rank=rank)
    n_parameters = sum(config.ranks().values()) * 2 * (576 + 1536)
    loss = 4.386 - 0.3 * (1 - 1 / (1 + n_parameters / 4e5)) + 0.013 * (number % 4)
    return Trial(
        number=number,
        config=config,
        loss=loss,
        rouge_l=9.1 + 1.3 * ((number * 37) % 11) / 11,
        rouge_l_error=0.4,
        on_front=False,
        n_parameters=n_parameters,
        n_tokens=9_120,
        curve=((0.0, 4.386), (0.5, loss + 0.05), (1.0, loss)),
        suggest_s=0.1 * number,
        train_s=21.4 + number,
        evaluate_s=9.6,
    )


def _with_front(trials: list[Trial]) -> tuple[Trial, ...]:
    def dominated(trial: Trial) -> bool:
        return any(o.loss < trial.loss and o.rouge_l > trial.rouge_l for o in trials)

    return tuple(replace(t, on_front=not dominated(t)) for t in trials)


def _importance(n_layers: int) -> dict[str, dict[str, Quartiles]]:
    names = [*(f"layer_{i:02}" for i in range(n_layers)), "n_loras", "rank"]

    def share(i: int, shift: int) -> Quartiles:
        median = (1 + (i * 13 + shift) % 17) / (9 * len(names))
        return Quartiles(low=median * 0.6, median=median, high=median * 1.7)

    return {
        objective: {name: share(i, shift) for i, name in enumerate(names)}
        for shift, objective in enumerate(("loss", "rougeL"))
    }


def build_result(*, n_layers: int = 30, n_trials: int = 8, **changes: Any) -> RunResult:
    """Make a result; `changes` replaces fields of it."""
    trials = _with_front([_trial(number, n_layers) for number in range(n_trials)])
    front = tuple(trial for trial in trials if trial.on_front)
    chosen = max(front, key=lambda trial: trial.rouge_l)
    curve = ((0.0, 4.386), (0.5, 4.201), (1.0, 4.108), (1.5, 4.061), (2.0, 4.043), (2.5, 4.07))
    result = RunResult(
        user="4fde054d-2b0a-4b1f",
        dataset="chitchat",
        model="SmolLM2-135M-Instruct",
        shared="chitchat-smollm2-135m",
        n_layers=n_layers,
        finished_at="2026-01-02T03:04:05+00:00",
        seed=0,
        config=chosen.config,
        factor=1.25,
        chosen_trial=chosen.number,
        split={"train": 150, "valid": 21, "test": 43},
        scores={
            "base": scores(5.031, 9.21, 8.05, 1.32),
            "shared": scores(4.386, 11.34, 9.97, 1.61),
            "own": scores(4.052, 13.47, 12.15, 2.16),
            "other": ScoreIntervals(loss=interval(4.452, 0.171)),
            "default-lora": scores(4.121, 12.81, 11.02, 1.9),
        },
        difference_to_shared={
            "base": ScoreIntervals(
                loss=interval(0.645, 0.12),
                rouge1=interval(-2.13, 2.2),
                rougeL=interval(-1.92, 1.9),
                persona_f1=interval(-0.29, 0.4),
            ),
            "own": ScoreIntervals(
                loss=interval(-0.334, 0.077),
                rouge1=interval(2.13, 2.25),
                rougeL=interval(2.18, 2.01),
                persona_f1=interval(-0.55, 0.39),
            ),
            "other": ScoreIntervals(loss=interval(0.066, 0.05)),
            "default-lora": ScoreIntervals(
                loss=interval(-0.265, 0.07),
                rouge1=interval(1.47, 2.2),
                rougeL=interval(1.05, 1.9),
                persona_f1=interval(0.29, 0.4),
            ),
        },
        personal=PersonalResult(
            own_less_shared=interval(-0.334, 0.077),
            gain=interval(0.4, 0.09),
            rank=1,
            of=3,
            auc=0.713,
            which_of_eight=Picked(right=5, of=12, chance=1 / 8),
        ),
        persona_tokens=812,
        front=front,
        trials=trials,
        hypervolume=Hypervolume(
            reference=(4.45, 8.7),
            trace=tuple(0.21 + 0.31 * (1 - 0.7**i) for i in range(n_trials)),
            stopped="the budget of trials was spent",
        ),
        importance=_importance(n_layers),
        curves={
            "default-lora": tuple((x, y + 0.05 * bool(x)) for x, y in curve),
            "own": curve,
        },
        replies=(
            HeldOutReply(
                query="i just got back from a hike, what are you up to today?",
                truth="haha nice! i'm finishing a puzzle with my sister and then cooking ramen",
                responses={
                    "base": "I'm glad to hear that! Hiking is a great way to get exercise and "
                    "enjoy nature. How can I help you plan your next trip?",
                    "shared": "that's great! i am just relaxing at home",
                    "own": "nice! i'm just chilling at home with my sister, you?",
                    "other": "cool, cool. working, as always",
                    "default-lora": "not much, just watching tv",
                },
            ),
            HeldOutReply(
                earlier=(
                    Turn(by_author=False, text="what did you have for lunch?"),
                    Turn(by_author=True, text="leftover curry from mama"),
                ),
                query="do you like spicy food?",
                truth="yesss the spicier the better",
                responses={
                    "base": "As an AI language model, I do not eat.",
                    "shared": "yes, i like it",
                    "own": "yes! i love ramen 🍜",
                    "other": "not my thing",
                    "default-lora": "yes i do",
                },
            ),
        ),
        drawn={"temperature": 0.7, "min_p": 0.1, "seed": 0},
        seconds={
            "own": 41.7,
            "others": 83.4,
            "search": 310.2,
            "default-lora": 28.9,
            "evaluate": 96.3,
            "total": 560.5,
        },
        sizes={"trainable_parameters": 946_176, "bytes": 3_795_201},
        signature={
            "loss": "loss|cross entropy|nats per token|n=43",
            "rougeL": "rougeL|rouge-score 0.1.2|F1|no stemmer|x100|n=43",
        },
        settings=preset().as_json(),
        storage="sqlite:////home/ann/runs/demo/study.db",
        versions={"python": "3.11.2", "lorecall": "0.1.0", "torch": "2.6.0"},
    )
    return result.model_copy(update=changes)


def without_a_search(result: RunResult) -> RunResult:
    """Return the same result as if its theta had not been searched."""
    systems = [name for name in result.scores if name != "default-lora"]
    return result.model_copy(
        update={
            "chosen_trial": None,
            "trials": (),
            "front": (),
            "hypervolume": None,
            "importance": {},
            "storage": None,
            "scores": {name: result.scores[name] for name in systems},
            "curves": {"own": result.curves["own"]},
            "seconds": {
                name: each
                for name, each in result.seconds.items()
                if name not in {"search", "default-lora"}
            },
            "difference_to_shared": {
                name: each for name, each in result.difference_to_shared.items() if name in systems
            },
        }
    )


@pytest.fixture
def made_up_metric() -> Metric:
    """Return a metric that nothing else knows of: the number of words of a response."""
    return Metric(
        key="words",
        title="Words",
        lower_is_better=True,
        unit="in words",
        decimals=1,
        score=lambda answers: [float(len(response.split())) for response in answers.responses],
        made="by spaces",
    )


@pytest.fixture(scope="session")
def make_result() -> Callable[..., RunResult]:
    """Return the factory of results."""
    return build_result


class ScriptedJudge:
    """Scores as a function says; stands for any judge.

    Args:
        script: What is shown -> scores.
    """

    name = "scripted"
    prompt = "none"

    def __init__(self, script: Callable[[JudgeItem], Scores | None]) -> None:
        self.script = script
        self.seen: list[JudgeItem] = []

    def score(self, shown: Sequence[JudgeItem]) -> list[Scores | None]:
        """Score each item as the script says."""
        self.seen += shown
        return [self.script(item) for item in shown]


@pytest.fixture
def make_judge() -> Callable[[Callable[[JudgeItem], Scores | None]], ScriptedJudge]:
    """Make a judge of a function."""
    return ScriptedJudge


@pytest.fixture
def make_pair() -> Callable[..., Pair]:
    """Make a pair, with any field changed."""

    def make(name: str = "p", **fields: Any) -> Pair:
        usual: dict[str, Any] = {
            "id": name,
            "user": "ann",
            "query": f"query of {name}",
            "truth": f"truth of {name}",
            "system_a": "memory",
            "system_b": "vanilla",
            "response_a": f"a of {name}",
            "response_b": f"b of {name}",
        }
        return Pair(**(usual | fields))

    return make


def a_history(user: str = "ann", *, n_conversations: int = 8, per: int = 3) -> History:
    """Make a history; what is said differs from user to user."""
    rng = random.Random(user)
    drawn: dict[tuple[str, ...], None] = {}  # a pair counts once
    while len(drawn) < n_conversations * per:
        drawn[tuple(rng.choice(TOPICS) for _ in range(3))] = None
    samples = tuple(
        Sample(
            id=f"{user}-{n // per}-{n % per}",
            user=user,
            conversation=f"c{n // per}",
            query=f"do you like {one} or {other}?",
            response=f"{topic}, always {topic}, says {user}",
            time=float(100 * (n // per) + n % per),
        )
        for n, (one, other, topic) in enumerate(drawn)
    )
    return History(dataset="made-up", user=user, samples=samples)


def write_crowd(
    path: Path, *, n_people: int = 14, n_turns: int = 8, said: Mapping[str, str] | None = None
) -> Path:
    """Write conversations of p0, p1, ..., each with the two who come next, as JSONL.

    Every turn names who says it, to whom and when; `said` has other texts for some of them, by
    conversation and turn (`p0-p1 3`).
    """
    rows: list[dict[str, object]] = []
    for i in range(n_people):
        for j in (i + 1, i + 2):
            pair = (f"p{i}", f"p{j % n_people}")
            name = "-".join(pair)
            texts = [
                (said or {}).get(f"{name} {turn}")
                or f"{pair[turn % 2]} tells {pair[1 - turn % 2]} of {TOPICS[turn % 9]} in {turn}"
                for turn in range(n_turns)
            ]
            start = 100 * len(rows)
            rows += (
                {"user": pair[turn % 2], "query": texts[turn - 1], "response": texts[turn]}
                | {"conversation": name, "time": start + turn}
                for turn in range(1, n_turns)
            )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """Return a file of fourteen people in conversations with one another."""
    return write_crowd(tmp_path / "crowd.jsonl")


@pytest.fixture(scope="session")
def make_person() -> Callable[..., PersonData]:
    """Make a person with a short history."""

    def make(user: str = "ann", **options: Any) -> PersonData:
        history = a_history(user, **options)
        return PersonData(history=history, split=split_history(history))

    return make


@pytest.fixture(scope="session")
def quick() -> LearnSettings:
    """Return settings of a search that takes a second."""
    return LearnSettings(
        train=TrainSettings(
            max_epochs=1, patience=1, max_prompt_tokens=128, max_response_tokens=16
        ),
        search=SearchSettings(
            searched="paper", trials=2, initial=2, samples=8, epochs=1, surrogate="map"
        ),
        n_bootstrap=200,
    )


class Note:
    """Tells the same of everyone."""

    signature = "fixed, two notes"

    def retrieve(self, query: str, *, before: str | None = None) -> tuple[str, ...]:
        """Return two notes, one of them naming what was asked."""
        return ("likes tea", f"asked {query[:5]} {before or 'now'}")


@pytest.fixture
def note() -> Note:
    """Return something to put in prompts."""
    return Note()
