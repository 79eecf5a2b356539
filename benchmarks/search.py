"""Searches against each other: hypervolume against trials and against seconds of suggesting.

    ours         SAAS-GP and noisy EHVI, this project's sampler
    random       uniform
    tpe, nsga2   Optuna's TPESampler and NSGAIISampler
    gpsampler    Optuna's GPSampler
    botorch      a plain GP (SingleTaskGP) and qLogNEHVI, over the same valid points as ours

    python benchmarks/search.py --problems additive --methods ours random botorch --seeds 10

Every finished search is kept in a file beside the result, so a run that was killed goes on where
it was, and several processes started with different `--first-seed` share the work. Trying a point
costs nothing here: seconds are those of suggesting.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import optuna
import torch
from rich.console import Console
from search_cells import Cell, append_cell, forget, load_cells, run_cell
from search_methods import METHODS, OURS
from search_plot import plot
from search_problems import NOISE, Problem, problems
from search_rows import bands_of, rows_of, tables

from lorecall.lm import set_threads
from report import command, machine, result_name, write_result

PACKAGES = ("optuna", "botorch", "gpytorch", "jax", "numpyro", "torch")


def main(arguments: Sequence[str] | None = None) -> None:
    """Search, print the tables and write the JSON and the plot."""
    options = parse(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    n_threads = set_threads(options.threads)
    known, missing = problems(options.data)
    names = options.problems or [*known]
    if unknown := set(names) - known.keys():
        raise SystemExit(f"unknown problems {sorted(unknown)}: expected some of {[*known]}")
    for note in missing:
        progress(f"left out: {note}")
    chosen = {name: known[name]() for name in names}
    device = torch.device("cpu")
    path = options.out / result_name("search", device)
    remembered = path.with_suffix(".jsonl")
    if options.fresh:
        forget(remembered, problems=names, methods=options.methods)
    run(options, chosen, remembered)
    cells = [c for problem in chosen.values() for c in cells_of(options, problem, remembered)]
    if not cells:
        raise SystemExit("nothing is finished yet")
    bands = bands_of(cells)
    rows = rows_of(bands)
    settings = settings_of(options, chosen, cells, missing) | {"threads": n_threads}
    write_result(path, machine=machine(device), settings=settings, rows=rows)
    counts = [len(band.cells) for band in bands.values()]
    range_of = f"{counts[0]}" if len({*counts}) == 1 else f"{min(counts)} to {max(counts)}"
    seeds = f"{range_of} seed{'s' if max(counts) > 1 else ''}"
    title = f"Share of the true front's hypervolume, median and quartiles of {seeds}"
    path.with_suffix(".svg").write_text(plot(bands, title=title), encoding="utf-8")
    console = Console(width=None if Console().is_terminal else 180)
    for table in tables(bands, rows, title=title):
        console.print(table)
    progress(f"written to {path} and {path.with_suffix('.svg').name}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Hypervolume of searches, trial by trial.")
    parser.add_argument("--problems", nargs="+", help="all when left out")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0, help="begin the work with this one")
    parser.add_argument("--trials", type=int, default=200, help="or the table's end")
    parser.add_argument("--ours-trials", type=int, help="fewer of ours: it is asked for in half")
    parser.add_argument("--initial", type=int, default=10, help="random trials, common to all")
    parser.add_argument("--threads", type=int, help="torch's; all cores when left out")
    parser.add_argument("--data", type=Path, default=Path("benchmarks/data"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--fresh", action="store_true", help="run what is chosen again")
    parser.add_argument("--only-report", action="store_true", help="of what is finished")
    options = parser.parse_args(arguments)
    if not 0 <= options.first_seed < options.seeds:
        parser.error("there must be a seed, and the first one among them")
    if not 2 <= options.initial <= options.trials:
        parser.error("there must be 2 initial trials, and no more of them than trials")
    options.ours_trials = options.ours_trials or options.trials
    if not options.initial <= options.ours_trials <= options.trials:
        parser.error("ours has the initial trials or more of them, and not more than the others")
    return options


def run(options: argparse.Namespace, chosen: Mapping[str, Problem], remembered: Path) -> None:
    """Run what is not finished, seed by seed, so that what is there is soon comparable."""
    seeds = [(options.first_seed + i) % options.seeds for i in range(options.seeds)]
    for seed in [] if options.only_report else seeds:
        for name, problem in chosen.items():
            for method in options.methods:
                key = (name, problem.fingerprint(), method, seed, options.initial)
                n_trials = n_trials_of(options, problem, method)
                known = load_cells(remembered).get(key)
                if known is not None and len(known.hypervolume) >= n_trials:
                    continue
                started = perf_counter()
                cell = run_cell(
                    problem, method, seed=seed, n_trials=n_trials, n_initial=options.initial
                )
                append_cell(remembered, cell)
                progress(
                    f"{name}, {method}, seed {seed}: {cell.hypervolume[-1]:.4f} in"
                    f" {perf_counter() - started:.1f} s"
                )


def cells_of(options: argparse.Namespace, problem: Problem, remembered: Path) -> list[Cell]:
    """Return a problem's finished cells among what was asked for, each cut to as many trials."""
    wanted = [
        (problem.name, problem.fingerprint(), method, seed, options.initial)
        for method in options.methods
        for seed in range(options.seeds)
    ]
    known = load_cells(remembered)
    found = [(known[key], n_trials_of(options, problem, key[2])) for key in wanted if key in known]
    return [cell.first(n) for cell, n in found if len(cell.hypervolume) >= n]


