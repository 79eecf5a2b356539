"""One training for all candidates: does a super-adapter rank them as stand-alone trials do?

The super-adapter holds a pair of rank `--max-rank` on every layer. A step draws a theta at random
from the search's own space and trains that part of it: the layers that theta has a module on, and
of each the first R rows of A and columns of B, R being theta's stacked rank there (nested ranks;
what is above `--max-rank` is left out). A candidate is scored by taking its part and reading the
validation loss, with `--answers` ROUGE-L as well: no training of its own.

The scores are compared with the stand-alone trials of `real_trials.py`, as many as there are, by
Spearman's rank correlation with a bootstrap interval. Beside them stand what costs nothing (the
number of parameters) and the screening's own cheap trials. 1 is the same order, 0 is none; every
figure is turned so that agreement is positive.

It may be stopped at any moment and goes on where it was; started again when there are more trials,
it scores the new ones alone. Weights lie in `--work`, the result in `results/super_adapter.json`.

    python experiments/super_adapter.py --user ed4e9769 --rungs 2 8 32
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
from rank_correlation import as_json, spearman
from real_trials import SETTINGS, all_rows, draw, rows_of
from super_weights import SuperAdapter

from lorecall import BaseModel, load_history
from lorecall.core.files import write_json
from lorecall.learn.search import Searching, space_of
from lorecall.lm.attach import Injection
from lorecall.lm.device import set_threads
from lorecall.metrics.overlap import rouge
from lorecall.search.discrete import Params
from lorecall.search.space import InjectionSpace
from lorecall.train.engine import FastEngine
from lorecall.train.loop import all_batches, read
from lorecall.train.trial import TrialData, Trials

OUT = Path(__file__).parent / "results" / "super_adapter.json"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is trained and where it is kept.

    Args:
        trials: Base, prompts and settings of a stand-alone trial.
        data: What a stand-alone trial is given.
        space: Where thetas are drawn from.
        max_rank: Rank of the super-adapter's pairs.
        rungs: Epochs after which candidates are scored, ascending.
        seed: Seed of everything random.
        work: Folder of the weights and the scores.
    """

    trials: Trials
    data: TrialData
    space: InjectionSpace
    max_rank: int
    rungs: tuple[int, ...]
    seed: int
    work: Path

    @property
    def identity(self) -> dict[str, object]:
        """Everything that the weights depend on."""
        return {
            "base": self.trials.base.fingerprint,
            "samples": [sample.id for sample in self.data.train.samples],
            "train": asdict(self.trials.settings),
            "space": asdict(self.space),
            "max_rank": self.max_rank,
            "rungs": list(self.rungs),
            "seed": self.seed,
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score what is not scored yet, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", default="ed4e9769")
    parser.add_argument("--rungs", type=int, nargs="+", default=[2, 8, 32], help="in epochs")
    parser.add_argument("--max-rank", type=int, default=96)
    parser.add_argument("--samples", type=int, help="those of a trial when left out")
    parser.add_argument("--answers", action="store_true", help="score ROUGE-L, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/super_adapter"))
    options = parser.parse_args(arguments)
    if sorted({*options.rungs}) != options.rungs or options.rungs[0] < 1:
        parser.error("rungs are numbers of epochs, 1 or more, in ascending order")
    set_threads()
    base = BaseModel.load()
    search = replace(SETTINGS.search, samples=options.samples or SETTINGS.search.samples)
    settings = replace(SETTINGS, search=search)
    full = Searching(base, load_history("chitchat", user=options.user), settings).full
    setup = Setup(
        trials=full.trials,
        data=full.data,
        space=space_of(base.n_layers, base.max_rank, search),
        max_rank=options.max_rank,
        rungs=tuple(options.rungs),
        seed=options.seed,
        work=options.work / f"{options.user}-{options.seed}",
    )
    for _ in trained(setup):
        pass
    rows = {row["index"]: row for row in all_rows(options.user)}
    for rung in setup.rungs:
        for _ in scored(setup, rung, rows.values(), answers=options.answers):
            pass
    found = compared(setup, rows)
    write_json(OUT, {"user": options.user, **found})
    print(json.dumps(found["correlations"], indent=1))


