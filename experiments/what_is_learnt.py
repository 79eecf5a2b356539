"""What a memory is trained on and which weights are kept, at one theta: loss, ROUGE-L, Persona F1.

For every person of a bench, at the theta that their search chose, and for the default LoRA:

- pairs: the pairs of the training part, at the best point; what is built.
- averaged: the mean of the weights at the readings from half of the training on, no other training.
- statements: the person's statements too, each as an answer to a fixed cue.
- twice: every pair with its earlier turns and without them.
- refit: trained again for as many readings on the training and validation parts together.

Replies are as long as the person's own, as the bench has them. Writes `results/what_is_learnt.json`
after every person, so that it may be stopped.

    python experiments/what_is_learnt.py experiments/tables/chitchat-further
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from memories import Chosen, Row, over_people, thetas_of
from torch import Tensor

from lorecall import BaseModel, InjectionConfig, load_history, preset
from lorecall.data.history import sample_id, split_history, training_statements
from lorecall.lm.attach import Injection
from lorecall.metrics.overlap import persona_tokens
from lorecall.metrics.scores import METRICS, SampleScores, mean_scores, paired_scores, score_samples
from lorecall.records import History, Interval, Sample, Split, default_lora
from lorecall.train.engine import FastEngine
from lorecall.train.loop import TrainReport, train
from lorecall.train.trial import TrialData, Trials

OUT = Path(__file__).parent / "results" / "what_is_learnt.json"
SETTINGS = preset("laptop")
CUE = "Tell me something."
MEMORY_WAYS = ("pairs", "averaged", "statements", "twice", "refit")
LORA_WAYS = ("pairs", "averaged", "refit")
Weights = Mapping[str, Tensor]


def main() -> None:
    """Train and read every person in every way, then compare."""
    over_people(OUT, __doc__, among=thetas_of, of_person=of_person, report=report)


def of_person(base: BaseModel, chosen: Chosen) -> Row:
    """Train and read one person in every way."""
    person = Tried(base, load_history(chosen.dataset, user=chosen.user))
    systems = {
        "memory": (chosen.theta, MEMORY_WAYS),
        "lora": (default_lora(base.n_layers), LORA_WAYS),
    }
    for name, (theta, ways) in systems.items():
        person.try_theta(name, theta, ways)
    return {
        "n_train": len(person.split.train),
        "n_statements": len(person.statements),
        "n_test": len(person.split.test),
        "mean": {name: _means(scores) for name, scores in person.scores.items()},
        "valid": {name: _means(scores) for name, scores in person.valid_scores.items()},
        "scores": person.scores,
    }


class Tried:
    """One person, trained in different ways.

    Args:
        base: The base.
        history: The person's.
    """

    def __init__(self, base: BaseModel, history: History) -> None:
        self.base, self.split = base, split_history(history)
        self.trials = Trials(base, settings=SETTINGS.train, seed=SETTINGS.seed)
        split = self.split
        self.data = self.trials.data(split, split.train)
        self.test = self.trials.encode(split.test, past=split.train)
        self.statements = statement_samples(history, split)
        self.persona = persona_tokens(split.own_content)
        self.scores: dict[str, dict[str, tuple[float, ...]]] = {}
        self.valid_scores: dict[str, dict[str, tuple[float, ...]]] = {}

    def try_theta(self, name: str, theta: InjectionConfig, ways: Sequence[str]) -> None:
        """Train and read one theta in those ways."""
        report, weights, seen = self._train(theta, self.data)
        self._score(f"{name}, pairs", theta, weights)
        if "averaged" in ways:
            self._score(f"{name}, averaged", theta, _mean(seen[len(seen) // 2 :]))
        if "statements" in ways:
            more = self._with(self.data, self.statements)
            self._score(f"{name}, statements", theta, self._train(theta, more)[1])
        if "twice" in ways:
            twice = self._with(self.data, without_turns(self.split))
            self._score(f"{name}, twice", theta, self._train(theta, twice)[1])
        if "refit" in ways:
            whole = self._with(self.data, self.split.valid)
            n_readings = report.curve.index(report.best)
            seen = self._train(theta, whole, n_readings=n_readings)[2]
            if seen:
                self._score(f"{name}, refit", theta, seen[-1])

    def _with(self, data: TrialData, samples: Sequence[Sample]) -> TrialData:
        both = (*data.train.samples, *samples)
        return replace(data, train=self.trials.encode(both))

    def _train(
        self, theta: InjectionConfig, data: TrialData, *, n_readings: int | None = None
    ) -> tuple[TrainReport, Weights, list[Weights]]:
        """Train; give what was done, the weights at the best point, and those at every reading."""
        seen: list[Weights] = []
        with Injection(self.base, theta, seed=SETTINGS.seed) as injection:

            def note(losses: Sequence[float]) -> bool:
                seen.append({name: t.clone() for name, t in injection.tensors().items()})
                return len(losses) - 1 == n_readings

            report = train(
                injection,
                data.train.encoded,
                data.valid.encoded,
                settings=SETTINGS.train,
                seed=SETTINGS.seed,
                stop=note,
                engine=FastEngine(self.base, injection, frozen=self.trials.frozen),
            )
            best = {name: t.clone() for name, t in injection.tensors().items()}
        return report, best, seen

    def _score(self, name: str, theta: InjectionConfig, weights: Weights) -> None:
        trials = self.trials
        with Injection(self.base, theta) as injection:
            injection.load(weights)
            length = trials.fit_length(self.data, injection=injection)
            for part, scores in ((self.data.valid, self.valid_scores), (self.test, self.scores)):
                reading = trials.read(
                    part,
                    max_new_tokens=self.data.max_new_tokens,
                    injection=injection,
                    decoding=length.decoding,
                )
                scores[name] = asdict(
                    score_samples(
                        reading.losses,
                        reading.responses,
                        references=[sample.response for sample in part.samples],
                        persona=self.persona,
                    )
                )


def statement_samples(history: History, split: Split) -> list[Sample]:
    """Make the training part's statements samples that answer a fixed cue."""
    said = training_statements(history, train=split.train, held_out=split.valid + split.test)
    return [
        Sample(
            id=sample_id(history.user, one.conversation, position=i, query=CUE, response=one.text),
            user=history.user,
            conversation=one.conversation,
            query=CUE,
            response=one.text,
            time=one.time,
        )
        for i, one in enumerate(said)
    ]


