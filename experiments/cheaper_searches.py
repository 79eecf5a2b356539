"""What the cheaper searches cost and bring on real people, against finished full searches.

The full searches are a bench's (`lorecall bench`, laptop preset; its folder `memories`, a folder a
person). From them:

- replayed: trials in the order they were done, each stopped where `--early-stop` would have stopped
  it. What a stopped trial found counts for nothing, so the hypervolume is a lower bound; what the
  search would have suggested instead is not replayed.
- readings: how well the validation loss at each reading, and every trial's own lowest loss so far,
  ranks the trials as their final objectives do (Spearman).

With `--search` two searches are run for each person, of which only the trials are done:

- screened: `--screen` cheap trials, then full trials until a third of the full search's tokens is
  spent.
- warm: started from all other people's full searches, a third of the trials.

All hypervolumes are above the full search's own reference point. People are appended one by one.

    python experiments/cheaper_searches.py BENCH/memories --search
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from machine import machine
from scipy.stats import spearmanr

from lorecall import BaseModel, Memory, load_history, preset
from lorecall.core.files import write_json
from lorecall.learn.readings import prior_of_trials
from lorecall.learn.result import Hypervolume, Trial
from lorecall.learn.search import Plan, Searching, space_of
from lorecall.lm.device import set_threads
from lorecall.records import History
from lorecall.search.early_stop import is_hopeless
from lorecall.search.front import hypervolume
from lorecall.search.outcome import Aims, SearchOutcome
from lorecall.search.prior import Prior
from lorecall.settings import LearnSettings
from lorecall.systems.searched import search_in

OUT = Path(__file__).parent / "results" / "cheaper_searches.json"
SCREEN = 6
THIRD = 1 / 3


def main() -> None:
    """Replay, search where asked to, and write everything that is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="folder of finished runs")
    parser.add_argument("--search", action="store_true", help="also run the cheaper searches")
    options = parser.parse_args()
    set_threads()
    full = {person.user: person for person in map(full_search, sorted(options.runs.iterdir()))}
    known: dict[str, Any] = json.loads(OUT.read_text())["people"] if OUT.exists() else {}
    base = BaseModel.load() if options.search else None
    for user, result in full.items():
        person = known.setdefault(user, {})
        person |= {"full": summary(result.trials, result), **replayed(result)}
        write_json(OUT, report(known, full))
        if base is not None:
            others = [other for name, other in full.items() if name != user]
            for name, run in (("screened", screened), ("warm", warm)):
                if name not in person:
                    person[name] = run(base, result, others)
                    write_json(OUT, report(known, full))
                    print(user, name, person[name], flush=True)
    print(json.dumps(report(known, full)["over people"], indent=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """A person's finished full search."""

    history: History
    seed: int
    trials: tuple[Trial, ...]
    hypervolume: Hypervolume

    @property
    def user(self) -> str:
        """Whose it is."""
        return self.history.user


def full_search(folder: Path) -> Full:
    """Read a search that a bench kept."""
    found, training = search_in(folder), Memory.load(folder).manifest.training
    return Full(
        history=load_history(training.dataset, user=training.user),
        seed=training.seed,
        trials=found.trials,
        hypervolume=found.hypervolume,
    )


def replayed(result: Full) -> dict[str, Any]:
    """Stop every trial where the median rule would have, and rank trials by early readings."""
    finished: list[Trial] = []
    tokens, n_stopped = 0.0, 0
    for i, trial in enumerate(result.trials):
        losses = [loss for _, loss in trial.curve]
        curves = [[loss for _, loss in other.curve] for other in result.trials[:i]]
        stops = [k for k in range(1, len(losses)) if is_hopeless(losses[: k + 1], curves)]
        n_stopped += bool(stops and stops[0] < len(losses) - 1)
        share = stops[0] / (len(losses) - 1) if stops else 1.0
        tokens += share * trial.train_tokens
        if share == 1.0:
            finished.append(trial)
    early = {
        "hypervolume_share": share_of(finished, result),
        "tokens_share": tokens / sum(trial.train_tokens for trial in result.trials),
        "n_stopped": n_stopped,
    }
    return {"early stop, replayed": early, "readings": readings(result)}


def readings(result: Full) -> dict[str, Any]:
    """Correlate the loss at each reading with what the trial came to."""
    found: dict[str, Any] = {}
    n_readings = min(len(trial.curve) for trial in result.trials)
    for k in range(1, n_readings):
        at_k = [trial.curve[k][1] for trial in result.trials]
        epoch = result.trials[0].curve[k][0]
        found[f"epoch {epoch:.2f}"] = {
            "loss": rank_correlation(at_k, [trial.loss for trial in result.trials]),
            "-rougeL": rank_correlation(at_k, [-trial.rougeL for trial in result.trials]),
        }
    return found


def screened(base: BaseModel, result: Full, others: list[Full]) -> dict[str, Any]:  # noqa: ARG001 - one signature for both
    """Search with a screening, for a third of the full search's tokens."""
    cheap_epochs = 1
    samples = settings_of(result).search.samples or 32
    epochs = settings_of(result).search.epochs or 2
    budget = THIRD * len(result.trials) * samples * epochs
    n_full = max(1, int((budget - SCREEN * 16 * cheap_epochs) // (samples * epochs)))
    search = replace(
        settings_of(result).search, screen=SCREEN, trials=n_full, initial=n_full, early_stop=True
    )
    return searched(base, result, replace(settings_of(result), search=search), ())


def warm(base: BaseModel, result: Full, others: list[Full]) -> dict[str, Any]:
    """Search from the others' finished searches, with a third of the trials."""
    settings = settings_of(result)
    space = space_of(base.n_layers, base.max_rank, settings.search)
    n = max(1, int(len(result.trials) * THIRD))
    search = replace(settings.search, trials=n, initial=min(n, settings.search.initial))
    priors = tuple(prior_of_trials(other.trials, space, Aims()) for other in others)
    found = searched(base, result, replace(settings, search=search), priors)
    return found | {"n_others": len(others)}


def searched(
    base: BaseModel, result: Full, settings: LearnSettings, priors: tuple[Prior, ...]
) -> dict[str, Any]:
    """Run a search alone and compare it with the full one."""
    history = result.history
    searching = Searching(base, history, settings)
    losses = searching.full.trials.losses(searching.full.data.valid)
    with TemporaryDirectory() as folder:
        plan = Plan(
            history=history,
            settings=settings,
            storage=f"sqlite:///{folder}/study.db",
            study_name="cheaper",
            vanilla_loss=sum(losses) / len(losses),
            priors=priors,
        )
        screen, cheap = None, None
        if settings.search.screen:
            screen = searching.open_screen(plan)
            cheap = screen.run(searching.objective(searching.cheap, plan, screen))
        search = searching.open_main(plan, screen)
        found = search.run(searching.objective(searching.full, plan, search))
    row = summary(found.trials, result)
    row["tokens_share"] = (tokens_of(found) + (tokens_of(cheap) if cheap else 0)) / sum(
        trial.train_tokens for trial in result.trials
    )
    if cheap is not None:
        row["n_screened"] = len(cheap.trials)
    return row


def summary(trials: tuple[Trial, ...], full: Full) -> dict[str, Any]:
    """Say what trials came to, above the full search's reference point."""
    return {
        "n_trials": len(trials),
        "hypervolume_share": share_of(trials, full),
        "tokens": sum(trial.train_tokens for trial in trials),
        "best_loss": min(trial.loss for trial in trials),
        "best_rougeL": max(trial.rougeL for trial in trials),
    }


def share_of(trials: Any, full: Full) -> float:
    """Give the hypervolume as a share of the full search's last."""
    loss, rouge_l = full.hypervolume.reference
    values = np.array([[-trial.loss, trial.rougeL] for trial in trials]).reshape(-1, 2)
    return hypervolume(values, np.array([-loss, rouge_l])) / full.hypervolume.trace[-1]


def tokens_of(outcome: SearchOutcome) -> int:
    """Add up what was trained on."""
    return sum(trial.train_tokens for trial in outcome.trials)


def settings_of(result: Full) -> LearnSettings:
    """Give the full search's settings: a bench's of as many trials."""
    return preset("laptop", trials=len(result.trials), seed=result.seed)


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Give Spearman's rank correlation."""
    return float(spearmanr(a, b).statistic)


def report(people: dict[str, Any], full: dict[str, Full]) -> dict[str, Any]:
    """Put everything together, with medians over people."""
    medians: dict[str, Any] = {}
    for name in ("early stop, replayed", "screened", "warm"):
        rows = [person[name] for person in people.values() if name in person]
        if rows:
            medians[name] = {"n_people": len(rows)} | {
                key: float(np.median([row[key] for row in rows]))
                for key in ("hypervolume_share", "tokens_share")
            }
    for name in sorted({name for person in people.values() for name in person["readings"]}):
        rows = [p["readings"][name] for p in people.values() if name in p["readings"]]
        medians[f"rank correlation, {name}"] = {"n_people": len(rows)} | {
            key: float(np.nanmedian([row[key] for row in rows])) for key in ("loss", "-rougeL")
        }
    one = next(iter(full.values()))
    return {
        "machine": machine(),
        "settings": {"dataset": one.history.dataset, "learn": settings_of(one).as_json()},
        "over people": medians,
        "people": people,
    }


if __name__ == "__main__":
    main()
