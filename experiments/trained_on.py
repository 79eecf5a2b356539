"""What a memory is trained on: the person's answers alone, or more of what the history holds.

The largest LoRA (what a search from known designs mostly ends with) is trained in full for every
person, its best point found by the validation answers alone, whatever it was trained on:

- pairs: the answers of the training part, as a memory is.
- statements: these, and what the person wrote in it that answers nobody (openers, short replies).
- whole: the loss is of the prompts' tokens too, the partner's turns and the person's earlier ones
  (`--loss-on conversation`).
- contexts: every answer twice, after its earlier turns and without them.
- reworded: every answer twice, its query once with 15% of its words left out.
- negatives: the base's own replies to the same prompts are made less likely than the answers, by
  the odds ratio that ORPO adds to the loss (Hong et al., 2024, eq. 6 and 7), a quarter of it.
- refit: trained once more, for as many epochs, on the validation part too.

They are read on the test samples: loss, and ROUGE-L and Persona F1 of replies as long as the
person's own. People are those of the tables with the fewest training samples, whom more to learn
from should help most. Trainings are kept in `results/trained_on.jsonl` as they end, so that it may
be stopped, and shared by processes that begin with different people; `results/trained_on.json`
holds the comparison over those who have all, of every group of people that was asked for.

    python experiments/trained_on.py experiments/tables/chitchat experiments/tables/chitchat-further
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from machine import machine
from memories import apart, kept_rows
from torch import Tensor
from torch.nn.functional import logsigmoid
from what_is_learnt import statement_samples, without_turns

from lorecall import BaseModel, load_history, preset
from lorecall.bench.render import read_plan
from lorecall.core.files import write_json
from lorecall.core.jsonl import append_records
from lorecall.data.history import split_history
from lorecall.lm.attach import Injection
from lorecall.lm.device import set_threads
from lorecall.lm.generate import decode_greedily
from lorecall.lm.prompts import Encoded, with_prompts
from lorecall.metrics.overlap import persona_tokens
from lorecall.metrics.scores import METRICS, SampleScores, score_samples
from lorecall.records import History, Sample, Split
from lorecall.systems.lora import largest_lora
from lorecall.train.engine import Engine, FastEngine
from lorecall.train.loop import TrainReport, train
from lorecall.train.trial import TrialData, Trials

OUT = Path(__file__).parent / "results" / "trained_on.json"
ROWS = OUT.with_suffix(".jsonl")
SETTINGS = preset("laptop")
PAIRS = "pairs"
REFIT, NEGATIVES = "refit", "negatives"
WAYS = (PAIRS, "statements", "whole", "contexts", "reworded", NEGATIVES, REFIT)
LEFT_OUT = 0.15  # of a query's words
ODDS_WEIGHT = 0.25
MIN_LOSS = 1e-3  # nats a token; where the odds would have no end


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One person's memory, trained on one kind of thing."""

    user: str
    way: str
    n_pairs: int
    n_trained_on: int
    n_loss_tokens: int
    valid_loss: float
    curve: tuple[tuple[float, float], ...]
    scores: SampleScores
    seconds: float
    machine: dict[str, object]
    dtype: str


