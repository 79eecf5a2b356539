"""One suggestion of the search, step after step, against stock BoTorch fits of the same data.

On a sparse problem in theta's space (30 booleans, n, r: 32 inputs; two objectives) with `--start`
observations, each step fits both objectives, suggests a point, and observes it. Measured beside it
in the same process: BoTorch's own fully Bayesian SAAS fit of both objectives, one after another, at
its defaults but for the numbers of steps, which are ours. Equivalence: how far the predictions of
the two fits are from each other, in standard deviations, at random points.

    python benchmarks/suggest.py --steps 10
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
import optuna
import torch
from botorch.fit import fit_fully_bayesian_model_nuts
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from rich.console import Console
from search_problems import Problem, problems
from torch import Tensor

from lorecall.lm import set_threads
from lorecall.search import (
    DiscreteSpace,
    McmcSettings,
    SaasNehviSampler,
    Surrogate,
    fit_surrogate,
    to_maximise,
)
from report import Row, command, comparison, machine, result_name, write_result

OURS, STOCK = "ours", "stock BoTorch"
MCMC = McmcSettings()
N_HELD_OUT = 256


def main() -> None:
    """Take the steps, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=int, default=100, help="observations before the first step")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--no-stock", action="store_true", help="measure ours alone")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    set_threads()
    problem = problems(Path())[0]["additive"]()
    study = begun(problem, options.start)
    case = f"{options.start} observations and one more each time, 32 inputs, 2 objectives"
    taken: dict[str, list[float]] = {"suggest": [], "fit": [], "stock": []}
    apart: list[float] = []
    for step in range(options.steps + 1):  # the first compiles, and is not counted
        suggest_s = observe_one(problem, study)
        X, Y = data_of(problem, study)
        started = perf_counter()
        ours = fit_surrogate(X, Y, settings=MCMC, seed=step)
        fit_s = perf_counter() - started
        line = f"step {step}: suggestion {suggest_s:.1f} s, our fit from a cold start {fit_s:.1f} s"
        if not options.no_stock and step:
            started = perf_counter()
            stock = stock_fit(ours)
            stock_s = perf_counter() - started
            apart.append(difference(ours, stock))
            taken["stock"].append(stock_s)
            line += f", stock fits {stock_s:.1f} s, predictions {apart[-1]:.2f} sd apart"
        if step:
            taken["suggest"].append(suggest_s)
            taken["fit"].append(fit_s)
        Console().print(line, highlight=False)
    equal = {"predictions_sd": max(apart)} if apart else None
    rows = [
        Row.of(case, OURS, "suggest_s", values=taken["suggest"]),
        Row.of(case, OURS, "cold_fit_s", values=taken["fit"]),
        Row.of(case, STOCK, "suggest_s", values=taken["stock"], equivalence=equal),
    ]
    device = torch.device("cpu")
    write_result(
        options.out / result_name("suggest", device),
        machine=machine(device),
        settings={
            "problem": problem.name,
            "mcmc": {name: getattr(MCMC, name) for name in MCMC.__slots__},
            "ours": "the whole suggestion: fits that go on from the last, acquisition, its maximum",
            "cold_fit": "both objectives' chains from a cold start, compiled before",
            "stock": "fit_fully_bayesian_model_nuts of both objectives; no acquisition",
            "equivalence": f"median over objectives and {N_HELD_OUT} random points, in our sd",
        },
        rows=rows,
    )
    table = comparison(
        rows, reference=OURS, against=[STOCK], title="One suggestion", metrics=("suggest_s",)
    )
    Console(width=None if Console().is_terminal else 140).print(table)


def begun(problem: Problem, n: int) -> optuna.Study:
    """Open a study with so many random observations."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = SaasNehviSampler(
        search_space=problem.distributions,
        n_initial=n,
        is_candidate=problem.is_candidate,
        same_as=problem.same_as,
        canonical=problem.canonical,
    )
    study = optuna.create_study(directions=list(problem.directions), sampler=sampler)
    for _ in range(n):
        observe_one(problem, study)
    return study


def observe_one(problem: Problem, study: optuna.Study) -> float:
    """Ask, observe, tell; give the seconds of asking."""
    started = perf_counter()
    trial = study.ask(dict(problem.distributions))
    seconds = perf_counter() - started
    study.tell(trial, list(problem.observe(trial.params, 0)))
    return seconds


def data_of(problem: Problem, study: optuna.Study) -> tuple[Tensor, Tensor]:
    """Return what was observed as the surrogate sees it."""
    space = DiscreteSpace(problem.distributions, canonical=problem.canonical)
    done = study.get_trials(deepcopy=False)
    codes = space.encode(np.stack([space.point(trial.params) for trial in done]))
    Y = to_maximise([trial.values for trial in done], problem.directions)
    return torch.from_numpy(codes), torch.from_numpy(Y)


def stock_fit(ours: Surrogate) -> list[SaasFullyBayesianSingleTaskGP]:
    """Fit BoTorch's own models to the same standardised data."""
    models: list[SaasFullyBayesianSingleTaskGP] = []
    for z in ours.Z.T:
        model = SaasFullyBayesianSingleTaskGP(ours.X, z[:, None])
        fit_fully_bayesian_model_nuts(
            model,
            max_tree_depth=MCMC.max_tree_depth,
            warmup_steps=MCMC.warmup_steps,
            num_samples=MCMC.posterior_samples,
            thinning=MCMC.thinning,
            disable_progbar=True,
        )
        models.append(model)
    return models


def difference(ours: Surrogate, stock: list[SaasFullyBayesianSingleTaskGP]) -> float:
    """Return how far the mean predictions are apart, in our standard deviations: the median."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randint(0, 2, (N_HELD_OUT, ours.X.shape[1]), generator=generator).double()
    gaps: list[Tensor] = []
    for mine, theirs in zip(ours.model.models, stock, strict=True):
        own, other = mine.posterior(points), theirs.posterior(points)
        gap = (own.mixture_mean - other.mixture_mean).abs() / own.mixture_variance.sqrt()
        gaps.append(gap.detach())
    return float(torch.cat([gap.flatten() for gap in gaps]).median())


if __name__ == "__main__":
    command(main)