def without_turns(split: Split) -> list[Sample]:
    """Give the training part's pairs that have earlier turns, without them."""
    return [replace(sample, earlier=()) for sample in split.train if sample.earlier]


def _mean(seen: Sequence[Weights]) -> Weights:
    return {name: torch.stack([one[name] for one in seen]).mean(0) for name in seen[0]}


def report(people: dict[str, Row], base: BaseModel) -> dict[str, object]:
    """Put everything together: every way, and what it changes against `pairs`, over all samples."""
    names = next(iter(people.values()))["scores"]
    whole = {
        name: _pooled([person["scores"][name] for person in people.values()])
        for name in names
        if all(name in person["scores"] for person in people.values())
    }
    bootstrap = {"n_resamples": 10_000, "seed": 0}
    pairs = [(n, f"{n.split(', ')[0]}, pairs") for n in whole if not n.endswith(", pairs")]
    pairs.append(("memory, pairs", "lora, pairs"))
    return {
        "settings": {"model": base.name, "dtype": str(base.dtype), "cue": CUE, "preset": "laptop"},
        "n_people": len(people),
        "n_samples": len(whole["memory, pairs"].loss),
        "means": {
            name: _intervals(mean_scores(scores, **bootstrap)) for name, scores in whole.items()
        },
        "differences": {
            f"{one} less {other}": _intervals(paired_scores(whole[one], whole[other], **bootstrap))
            for one, other in pairs
        },
        "people": people,
    }


def _pooled(parts: Sequence[dict[str, Sequence[float]]]) -> SampleScores:
    return SampleScores(
        **{name: tuple(v for part in parts for v in part[name]) for name in METRICS}
    )


def _intervals(scores: dict[str, Interval]) -> dict[str, object]:
    return {name: asdict(value) for name, value in scores.items()}


def _means(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: round(sum(values) / len(values), 3) for name, values in scores.items()}


if __name__ == "__main__":
    main()
