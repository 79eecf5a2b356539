"""What a trial's findings depend on: a table of real trials, read again.

For the loss and for ROUGE-L of the trials of a table (`real_trials.py`):

- ranked by: Spearman's coefficient with what needs no trial (the number of parameters, n, the rank,
  the number of layers), with the loss at every reading, and with a screening's findings where the
  trial has one. All are turned so that more is better.
- predicted: R^2 of a ridge regression over trials left out one by one, from n, the rank and the
  number of layers, on a logarithmic scale, and from these and which layers have a module. 0 or
  less is no better than the mean.
- spread: standard deviation over the trials; for ROUGE-L beside the standard error of two trials'
  difference over the validation samples, in the median of pairs.

    python experiments/what_trials_tell.py benchmarks/data/trials-ed4e9769.json
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rank_correlation import as_json, spearman
from scipy.stats import sem
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lorecall.core.files import write_json
from lorecall.search.space import InjectionSpace

OUT = Path(__file__).parent / "results" / "what_trials_tell.json"
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
Row = Mapping[str, Any]
Values = NDArray[np.float64]


def main() -> None:
    """Read every table that is named, and write what its trials tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+")
    options = parser.parse_args()
    tables = {path.stem: json.loads(path.read_text())["trials"] for path in options.tables}
    found = {name: told_by(trials) for name, trials in tables.items()}
    write_json(OUT, found)
    print(json.dumps(found, indent=1))


def told_by(trials: Sequence[Row]) -> dict[str, Any]:
    """Say what the trials of one table tell."""
    n_layers = sum(name.startswith("layer_") for name in trials[0]["params"])
    space = InjectionSpace(n_layers=n_layers)
    thetas = [space.config(trial["params"]) for trial in trials]
    sizes = {
        "parameters": np.array([trial["n_parameters"] for trial in trials], dtype=float),
        "n": np.array([theta.n_loras for theta in thetas], dtype=float),
        "rank": np.array([theta.rank for theta in thetas], dtype=float),
        "layers": np.array([len(theta.ranks()) for theta in thetas], dtype=float),
    }
    few = np.log2([sizes["n"], sizes["rank"], sizes["layers"]]).T
    layers = np.array([[i in theta.ranks() for i in range(n_layers)] for theta in thetas])
    readings = {
        f"loss at epoch {trials[0]['curve'][k][0]:g}": -np.array(
            [trial["curve"][k][1] for trial in trials]
        )
        for k in range(1, min(len(trial["curve"]) for trial in trials))
    }
    losses = -np.array([trial["loss"] for trial in trials])
    scores = np.array([trial["rougeL"] for trial in trials])
    found: dict[str, Any] = {"n_trials": len(trials)}
    for name, values in {"loss": losses, "rougeL": scores}.items():
        found[name] = {
            "ranked by": ranked({**sizes, **readings}, values) | screened(trials, values),
            "predicted": {
                "sizes": predicted(few, values),
                "sizes and layers": predicted(np.hstack([few, layers]), values),
            },
            "spread": float(values.std(ddof=1)),
        }
    apart = [np.subtract(a["rouge_l"], b["rouge_l"]) for a, b in pairwise(trials)]
    found["rougeL"]["standard error of a difference"] = float(np.median([sem(d) for d in apart]))
    return found


def ranked(guesses: Mapping[str, Values], values: Values) -> dict[str, object]:
    """Correlate every guess with what was found."""
    return {name: as_json(spearman(guess, values)) for name, guess in guesses.items()}


def screened(trials: Sequence[Row], values: Values) -> dict[str, object]:
    """Correlate the screenings' findings with those of the trials that have one."""
    chosen = [i for i, trial in enumerate(trials) if "cheap" in trial]
    cheap = [trials[i]["cheap"] for i in chosen]
    guesses = {
        "screening's loss": -np.array([each["loss"] for each in cheap]),
        "screening's ROUGE-L": np.array([each["rougeL"] for each in cheap]),
    }
    return ranked(guesses, values[chosen])


def predicted(inputs: Values, values: Values) -> float:
    """Predict every trial from the others, the penalty chosen among them, and give R^2."""
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    return float(r2_score(values, cross_val_predict(model, inputs, values, cv=LeaveOneOut())))


if __name__ == "__main__":
    main()
