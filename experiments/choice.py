"""Which point of a finished search becomes the memory, and what that does to the test scores.

A bench chose, from every person's search, the point of the highest validation ROUGE-L within one
standard error (SPEC section 4); its scores are the bench's own. Beside it, trained and read in the
same way:

- loss: the trial of the lowest validation loss, its ROUGE-L left out of account.

Where both are the same theta, nothing is trained again. Writes `results/choice.json` after every
person, so that it may be stopped.

    python experiments/choice.py BENCH
"""

import argparse
import json
import os
from pathlib import Path

from memories import Row
from what_is_learnt import Tried, interval_rows, pooled_scores

from lorecall import BaseModel, Memory, load_history
from lorecall.device import cpu_name, set_threads
from lorecall.evaluate.bench.scores import CellScores, finished_cells
from lorecall.evaluate.searched import MEMORY, search_in
from lorecall.files import write_json
from lorecall.metrics.scores import METRICS, mean_scores, paired_scores
from lorecall.results import Trial

OUT = Path(__file__).parent / "results" / "choice.json"
CONTROL = "default-lora"


def main() -> None:
    """Train what another choice would have, person by person, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path, help="a bench's folder")
    options = parser.parse_args()
    set_threads()
    base = BaseModel.load()
    known: dict[str, Row] = json.loads(OUT.read_text())["people"] if OUT.exists() else {}
    cells = {(s.cell.user, s.cell.system): s for s in finished_cells(options.bench)}
    for folder in sorted((options.bench / "memories").iterdir()):
        user = Memory.load(folder).manifest.training.user
        if user in known or (user, CONTROL) not in cells:
            continue
        found = {name: cells[user, name] for name in (MEMORY, CONTROL)}
        known[user] = of_person(base, folder, found)
        write_json(OUT, report(known, base))
        print(user, json.dumps(known[user]["thetas"], indent=1), flush=True)


def of_person(base: BaseModel, folder: Path, cells: dict[str, CellScores]) -> Row:
    """Read the bench's scores, and train the theta of the lowest loss where it is another."""
    search = search_in(folder)
    chosen, lowest = search.trials[search.chosen], min(search.trials, key=lambda t: t.loss)
    scores: Row = {
        name: {metric: list(getattr(cell.scores, metric)) for metric in METRICS}
        for name, cell in cells.items()
    }
    scores["loss"] = scores[MEMORY]
    if lowest.number != chosen.number:
        training = Memory.load(folder).manifest.training
        person = Tried(base, load_history(training.dataset, user=training.user))
        person.try_theta("loss", lowest.config, ("pairs",))
        scores["loss"] = person.scores["loss, pairs"]
    return {
        "is the same": lowest.number == chosen.number,
        "thetas": {MEMORY: theta(chosen), "loss": theta(lowest)},
        "scores": scores,
    }


def theta(trial: Trial) -> Row:
    """Say what a trial was and found."""
    config = trial.config
    return {
        "layers": list(config.layers),
        "n_loras": config.n_loras,
        "rank": config.rank,
        "valid_loss": round(trial.loss, 3),
        "valid_rougeL": round(trial.rougeL, 2),
    }


def report(people: dict[str, Row], base: BaseModel) -> dict[str, object]:
    """Put everything together, over all samples."""
    names = (CONTROL, MEMORY, "loss")
    whole = {name: pooled_scores([p["scores"][name] for p in people.values()]) for name in names}
    bootstrap = {"n_resamples": 10_000, "seed": 0}
    pairs = (("loss", MEMORY), (MEMORY, CONTROL), ("loss", CONTROL))
    return {
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count()},
        "settings": {"model": base.name, "dtype": str(base.dtype), "preset": "laptop"},
        "n_people": len(people),
        "n_same": sum(person["is the same"] for person in people.values()),
        "n_samples": len(whole[MEMORY].loss),
        "means": {n: interval_rows(mean_scores(s, **bootstrap)) for n, s in whole.items()},
        "differences": {
            f"{one} less {other}": interval_rows(
                paired_scores(whole[one], whole[other], **bootstrap)
            )
            for one, other in pairs
        },
        "people": people,
    }


if __name__ == "__main__":
    main()
