"""The sampler alone, on a toy problem with booleans, an integer and an ordinal.

    python examples/search_toy.py

Twelve switches, of which three matter, an amount and a size; a loss to minimise and a score to
maximise that pull apart, both noisy. No language model anywhere.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from lorecall.search import SaasNehviSampler, hypervolume, pareto, reference_point, to_maximise

N_SWITCHES = 12
N_INITIAL = 10
SPACE: dict[str, BaseDistribution] = {
    **{f"switch_{i:02d}": CategoricalDistribution([False, True]) for i in range(N_SWITCHES)},
    "amount": IntDistribution(0, 8),
    "size": CategoricalDistribution([8, 16, 32, 64, 96]),
}


def is_candidate(params: dict[str, bool | int | float]) -> bool:
    """At least one switch must be on."""
    return any(params[f"switch_{i:02d}"] for i in range(N_SWITCHES))


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Return a loss and a score; switches 2, 3 and 7, the amount and the size matter."""
    on = [trial.suggest_categorical(f"switch_{i:02d}", [False, True]) for i in range(N_SWITCHES)]
    amount = trial.suggest_int("amount", 0, 8)
    size = trial.suggest_categorical("size", [8, 16, 32, 64, 96])
    noise = np.random.default_rng(trial.number).normal(scale=0.05, size=2)
    loss = 4.0 - on[2] - 0.5 * on[3] + 0.02 * (amount - 5) ** 2 + noise[0]
    score = 10.0 + 2.0 * on[7] - on[2] + 0.2 * np.log2(size) + noise[1]
    return float(loss), float(score)


def main(arguments: Sequence[str] | None = None) -> None:
    """Search, then print the front and its hypervolume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30, help="the first ten are random")
    n_trials = parser.parse_args(arguments).trials
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = SaasNehviSampler(
        search_space=SPACE, n_initial=N_INITIAL, seed=0, is_candidate=is_candidate
    )
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    study.optimize(objective, n_trials=n_trials)
    values = to_maximise([trial.values for trial in study.trials], study.directions)
    reference = reference_point(values[:N_INITIAL])
    print("trial   loss  score  switches on, amount, size")
    for i in np.flatnonzero(pareto(values)):
        params = study.trials[i].params
        on = [j for j in range(N_SWITCHES) if params[f"switch_{j:02d}"]]
        print(f"{i:5d}  {-values[i, 0]:5.2f}  {values[i, 1]:5.2f}  {on}", end=" ")
        print(f"{params['amount']} {params['size']}")
    print(f"hypervolume of the {N_INITIAL} random trials:", end=" ")
    print(f"{hypervolume(values[:N_INITIAL], reference):.3f}")
    print(f"hypervolume of all {n_trials} trials: {hypervolume(values, reference):.3f}")


if __name__ == "__main__":
    main()
