"""The search loop on a function that stands for a model: budget, stop, resume, choice."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import log2
from pathlib import Path
from typing import Any

import optuna
import pytest
import time_machine

from lorecall.errors import StorageError
from lorecall.records import InjectionConfig, TrialOutcome
from lorecall.search import loop
from lorecall.search.loop import Search
from lorecall.search.outcome import Objectives, prior_of_trials
from lorecall.search.prior import Prior
from lorecall.search.space import InjectionSpace
from lorecall.settings import SearchSettings

N_LAYERS = 4
SPACE = InjectionSpace(n_layers=N_LAYERS, max_loras=4, ranks=(8, 16))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def finding(config: InjectionConfig) -> TrialOutcome:
    """Like modules in layer 1 best; more rank lowers the loss, fewer layers raise ROUGE-L."""
    ranks = config.ranks()
    loss = 4.0 - 0.5 * (1 in ranks) - 0.001 * sum(ranks.values())
    rouge_l = 10.0 + 2.0 * (1 in ranks) - 0.5 * len(ranks)
    return TrialOutcome(
        loss=loss,
        rouge_l=rouge_l,
        rouge_l_error=0.1,
        n_parameters=sum(ranks.values()),
        n_tokens=100,
        curve=((0.0, 5.0), (1.0, loss)),
        train_s=1.0,
        evaluate_s=0.5,
    )


def make_search(
    folder: Path, *, seed: int = 0, priors: Sequence[Prior] = (), **numbers: object
) -> Search:
    """Open the same study with cheap NUTS."""
    settings = SearchSettings(
        **{"trials": 5, "initial": 3, "warmup_steps": 8, "posterior_samples": 8, **numbers}
    )
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder / 'study.db'}"
    return Search(SPACE, settings=settings, seed=seed, storage=url, study_name="s", priors=priors)


def taking(
    seconds: float, clock: time_machine.Traveller
) -> Callable[[InjectionConfig], TrialOutcome]:
    """Return an objective that takes so long by a clock set forward, at once by any other."""

    def objective(config: InjectionConfig) -> TrialOutcome:
        clock.shift(seconds)
        return finding(config)

    return objective


def failing_after(n: int) -> Callable[[InjectionConfig], TrialOutcome]:
    """Return an objective that breaks at its n+1-th call."""
    left = n

    def objective(config: InjectionConfig) -> TrialOutcome:
        nonlocal left
        if left == 0:
            raise RuntimeError("the machine went away")
        left -= 1
        return finding(config)

    return objective


def test_budget_is_kept_and_everything_recorded(tmp_path: Path) -> None:
    """Five trials are tried, told one by one, and all of them are in the outcome."""
    told: list[int] = []
    outcome = make_search(tmp_path).run(finding, on_trial=lambda n, *_: told.append(n))
    assert told == [0, 1, 2, 3, 4]
    assert len(outcome.trials) == 5
    assert len(outcome.hypervolume.trace) == 5
    assert outcome.hypervolume.stopped == "the budget of 5 trials is spent"
    assert list(outcome.hypervolume.trace) == sorted(outcome.hypervolume.trace)
    for trial in outcome.trials:
        expected = finding(trial.config)
        assert trial.loss == expected.loss
        assert trial.n_parameters == expected.n_parameters
    by_number = {trial.number: trial for trial in outcome.trials}
    assert by_number[outcome.chosen].config == outcome.config
    assert by_number[outcome.chosen].on_front
    assert set(outcome.importance) == {"loss", "rougeL"}
    assert set(outcome.importance["loss"]) == {f"layer_{i:02d}" for i in range(4)} | {
        "n_loras",
        "rank",
    }


def test_no_two_trials_are_the_same_model(tmp_path: Path) -> None:
    """Configurations that come to the same pairs are tried once."""
    outcome = make_search(tmp_path, trials=12, initial=12).run(finding)
    models = [tuple(sorted(trial.config.ranks().items())) for trial in outcome.trials]
    assert len(set(models)) == len(models) == 12


def test_random_trials_alone_tell_no_importance(tmp_path: Path) -> None:
    """Without a suggestion of the surrogate there is nothing to say about the layers."""
    assert make_search(tmp_path, trials=3).run(finding).importance == {}


def test_broken_trial_is_no_trial_and_the_search_goes_on(tmp_path: Path) -> None:
    """An objective that raises ends the run; the next run keeps what was finished."""
    with pytest.raises(RuntimeError, match="went away"):
        make_search(tmp_path).run(failing_after(2))
    search = make_search(tmp_path)
    assert search.n_finished == 2
    calls: list[InjectionConfig] = []

    def counted(config: InjectionConfig) -> TrialOutcome:
        calls.append(config)
        return finding(config)

    assert len(search.run(counted).trials) == 5
    assert len(calls) == 3


def test_finished_search_tries_nothing_more(tmp_path: Path) -> None:
    """Run again, it gives the same outcome without a call."""
    first = make_search(tmp_path).run(finding)
    again = make_search(tmp_path).run(failing_after(0))
    assert again.trials == first.trials
    assert again.config == first.config


def test_search_stops_when_the_front_no_longer_grows(tmp_path: Path) -> None:
    """With objectives that never change, it stops after the rounds it watches."""

    def flat(config: InjectionConfig) -> TrialOutcome:
        found = finding(config)
        return TrialOutcome(
            loss=4.0,
            rouge_l=10.0,
            rouge_l_error=0.1,
            n_parameters=found.n_parameters,
            n_tokens=1,
            curve=found.curve,
            train_s=0.0,
            evaluate_s=0.0,
        )

    outcome = make_search(tmp_path, trials=30, initial=2, stop_rounds=2).run(flat)
    assert len(outcome.trials) == 4
    assert "grew by less than 1% in 2 rounds" in outcome.hypervolume.stopped


def test_used_up_space_ends_the_search(tmp_path: Path) -> None:
    """A space of one model ends after it, and says so."""
    space = InjectionSpace(n_layers=1, max_loras=1, ranks=(8,))
    search = Search(
        space,
        settings=SearchSettings(trials=9, initial=9),
        seed=0,
        storage=f"sqlite:///{tmp_path / 'study.db'}",
        study_name="s",
    )
    outcome = search.run(finding)
    assert len(outcome.trials) == 1
    assert "every configuration" in outcome.hypervolume.stopped


def test_the_best_of_another_search_is_tried_first(tmp_path: Path) -> None:
    """In place of random points; the surrogate suggests after them."""
    before = make_search(tmp_path / "a", trials=8, initial=8)
    found = before.run(finding)
    search = make_search(
        tmp_path / "b",
        trials=6,
        seed=1,
        priors=[prior_of_trials(found.trials, SPACE, Objectives())],
    )
    outcome = search.run(finding)
    fronts = [trial.config for trial in found.trials if trial.on_front]
    assert outcome.trials[0].config in fronts
    assert outcome.trials[0].suggest_s == 0
    assert outcome.trials[4].suggest_s > 0
    assert len(outcome.trials) == 6


def test_the_known_designs_are_tried_first(tmp_path: Path) -> None:
    """They count among the first trials; random ones follow, and the surrogate suggests as ever."""
    outcome = make_search(tmp_path, start="known").run(finding)
    designs = [SPACE.config(params) for params in SPACE.known_designs()]
    assert [trial.config for trial in outcome.trials[:2]] == designs
    random = make_search(tmp_path / "random").run(finding)
    assert not {*designs} & {trial.config for trial in random.trials[:2]}
    assert [trial.suggest_s > 0 for trial in outcome.trials] == [False] * 2 + [True] * 3


def test_a_search_that_stopped_between_the_designs_tries_each_once(tmp_path: Path) -> None:
    """Gone on with, it tries the one that is left, and no more than fit among the first trials."""
    with pytest.raises(RuntimeError, match="went away"):
        make_search(tmp_path, start="known").run(failing_after(1))  # its second one is broken
    outcome = make_search(tmp_path, start="known").run(finding)
    designs = [SPACE.config(params) for params in SPACE.known_designs()]
    assert {*designs} == {trial.config for trial in outcome.trials if trial.config in designs}
    assert len(outcome.trials) == len({trial.config for trial in outcome.trials}) == 5
    one = make_search(tmp_path / "one", start="known", trials=2, initial=1).run(finding)
    assert one.trials[0].config == designs[0]
    assert one.trials[1].config != designs[1]


def test_the_best_of_others_goes_before_the_known_designs(tmp_path: Path) -> None:
    """A prior's search has tried them already."""
    before = make_search(tmp_path / "a", trials=4, initial=4)
    found = before.run(finding)
    search = make_search(
        tmp_path / "b",
        start="known",
        trials=2,
        initial=2,
        priors=[prior_of_trials(found.trials, SPACE, Objectives())],
    )
    tried = {trial.config for trial in search.run(finding).trials}
    assert tried <= {trial.config for trial in found.trials}