def n_trials_of(options: argparse.Namespace, problem: Problem, method: str) -> int:
    """Return the budget, or the table's rows where they are fewer."""
    n_trials = options.ours_trials if method == OURS else options.trials
    return n_trials if problem.rows is None else min(n_trials, len(problem.rows))


def settings_of(
    options: argparse.Namespace,
    chosen: Mapping[str, Problem],
    cells: Sequence[Cell],
    missing: Sequence[str],
) -> dict[str, object]:
    """Write down everything that the figures depend on."""
    seeds = {name: sorted({c.seed for c in cells if c.problem == name}) for name in chosen}
    return {
        "packages": {name: version(name) for name in PACKAGES},
        "trials": {
            name: {method: n_trials_of(options, problem, method) for method in options.methods}
            for name, problem in chosen.items()
        },
        "initial": options.initial,
        "methods": list(options.methods),
        "seeds": seeds,
        "left_out": list(missing),
        "problems": {
            name: {
                "fingerprint": problem.fingerprint(),
                "reference_to_maximise": problem.reference.tolist(),
                "front_points": len(problem.front),
                "noise": problem.noise,
            }
            for name, problem in chosen.items()
        },
        "figure": "share of the true front's hypervolume, of the tried points without noise",
        "reference": "the front's worst less 10% of its range; zdt1: BoTorch's own; dtlz2: 4, 4;"
        " bowls: 3, 3; turned: 1.5, 1.5",
        "noise": (
            f"additive, interacting: {NOISE} of each objective's range, fixed by seed and"
            " configuration; a table: as measured; the others: none"
        ),
        "start": "the same initial points for every method in a seed: candidates, no two the same",
        "seconds": "of suggesting and telling, compilation included; trying a point costs none",
        "vanilla": "no module at all: Optuna's own samplers may try it and get its value",
        "ordinals": "integers for Optuna's own samplers, whose categories have no order",
        "defaults": (
            "every sampler as it comes; TPE and GPSampler start after the initial points; NSGA-II"
            " has its population of 50"
        ),
        "botorch": (
            "SingleTaskGP for each objective, fitted from the last fit's parameters; qLogNEHVI"
            " with 64 samples, without BoTorch's compiled kernel, pruned; maximised by the local"
            f" search of {OURS}; the reference point it"
            " improves on is the initial points' worst less 10% of their range, as ours"
        ),
        "tables": (
            f"{OURS} and botorch score every untried row; the others' suggestions are taken to the"
            " untried row with the fewest differing inputs, then the nearest codes, and told there"
        ),
    }


def progress(line: str) -> None:
    """Say on standard error where it is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    command(main)
