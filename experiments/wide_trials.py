"""Do further factors pay? Trials of random thetas of a wider space beside those of the paper's.

Thetas are drawn from the space with scaling and dropout (`--wide scaling,dropout`) and tried as the
rows of the table of real trials were (`real_trials.py`, the same person and kind of machine), whose
space is the paper's three factors. No search is played: a space is as good as what k thetas drawn
from it hold, for k as many as a short and a long search try.

- ranked by: Spearman's coefficient of the wider trials' loss and ROUGE-L with their factors.
- predicted: R^2 over trials left out, from the paper's factors, and from those and the further.
- drawn: the expected lowest loss and hypervolume (loss and ROUGE-L, above one reference point) of k
  thetas of either space, over `N_SETS` sets without replacement, and the wider less the paper's
  with a 95% interval over the trials there are; k no larger than their number.
- smallest: the fewest parameters whose trial comes within `LEVEL` of the paper's lowest loss.

Trials are kept in `results/wide_trials-USER.jsonl` as they are finished; it goes on where it was.

    python experiments/wide_trials.py --user ed4e9769 --rows 40
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rank_correlation import as_json, spearman
from real_trials import TABLES, drawn, rows_of, try_thetas
from what_trials_tell import predicted

from lorecall import BaseModel, load_history, preset
from lorecall.core.files import write_json
from lorecall.learn.search import Searching, space_of
from lorecall.lm.device import set_threads
from lorecall.search.front import hypervolume, reference_point
from lorecall.search.space import InjectionSpace

OUT = Path(__file__).parent / "results" / "wide_trials.json"
SETTINGS = preset("laptop", wide=("scaling", "dropout"))
DRAWN = (8, 24)
N_SETS = 400
N_RESAMPLES = 400
LEVEL = 0.01
Row = dict[str, Any]
Values = NDArray[np.float64]


def main() -> None:
    """Try what is not tried yet, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", default="ed4e9769")
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--only-compare", action="store_true", help="what is finished")
    options = parser.parse_args()
    set_threads()
    base = BaseModel.load()
    space = space_of(base.n_layers, base.max_rank, SETTINGS.search)
    thetas = dict(enumerate(drawn(space, options.rows)))
    path = OUT.with_name(f"{OUT.stem}-{options.user}.jsonl")
    known = {row["index"] for row in rows_of(path)}
    missing = {i: theta for i, theta in thetas.items() if i not in known}
    if not options.only_compare:
        searching = Searching(base, load_history("chitchat", user=options.user), SETTINGS)
        try_thetas(missing, searching, path=path)
    table = json.loads((TABLES / f"trials-{options.user}.json").read_text())
    wide = [row for row in rows_of(path) if row["index"] in thetas]
    if any(row["made"] != table["settings"]["made"] for row in wide):
        raise SystemExit("both spaces' trials must be of one model, number format and CPU")
    found = {
        "user": options.user,
        "made": table["settings"]["made"],
        "learn": SETTINGS.as_json(),
        **compared(wide, table["trials"], space),
    }
    write_json(OUT, found)
    print(json.dumps(found, indent=1))


def compared(wide: Sequence[Row], paper: Sequence[Row], space: InjectionSpace) -> Row:
    """Compare the trials of both spaces; `space` is the wider one."""
    factors = factors_of(wide, space)
    few = np.log2([factors[name] for name in ("n", "rank", "layers")]).T
    more = np.column_stack([few, np.log2(factors["scaling"]), factors["dropout"]])
    values = {"wide": values_of(wide), "paper": values_of(paper)}
    targets = {"loss": values["wide"][:, 0], "rougeL": values["wide"][:, 1]}
    reference = reference_point(np.concatenate([*values.values()]))
    lowest = min(row["loss"] for row in paper)
    return {
        "n_trials": {name: len(each) for name, each in values.items()},
        "ranked by": {
            target: {name: as_json(spearman(factor, found)) for name, factor in factors.items()}
            for target, found in targets.items()
        },
        "predicted": {
            target: {"paper's factors": predicted(few, found), "all": predicted(more, found)}
            for target, found in targets.items()
        },
        "drawn": {
            str(k): {
                "lowest loss": apart(values, k, lambda y: -float(y[:, 0].max())),
                "hypervolume": apart(values, k, lambda y: hypervolume(y, reference)),
            }
            for k in DRAWN
            if k <= min(len(each) for each in values.values())
        },
        "lowest loss": {"wide": min(row["loss"] for row in wide), "paper": lowest},
        "smallest": {
            name: min(
                (row["n_parameters"] for row in rows if row["loss"] <= lowest + LEVEL), default=None
            )
            for name, rows in {"wide": wide, "paper": paper}.items()
        },
    }


def factors_of(rows: Sequence[Row], space: InjectionSpace) -> dict[str, Values]:
    """Give what the thetas are, as numbers."""
    thetas = [space.config(row["params"]) for row in rows]
    sizes = np.array([row["n_parameters"] for row in rows], dtype=float)
    scalings = np.array([theta.scaling for theta in thetas])
    return {
        "parameters": sizes,
        "n": np.array([theta.n_loras for theta in thetas], dtype=float),
        "rank": np.array([theta.rank for theta in thetas], dtype=float),
        "layers": np.array([len(theta.ranks()) for theta in thetas], dtype=float),
        "scaling": scalings,
        "dropout": np.array([theta.dropout for theta in thetas]),
        "parameters times scaling": sizes * scalings,
    }


def values_of(rows: Sequence[Row]) -> Values:
    """Give loss and ROUGE-L, to be maximised, shape (n, 2)."""
    return np.array([[-row["loss"], row["rougeL"]] for row in rows])


def apart(values: dict[str, Values], k: int, best: Callable[[Values], float]) -> Row:
    """Give what k thetas of either space hold in the mean, and how far they are apart."""
    rng = np.random.default_rng(k)
    found: Row = {name: expected(each, k, best, rng) for name, each in values.items()}
    gaps = [
        expected(again(values["wide"], rng), k, best, rng, n_sets=20)
        - expected(again(values["paper"], rng), k, best, rng, n_sets=20)
        for _ in range(N_RESAMPLES)
    ]
    low, high = np.percentile(gaps, (2.5, 97.5))
    gap = found["wide"] - found["paper"]
    return found | {"wide less paper": {"value": gap, "low": float(low), "high": float(high)}}


def again(values: Values, rng: np.random.Generator) -> Values:
    """Draw as many trials again, with replacement."""
    return values[rng.integers(len(values), size=len(values))]


def expected(
    values: Values,
    k: int,
    best: Callable[[Values], float],
    rng: np.random.Generator,
    *,
    n_sets: int = N_SETS,
) -> float:
    """Average the best of k trials over sets drawn without replacement."""
    sets = [values[rng.permutation(len(values))[:k]] for _ in range(n_sets)]
    return float(np.mean([best(chosen) for chosen in sets]))


if __name__ == "__main__":
    main()