def trained(setup: Setup) -> Iterator[int]:
    """Train to the last rung from wherever it was; give the number of steps after every epoch."""
    settings = replace(setup.trials.settings, max_epochs=setup.rungs[-1])
    adapter = SuperAdapter(setup.trials.base, max_rank=setup.max_rank, seed=setup.seed)
    adapter.restore(setup.work / "training.safetensors", setup.identity)
    samples = setup.data.train.encoded
    n_batches = -(-len(samples) // settings.batch_size)
    n_steps = n_batches * settings.max_epochs
    for step, chosen in enumerate(all_batches(samples, settings, setup.seed)):
        if step < adapter.steps:
            continue
        started = perf_counter()
        batch = [samples[j] for j in chosen]
        theta = setup.space.config(draw(setup.space, np.random.default_rng([setup.seed, step])))
        rate = settings.learning_rate * schedule(step, n_steps, settings.warmup_share)
        with Injection(setup.trials.base, theta) as injection:
            injection.load(adapter.part(theta))
            engine = FastEngine(setup.trials.base, injection, frozen=setup.trials.frozen)
            engine.losses(batch).mean().backward()
            adapter.take(injection)
        adapter.step(settings, rate)
        adapter.tokens += sum(sample.n_tokens for sample in batch)
        adapter.seconds += perf_counter() - started
        epochs, rest = divmod(step + 1, n_batches)
        if not rest:
            if epochs in setup.rungs:
                adapter.save(weights_of(setup, epochs), setup.identity, whole=False)
            adapter.save(setup.work / "training.safetensors", setup.identity)
            yield step + 1


def schedule(step: int, n_steps: int, warmup_share: float) -> float:
    """Rise linearly over the warm-up, then fall linearly to zero."""
    n_warmup = max(1, round(warmup_share * n_steps))
    return min((step + 1) / n_warmup, (n_steps - step) / max(1, n_steps - n_warmup), 1.0)


def weights_of(setup: Setup, rung: int) -> Path:
    """Name the file of a rung's weights."""
    return setup.work / f"weights-{rung}.safetensors"


def scored(setup: Setup, rung: int, rows: Iterable[Row], *, answers: bool = False) -> Iterator[Row]:
    """Score the candidates that are not scored yet; each is kept before it is given."""
    base, path = setup.trials.base, setup.work / f"scores-{rung}.jsonl"
    adapter = SuperAdapter(base, max_rank=setup.max_rank, seed=setup.seed)
    if not adapter.restore(weights_of(setup, rung), setup.identity):
        raise SystemExit(f"{weights_of(setup, rung)} is not there: train to it first")
    known = {row["index"] for row in rows_of(path) if "rougeL" in row or not answers}
    for row in rows:
        if row["index"] in known:
            continue
        score = {"index": row["index"], **score_of(setup, adapter, row["params"], answers=answers)}
        whole = not path.exists() or path.read_bytes()[-1:] == b"\n"  # a line may have been cut off
        with path.open("a") as file:
            file.write(("" if whole else "\n") + json.dumps(score) + "\n")
        yield score


def score_of(setup: Setup, adapter: SuperAdapter, params: Params, *, answers: bool) -> Row:
    """Take a candidate's part and read it on the validation samples."""
    theta, trials, valid = setup.space.config(params), setup.trials, setup.data.valid
    started = perf_counter()
    with Injection(trials.base, theta) as injection:
        injection.load(adapter.part(theta))
        score: Row = {"cut": max(theta.ranks().values()) > setup.max_rank}
        if answers:
            found = trials.read(
                valid, max_new_tokens=setup.data.max_new_tokens, injection=injection
            )
            score["loss"] = fmean(found.losses)
            references = [sample.response for sample in valid.samples]
            score["rougeL"] = fmean(rouge(found.responses, references).rouge_l)
        else:
            engine = FastEngine(trials.base, injection, frozen=trials.frozen)
            score["loss"] = read(engine, valid.encoded).mean
    return score | {"seconds": perf_counter() - started}


def compared(setup: Setup, rows: Mapping[int, Row]) -> dict[str, Any]:
    """Correlate what is cheap with what stand-alone trials found."""
    adapter = SuperAdapter(setup.trials.base, max_rank=setup.max_rank, seed=setup.seed)
    adapter.restore(setup.work / "training.safetensors", setup.identity)
    by_rung = {
        rung: {s["index"]: s for s in rows_of(setup.work / f"scores-{rung}.jsonl")}
        for rung in setup.rungs
    }
    cheap = {i: row["cheap"] for i, row in rows.items() if "cheap" in row}
    guesses: dict[str, dict[int, float]] = {
        "parameters": {i: float(row["n_parameters"]) for i, row in rows.items()},
        "screening loss": {i: -row["loss"] for i, row in cheap.items()},
        "screening ROUGE-L": {i: row["rougeL"] for i, row in cheap.items()},
    }
    for rung, scores in by_rung.items():
        guesses[f"super-adapter loss, {rung} epochs"] = {i: -s["loss"] for i, s in scores.items()}
        answered = {i: s["rougeL"] for i, s in scores.items() if "rougeL" in s}
        if answered:
            guesses[f"super-adapter ROUGE-L, {rung} epochs"] = answered
    return {
        "settings": setup.identity,
        "cost": {
            "super_adapter": {"tokens": adapter.tokens, "seconds": adapter.seconds},
            "stand_alone": {
                "trials": len(rows),
                "tokens": sum(row["n_tokens"] for row in rows.values()),
                "seconds": sum(row["train_s"] for row in rows.values()),
            },
        },
        "correlations": correlations(guesses, rows),
        "correlations_where_screened": correlations(guesses, {i: rows[i] for i in cheap}),
        "scores": {str(rung): list(scores.values()) for rung, scores in by_rung.items()},
    }


def correlations(
    guesses: Mapping[str, Mapping[int, float]], rows: Mapping[int, Row]
) -> dict[str, dict[str, object]]:
    """Give Spearman's coefficient of every guess with the loss (turned) and ROUGE-L."""
    found: dict[str, dict[str, object]] = {}
    for name, guess in guesses.items():
        common = [i for i in rows if i in guess]
        known = np.array([guess[i] for i in common])
        truth = {
            "loss": np.array([-rows[i]["loss"] for i in common]),
            "rougeL": np.array([rows[i]["rougeL"] for i in common]),
        }
        found[name] = {"n": len(common)} | {
            target: as_json(spearman(known, values)) for target, values in truth.items()
        }
    return found


if __name__ == "__main__":
    main()
