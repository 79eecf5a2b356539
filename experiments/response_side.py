"""What acting on response tokens alone does to a memory: loss, ROUGE-L and Persona F1.

For each user one theta is trained twice on all of the training samples, with the memory acting on
all tokens (the paper's) and on the response side alone, and read on the test samples. Everything
else is the same. Writes `results/response_side.json` after every user, so that it may be stopped.

    python experiments/response_side.py --users ed4e9769 4fde054d
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from machine import machine

from lorecall import BaseModel, InjectionConfig, load_history, preset
from lorecall.core.files import write_json
from lorecall.data.catalog import list_users
from lorecall.data.history import split_history
from lorecall.lm.attach import Injection
from lorecall.lm.device import set_threads
from lorecall.metrics.overlap import persona_tokens
from lorecall.metrics.scores import METRICS, SampleScores, mean_scores, paired_scores, score_samples
from lorecall.records import Inject, Interval
from lorecall.train.trial import Trials

OUT = Path(__file__).parent / "results" / "response_side.json"
Row = dict[str, Any]
INJECTS: tuple[Inject, ...] = ("all", "response")


def main() -> None:
    """Train and read every user, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", nargs="*", help="User ids; the first usable ones when left out.")
    parser.add_argument("--n-users", type=int, default=6)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    set_threads()
    base = BaseModel.load()
    users = options.users or _users(options.n_users)
    found: dict[str, Row] = json.loads(OUT.read_text())["users"] if OUT.exists() else {}
    for user in users:
        if user not in found:
            found[user] = _try_user(base, user, options.rank, options.seed)
            write_json(OUT, _result(found, options, base))
            print(user, found[user]["train_s"], flush=True)
    print(json.dumps(_result(found, options, base)["pooled"], indent=1))


def _users(n: int) -> list[str]:
    """Take users of 100 to 200 usable replies, evenly spaced over the list, not picked."""
    known = [user.user for user in list_users("chitchat") if 100 <= user.n_samples <= 200]
    return [known[i * len(known) // n] for i in range(n)]


def _try_user(base: BaseModel, user: str, rank: int, seed: int) -> Row:
    """Train one user's memories and score every test sample."""
    split = split_history(load_history("chitchat", user=user))
    trials = Trials(base, settings=preset("laptop").train, seed=seed)
    data = trials.data(split, split.train)
    test = trials.encode(split.test, past=split.train)
    persona = persona_tokens(split.own_content)
    scores: dict[str, dict[str, tuple[float, ...]]] = {}
    train_s: dict[str, float] = {}

    def score(name: str, injection: Injection | None) -> None:
        read = trials.read(test, max_new_tokens=data.max_new_tokens, injection=injection)
        references = [sample.response for sample in split.test]
        scores[name] = asdict(
            score_samples(read.losses, read.responses, references=references, persona=persona)
        )

    score("vanilla", None)
    for inject in INJECTS:
        n = base.n_layers
        config = InjectionConfig(layers=tuple(range(n)), n_loras=n, rank=rank, inject=inject)
        started = perf_counter()
        trained = trials.train(config, data)
        train_s[inject] = perf_counter() - started
        with Injection(base, config) as injection:
            injection.load(trained.tensors)
            score(inject, injection)
    return {
        "n_train": len(split.train),
        "n_test": len(split.test),
        "train_s": train_s,
        "scores": scores,
    }


def _result(
    found: dict[str, Row], options: argparse.Namespace, base: BaseModel
) -> dict[str, object]:
    names = ("vanilla", *INJECTS)
    whole = {name: _pooled([row["scores"][name] for row in found.values()]) for name in names}
    bootstrap = {"n_resamples": 10_000, "seed": options.seed}
    pairs = {
        "all less vanilla": ("all", "vanilla"),
        "response less vanilla": ("response", "vanilla"),
        "response less all": ("response", "all"),
    }
    return {
        "machine": machine(),
        "settings": {
            "model": base.name,
            "dtype": str(base.dtype),
            "theta": f"all {base.n_layers} layers, {base.n_layers} modules of rank {options.rank}",
            "seed": options.seed,
            "train": asdict(preset("laptop").train),
        },
        "pooled": {
            "n_users": len(found),
            "n_samples": len(whole["all"].loss),
            "means": {
                name: _intervals(mean_scores(scores, **bootstrap)) for name, scores in whole.items()
            },
            **{
                name: _intervals(paired_scores(whole[one], whole[other], **bootstrap))
                for name, (one, other) in pairs.items()
            },
        },
        "users": found,
    }


def _pooled(parts: list[dict[str, list[float]]]) -> SampleScores:
    """Pool the samples of all users."""
    return SampleScores(
        **{name: tuple(v for part in parts for v in part[name]) for name in METRICS}
    )


def _intervals(scores: dict[str, Interval]) -> dict[str, object]:
    return {name: asdict(value) for name, value in scores.items()}


if __name__ == "__main__":
    main()