def test_a_wider_space_with_a_third_objective(tmp_path: Path) -> None:
    """Scaling and few parameters: searched, told, chosen, and gone on with."""
    space = replace(SPACE, scalings=(1.0, 2.0))
    settings = SearchSettings(
        trials=6,
        initial=4,
        warmup_steps=8,
        posterior_samples=8,
        scalings=space.scalings,
        third_objective="parameters",
    )
    url = f"sqlite:///{tmp_path / 'study.db'}"

    def opened() -> Search:
        return Search(space, settings=settings, seed=0, storage=url, study_name="s")

    outcome = opened().run(finding)
    study = opened().study
    assert study.metric_names == ["loss", "rougeL", "log2_parameters"]
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE", "MINIMIZE"]
    for trial in outcome.trials:
        values = study.trials[trial.number].values
        assert values == [trial.loss, trial.rouge_l, log2(trial.n_parameters)]
    assert len({t.config.scaling for t in outcome.trials}) > 1
    assert len(outcome.hypervolume.reference) == 3
    worst = max(t.n_parameters for t in outcome.trials[:4])
    assert outcome.hypervolume.reference[2] > log2(worst)
    assert set(outcome.importance) == {"loss", "rougeL", "log2_parameters"}
    assert "scaling" in outcome.importance["loss"]
    fewest = min(outcome.trials, key=lambda t: (t.n_parameters, t.loss))
    assert fewest.on_front
    on_front = [t for t in outcome.trials if t.on_front]
    assert max(t.rouge_l for t in on_front) == max(t.rouge_l for t in outcome.trials)
    chosen = next(t for t in outcome.trials if t.number == outcome.chosen)
    assert chosen.config == outcome.config
    assert chosen.on_front
    again = opened().run(failing_after(0))
    assert again.trials == outcome.trials


