"""A search's best points trained in full, and the memory chosen from them: does that pay?

A laptop's trials see few samples for few steps, so they rank thetas by how fast they learn. Here a
few points of every finished search are trained on the whole training part, as the memory is, and
the one of the lowest validation loss *then* is taken:

- chosen: the search's choice (highest validation ROUGE-L within one standard error, SPEC section
  4): the memory of the bench.
- lowest, second: the two trials of the lowest validation loss.
- lora: the default LoRA, the control.

Where they are the same theta, it is trained once. Writes `results/finalists.json` after every
person, so that it may be stopped.

    python experiments/finalists.py BENCH/memories
"""

import os
from collections.abc import Mapping
from pathlib import Path

from memories import Row, over_people
from what_is_learnt import SETTINGS, Tried, interval_rows, means, pooled_scores

from lorecall import BaseModel, InjectionConfig, Memory, load_history
from lorecall.device import cpu_name
from lorecall.evaluate.searched import search_in
from lorecall.metrics.scores import mean_scores, paired_scores
from lorecall.records import default_lora
from lorecall.results import Trial

OUT = Path(__file__).parent / "results" / "finalists.json"
CHOSEN, LORA = "chosen", "lora"
RULES: Mapping[str, tuple[str, ...]] = {
    "best of three": (CHOSEN, "lowest", "second"),
    "best of three and the control": (CHOSEN, "lowest", "second", LORA),
}
PAIRS = (
    (CHOSEN, LORA),
    ("lowest", CHOSEN),
    *((rule, other) for rule in RULES for other in (CHOSEN, LORA)),
)


def main() -> None:
    """Train every person's finalists, then compare the choices."""
    over_people(OUT, __doc__, of_person=of_person, report=report)


def of_person(base: BaseModel, memory: Memory, folder: Path) -> Row:
    """Train and read one person's finalists."""
    training = memory.manifest.training
    person = Tried(base, load_history(training.dataset, user=training.user))
    search = search_in(folder)
    lowest, second = sorted(search.trials, key=lambda trial: trial.loss)[:2]
    chosen = next(trial for trial in search.trials if trial.number == search.chosen)
    trials = {CHOSEN: chosen, "lowest": lowest, "second": second}
    thetas = {name: t.config for name, t in trials.items()} | {LORA: default_lora(base.n_layers)}
    person.score(CHOSEN, memory.config, memory.tensors)
    by_theta: dict[InjectionConfig, str] = {memory.config: CHOSEN}
    for name, theta in thetas.items():
        if theta not in by_theta:
            by_theta[theta] = name
            person.try_theta(name, theta, ("pairs",))
            for scores in (person.scores, person.valid_scores):
                scores[name] = scores.pop(f"{name}, pairs")
    for name, theta in thetas.items():
        for scores in (person.scores, person.valid_scores):
            scores[name] = scores[by_theta[theta]]
    valid = {name: means(scores) for name, scores in person.valid_scores.items()}
    taken = {rule: min(names, key=lambda n: valid[n]["loss"]) for rule, names in RULES.items()}
    return {
        "n_train": len(person.split.train),
        "n_valid": len(person.split.valid),
        "n_test": len(person.split.test),
        "trials": {name: _row(trial) for name, trial in trials.items()},
        "taken": taken,
        "valid": valid,
        "mean": {name: means(scores) for name, scores in person.scores.items()},
        "scores": person.scores,
    }


def _row(trial: Trial) -> Row:
    config = trial.config
    return {
        "layers": list(config.layers),
        "n_loras": config.n_loras,
        "rank": config.rank,
        "loss": round(trial.loss, 3),
        "rougeL": round(trial.rougeL, 2),
    }


def report(people: dict[str, Row], base: BaseModel) -> dict[str, object]:
    """Put everything together, over all samples."""
    names = (CHOSEN, "lowest", "second", LORA)
    whole = {name: pooled_scores([p["scores"][name] for p in people.values()]) for name in names}
    for rule in RULES:
        parts = [person["scores"][person["taken"][rule]] for person in people.values()]
        whole[rule] = pooled_scores(parts)
    bootstrap = {"n_resamples": 10_000, "seed": 0}
    return {
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count()},
        "settings": {"model": base.name, "dtype": str(base.dtype), "preset": SETTINGS.preset},
        "n_people": len(people),
        "n_samples": len(whole[CHOSEN].loss),
        "means": {n: interval_rows(mean_scores(s, **bootstrap)) for n, s in whole.items()},
        "differences": {
            f"{one} less {other}": interval_rows(
                paired_scores(whole[one], whole[other], **bootstrap)
            )
            for one, other in PAIRS
        },
        "people": people,
    }


if __name__ == "__main__":
    main()