def main() -> None:
    """Train and read what is not there yet, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--people", type=int, default=8, help="with the fewest training samples")
    parser.add_argument("--after", type=int, default=0, help="so many with fewer are left out")
    parser.add_argument("--first", type=int, default=0, help="begin with this one of them")
    parser.add_argument("--name", help="what their comparison is called in the results")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS, help="beside pairs")
    options = parser.parse_args()
    ways = [PAIRS, *(way for way in options.ways if way != PAIRS)]
    set_threads()
    base = BaseModel.load()
    people = scarcest(options.tables)[options.after :][: options.people]
    for history in people[options.first :] + people[: options.first]:
        for way in ways:
            if (history.user, way) not in {(row.user, row.way) for row in rows()}:
                row = row_of(base, history, way)
                append_records(ROWS, [row])
                print(row.user, way, row.valid_loss, f"{row.seconds:.0f} s", flush=True)
    found = compared(rows(), users=[h.user for h in people], ways=ways)
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    group = options.name or f"people {options.after + 1} to {options.after + len(people)}"
    settings = {"model": base.name, "learn": SETTINGS.as_json()}
    write_json(OUT, known | settings | {group: found})
    print(json.dumps(found, indent=1))


def scarcest(tables: Sequence[Path]) -> list[History]:
    """Give the people of some tables, those with the fewest training samples first."""
    sources = [source for table in tables for source in read_plan(table)[1].sources]
    people = [load_history(source.name, user=user) for source in sources for user in source.users]
    return sorted(people, key=lambda history: len(split_history(history).train))


def rows() -> list[Row]:
    """Give what is trained so far, once where two processes met."""
    return kept_rows(ROWS, Row, lambda row: (row.user, row.way))


def row_of(base: BaseModel, history: History, way: str) -> Row:
    """Train one memory in full, and answer the test prompts with it."""
    split = split_history(history)
    trials = Trials(base, settings=SETTINGS.train, seed=SETTINGS.seed)
    pairs = trials.data(split, split.train)
    learnt = trained_on(way, trials, history, split, pairs)
    theta = largest_lora(base)
    with Injection(base, theta, seed=SETTINGS.seed) as injection:
        report = train_on(injection, trials, way=way, learnt=learnt, valid=pairs.valid.encoded)
        reading = trials.read(
            trials.encode(split.test, past=split.train),
            max_new_tokens=pairs.max_new_tokens,
            injection=injection,
            decoding=trials.fit_length(pairs, injection=injection).decoding,
        )
    return Row(
        user=history.user,
        way=way,
        n_pairs=len(split.train),
        n_trained_on=len(learnt),
        n_loss_tokens=sum(len(each.response) for each in learnt),
        valid_loss=report.best.loss,
        curve=report.points,
        scores=score_samples(
            reading.losses,
            reading.responses,
            references=[sample.response for sample in split.test],
            persona=persona_tokens(split.own_content),
        ),
        seconds=report.seconds,
        machine=machine(),
        dtype=str(base.dtype),
    )


def trained_on(
    way: str, trials: Trials, history: History, split: Split, pairs: TrialData
) -> tuple[Encoded, ...]:
    """Give what the loss is of: the response of each, whatever stands there."""
    own = pairs.train.encoded
    match way:
        case "statements":
            return own + trials.encode(statements(history, split)).encoded
        case "whole":
            return with_prompts(own)
        case "contexts":
            return own + trials.encode(without_turns(split)).encoded
        case "reworded":
            return own + trials.encode(with_words_left_out(split.train)).encoded
        case _:
            return own


def train_on(
    injection: Injection,
    trials: Trials,
    *,
    way: str,
    learnt: tuple[Encoded, ...],
    valid: tuple[Encoded, ...],
) -> TrainReport:
    """Train the pairs in place, to their best point or, refitted, for as long as that took."""
    plain = FastEngine(trials.base, injection, frozen=trials.frozen)
    engine: Engine = plain
    if way == NEGATIVES:
        engine = Contrasting(plain, negatives_of(trials, learnt))
    settings, seed = trials.settings, trials.seed
    untrained = injection.tensors()
    report = train(injection, learnt, valid, settings=settings, seed=seed, engine=engine)
    n_readings = report.curve.index(report.best)
    if way == REFIT and n_readings:
        injection.load(untrained)
        again = train(
            injection,
            learnt + valid,
            valid,
            settings=replace(settings, patience=len(report.curve)),
            seed=seed,
            stop=lambda losses: len(losses) > n_readings,
            engine=engine,
        )
        report = replace(report, seconds=report.seconds + again.seconds)
    return report


class Contrasting:
    """An engine, whose losses also want each answer likelier than another of its prompt.

    Args:
        plain: What computes the losses.
        negatives: A sample -> its prompt with the answer that is not wanted.
    """

    def __init__(self, plain: Engine, negatives: Mapping[Encoded, Encoded]) -> None:
        self.plain, self.negatives = plain, negatives
        self.base, self.read, self.answer = plain.base, plain.read, plain.answer

    def losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute each sample's cross entropy and add what is due to its odds ratio."""
        wanted = self.plain.losses(samples)
        unwanted = self.plain.losses([self.negatives[sample] for sample in samples])
        return wanted - ODDS_WEIGHT * logsigmoid(log_odds(wanted) - log_odds(unwanted))


def log_odds(losses: Tensor) -> Tensor:
    """Give log p / (1 - p) of answers whose mean log p a token is minus the loss."""
    return -losses - torch.log(-torch.expm1(-losses.clamp_min(MIN_LOSS)))


def negatives_of(trials: Trials, learnt: Sequence[Encoded]) -> dict[Encoded, Encoded]:
    """Let the base alone, with the untrained pairs on it, answer every prompt."""
    answers = decode_greedily(
        trials.base,
        [each.prompt for each in learnt],
        max_new_tokens=max(len(each.response) for each in learnt),
        stop_ids=trials.format.stop_ids,
    )
    end = trials.format.end_id
    return {
        each: replace(each, response=(*answer, end))
        for each, answer in zip(learnt, answers, strict=True)
    }


def with_words_left_out(samples: Sequence[Sample]) -> list[Sample]:
    """Leave some words of every query out, at least one of them kept; seeded."""
    rng = random.Random(SETTINGS.seed)
    changed: list[Sample] = []
    for sample in samples:
        words = sample.query.split()
        kept = [word for word in words if rng.random() >= LEFT_OUT] or words[:1]
        changed.append(replace(sample, query=" ".join(kept)))
    return changed


def statements(history: History, split: Split) -> list[Sample]:
    """Give the statements that are no part of an answer, each once, as answers to the cue."""
    answers = [sample.response for sample in split.train]
    said = statement_samples(history, split)
    new = {s.response: s for s in said if not any(s.response in answer for answer in answers)}
    return list(new.values())


def compared(
    found: Sequence[Row], *, users: Sequence[str], ways: Sequence[str]
) -> dict[str, object]:
    """Compare each way with the pairs alone, over the people who have all of them."""
    by_key = {(row.user, row.way): row for row in found}
    complete = [user for user in users if all((user, way) in by_key for way in ways)]
    people = [[by_key[user, way] for way in ways] for user in complete]
    test = {
        metric: apart(
            [np.array([getattr(row.scores, metric) for row in person]).T for person in people],
            ways,
            against=PAIRS,
            label=f"less {PAIRS}",
        )
        for metric in (METRICS if people else ())
    }
    return {
        "users": complete,
        "n_test": sum(len(person[0].scores.loss) for person in people),
        "test": test,
        "trained on": [
            {key: value for key, value in asdict(row).items() if key not in ("scores", "curve")}
            for person in people
            for row in person
        ],
    }


if __name__ == "__main__":
    main()