def test_a_study_with_two_objectives_is_not_gone_on_with_three(tmp_path: Path) -> None:
    """Its trials have no third value."""
    make_search(tmp_path)
    with pytest.raises(StorageError, match="objectives"):
        make_search(tmp_path, third_objective="parameters")


def test_processes_that_ask_at_once_keep_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another takes the last of it between one's look and its ask: that trial is given back."""
    other = make_search(tmp_path, trials=4)
    make_search(tmp_path, trials=3).run(finding)
    asked, tried = loop.ask, list[InjectionConfig]()

    def late(study: optuna.Study, *arguments: Any, **options: Any) -> optuna.Trial:
        monkeypatch.setattr(loop, "ask", asked)
        other.run(finding)
        return asked(study, *arguments, **options)

    monkeypatch.setattr(loop, "ask", late)

    def noting(config: InjectionConfig) -> TrialOutcome:
        tried.append(config)
        return finding(config)

    outcome = make_search(tmp_path, trials=4).run(noting)
    assert tried == []
    assert len(outcome.trials) == 4
    assert outcome.hypervolume.stopped == "the budget of 4 trials is spent"
    assert other.at_work == 0


def test_a_budget_in_minutes_is_kept(tmp_path: Path) -> None:
    """Trials of a minute for half an hour: over within a tenth of that."""
    search = make_search(tmp_path, trials=500, initial=500, budget_min=30)
    with time_machine.travel(NOON) as clock:
        outcome = search.run(taking(60, clock))
        took_s = time.time() - NOON.timestamp()
        again = make_search(tmp_path, trials=500, initial=500, budget_min=30)
        goes_on = again.run(taking(60, clock))
    assert took_s == pytest.approx(1800, rel=0.1)
    assert outcome.hypervolume.stopped == "the budget of 30 minutes is spent"
    assert len(goes_on.trials) <= len(outcome.trials) + 1  # what was spent in trials counts
