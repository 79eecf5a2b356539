"""Does a wider space pay? The paper's three factors against more, at the same number of trials.

For each user the same search is run over each space, everything else the same, and compared on what
it found (the hypervolume of validation loss and ROUGE-L above one reference point for all spaces
of a user) and on what its memory does to the test samples, paired over all users' samples. Every
run is a folder of its own in `--work`, so that it may be stopped and goes on where it was;
`results/wider.json` is written after every user.

    python experiments/wider.py --users ed4e9769 4fde054d --trials 24 --initial 10
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lorecall import (
    BaseModel,
    History,
    LearnSettings,
    RunResult,
    learn_memory,
    load_history,
    preset,
)
from lorecall.core.files import write_json
from lorecall.data.history import split_history
from lorecall.lm.device import set_threads
from lorecall.metrics.intervals import N_RESAMPLES
from lorecall.metrics.overlap import persona_tokens
from lorecall.metrics.scores import METRICS, SampleScores, paired_scores, score_samples
from lorecall.search.front import Values, hypervolume_trace, reference_point
from lorecall.settings import Changes

OUT = Path(__file__).parent / "results" / "wider.json"
PAPER = "paper"
SPACES: dict[str, Changes] = {
    PAPER: {},
    "scaling": {"wide": ("scaling",)},
    "dropout": {"wide": ("dropout",)},
    "scaling and dropout": {"wide": ("scaling", "dropout")},
    "parameters": {"third_objective": "parameters"},
}
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Search every space for every user, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", nargs="+", required=True)
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--initial", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/wider"))
    options = parser.parse_args(arguments)
    if PAPER not in options.spaces:
        parser.error(f"the others are compared with {PAPER}: leave it among the spaces")
    set_threads()
    base = BaseModel.load()
    settings = {
        name: preset(
            "laptop",
            **{**SPACES[name], "trials": options.trials, "initial": options.initial},
            seed=options.seed,
        )
        for name in options.spaces
    }
    found: dict[str, Row] = {}
    for user in options.users:
        history = load_history("chitchat", user=user)
        found[user] = search_all(history, base, settings, work=options.work / user)
        write_json(OUT, result_of(found, seed=options.seed))
        print(user, json.dumps(found[user]["spaces"], indent=1), flush=True)
    print(json.dumps(result_of(found, seed=options.seed)["pooled"], indent=1))


def search_all(
    history: History, base: BaseModel, settings: Mapping[str, LearnSettings], *, work: Path
) -> Row:
    """Search every space for one user."""
    results: dict[str, RunResult] = {}
    scores: dict[str, SampleScores] = {}
    for name, chosen in settings.items():
        folder = work / name.replace(" ", "-")
        results[name] = learn_memory(history, base, out=folder, settings=chosen)
        scores[name] = scores_of(history, folder)
    n_initial = next(iter(settings.values())).search.initial
    return {
        "spaces": compared(results, n_initial=n_initial),
        "scores": {name: asdict(values) for name, values in scores.items()},
    }


def scores_of(history: History, folder: Path) -> SampleScores:
    """Score what the memory of a run made of every test sample."""
    reading = json.loads((folder / "stages" / "memory.json").read_text())
    split = split_history(history)
    return score_samples(
        reading["losses"],
        reading["responses"],
        references=[sample.response for sample in split.test],
        persona=persona_tokens(split.own_content),
    )


def compared(results: Mapping[str, RunResult], *, n_initial: int) -> dict[str, Row]:
    """Compare what the searches of one user found above one reference point.

    Args:
        results: By the space's name, the paper's among them.
        n_initial: Random trials; those of all spaces set the reference point.
    """
    values = {name: values_of(result) for name, result in results.items()}
    reference = reference_point(np.concatenate([y[:n_initial] for y in values.values()]))
    traces = {name: hypervolume_trace(y, reference) for name, y in values.items()}
    papers = float(traces[PAPER][-1])
    found: dict[str, Row] = {}
    for name, result in results.items():
        reached = np.flatnonzero(traces[name] >= papers)
        config = asdict(result.config)
        found[name] = {
            "hypervolume": float(traces[name][-1]),
            "share_of_papers": float(traces[name][-1]) / papers if papers else None,
            "trials": len(result.trials),
            "trials_to_papers": int(reached[0]) + 1 if len(reached) else None,
            "best_loss": min(trial.loss for trial in result.trials),
            "best_rougeL": max(trial.rougeL for trial in result.trials),
            "chosen": {**config, "parameters": result.sizes["trainable_parameters"]},
            "fewest_parameters_on_front": min(t.trainable_parameters for t in result.front),
            "suggest_s": result.seconds["suggest"],
        }
    return found


def values_of(result: RunResult) -> Values:
    """Give loss and ROUGE-L of every trial, to be maximised, shape (n, 2)."""
    return np.array([[-trial.loss, trial.rougeL] for trial in result.trials])


def result_of(found: Mapping[str, Row], *, seed: int) -> Row:
    """Pool the test samples of all users and pair every space with the paper's."""
    names = list(next(iter(found.values()))["scores"])
    whole = {
        name: SampleScores(
            **{
                m: tuple(v for row in found.values() for v in row["scores"][name][m])
                for m in METRICS
            }
        )
        for name in names
    }
    pairs = {
        name: paired_scores(whole[name], whole[PAPER], n_resamples=N_RESAMPLES, seed=seed)
        for name in names
    }
    return {
        "pooled": {
            f"{name} less {PAPER}": {metric: asdict(value) for metric, value in pair.items()}
            for name, pair in pairs.items()
            if name != PAPER
        },
        "users": found,
    }


if __name__ == "__main__":
    main()
