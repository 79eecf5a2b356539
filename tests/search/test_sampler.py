"""The Optuna sampler."""

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from lorecall.errors import ConfigError, SpaceExhaustedError
from lorecall.search.discrete import DiscreteSpace
from lorecall.search.front import hypervolume, to_maximise
from lorecall.search.observations import SUGGESTED
from lorecall.search.options import AcquisitionSettings, McmcSettings, SamplerOptions
from lorecall.search.sampler import SUGGEST_S, SaasNehviSampler

Make = Callable[..., SaasNehviSampler]
Run = Callable[[optuna.Study, int], None]
Kinds = dict[str, BaseDistribution]
BOTH = ["minimize", "maximize"]


def params_of(study: optuna.Study) -> list[tuple[object, ...]]:
    """Return the parameters of every trial that did not fail."""
    alive = [t for t in study.trials if t.state != TrialState.FAIL]
    return [tuple(trial.params.values()) for trial in alive]


@pytest.mark.parametrize("directions", [BOTH, ["minimize"], ["maximize"], [*BOTH, "minimize"]])
def test_any_number_of_objectives(
    directions: list[str], make_sampler: Make, distributions: Kinds
) -> None:
    """One, two and three objectives of any direction are searched, no point twice."""
    study = optuna.create_study(directions=directions, sampler=make_sampler())
    for _ in range(7):
        trial = study.ask(distributions)
        on = [float(trial.params[f"on_{i}"]) for i in range(3)]
        study.tell(trial, on[: len(directions)])
    assert len(set(params_of(study))) == 7


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_the_direction_is_respected(
    direction: str, sign: int, make_sampler: Make, distributions: Kinds
) -> None:
    """The same problem turned round gives the same suggestions, and they are good."""
    study = optuna.create_study(direction=direction, sampler=make_sampler(n_initial=6))
    for _ in range(14):
        trial = study.ask(distributions)
        loss = 3.0 - 2 * trial.params["on_0"] - trial.params["on_1"]
        study.tell(trial, sign * loss)
    later = [sign * trial.value for trial in study.trials[8:]]
    assert np.mean(later) < 0.8  # random points have 1.5


def test_only_valid_points_and_no_model_twice(make_sampler: Make, run: Run) -> None:
    """Random or not, suggestions are valid and no two of them come to the same."""

    def is_candidate(params: dict[str, object]) -> bool:
        return bool(params["on_0"] or params["on_1"])

    def same_as(params: dict[str, object]) -> object:
        return (params["on_0"], params["on_1"], params["amount"])

    study = optuna.create_study(
        directions=BOTH,
        sampler=make_sampler(is_candidate=is_candidate, same_as=same_as, n_initial=8, repeat=False),
    )
    run(study, 15)  # all there are: 3 pairs of switches, 5 amounts
    assert all(is_candidate(trial.params) for trial in study.trials)
    assert len({same_as(trial.params) for trial in study.trials}) == 15
    with pytest.raises(SpaceExhaustedError) as caught:
        run(study, 1)
    assert caught.value.trial_number == 15


@pytest.mark.parametrize("given", [("canonical",), ()])
def test_the_surrogate_is_shown_one_point_a_configuration(
    given: tuple[str, ...], make_sampler: Make, distributions: Kinds
) -> None:
    """Trials told with parameters that come to the same lead to the same suggestion."""

    def canonical(params: dict[str, bool | int | float]) -> dict[str, bool | int | float]:
        return {**params, "on_2": False}

    def suggested(*, twins: bool) -> dict[str, object]:
        sampler = make_sampler(
            same_as=lambda params: tuple(canonical(params).items()),
            canonical=canonical if given else None,
            n_initial=4,
        )
        study = optuna.create_study(directions=BOTH, sampler=sampler)
        for i in range(8):
            params = {name: kind.to_external_repr(0) for name, kind in distributions.items()}
            params |= {"on_0": i % 2 == 0, "on_2": twins and i % 3 == 0, "amount": i % 5}
            values = [float(i % 2 + i % 5), float(i)]
            study.add_trial(create_trial(params=params, distributions=distributions, values=values))
        return study.ask(distributions).params

    assert (suggested(twins=True) == suggested(twins=False)) == bool(given)


def test_pending_points_are_not_suggested_again(make_sampler: Make, distributions: Kinds) -> None:
    """Trials asked for before any is told, and queued ones, are all different."""
    study = optuna.create_study(directions=BOTH, sampler=make_sampler(n_initial=3))
    for i in range(3):
        study.tell(study.ask(distributions), [float(i), float(-i)])
    queued = {name: kind.to_external_repr(0) for name, kind in distributions.items()}
    asked = [study.ask(distributions) for _ in range(5)]
    study.enqueue_trial(queued)
    assert len(set(params_of(study)[:-1])) == 8
    assert all(trial.params != queued for trial in asked)
    assert study.ask(distributions).params == queued


def test_failed_points_are_not_suggested_again(make_sampler: Make) -> None:
    """A point that failed would fail again; it is no data either."""
    allowed = {f"on_{i}": CategoricalDistribution([False, True]) for i in range(2)}
    study = optuna.create_study(
        direction="minimize", sampler=make_sampler(search_space=allowed, n_initial=9, repeat=False)
    )
    asked = [study.ask(allowed) for _ in range(4)]
    study.tell(asked[0], state=TrialState.FAIL)
    assert len({tuple(trial.params.values()) for trial in asked}) == 4
    with pytest.raises(SpaceExhaustedError):
        study.ask(allowed)


def test_a_resumed_study_goes_on_the_same_way(make_sampler: Make, run: Run) -> None:
    """A new sampler on the same study suggests what the old one would have."""
    whole = optuna.create_study(directions=BOTH, sampler=make_sampler(seed=5))
    run(whole, 8)
    storage = optuna.storages.InMemoryStorage()
    for _ in range(4):
        part = optuna.create_study(
            study_name="part",
            storage=storage,
            directions=BOTH,
            sampler=make_sampler(seed=5),
            load_if_exists=True,
        )
        run(part, 2)
    assert params_of(part) == params_of(whole)


def test_another_seed_is_another_search(make_sampler: Make, run: Run) -> None:
    """The seed decides the random points."""
    studies = [
        optuna.create_study(directions=BOTH, sampler=make_sampler(seed=seed)) for seed in (1, 2)
    ]
    for study in studies:
        run(study, 4)
    assert params_of(studies[0]) != params_of(studies[1])


def test_the_space_can_be_inferred(
    make_sampler: Make, distributions: Kinds, evaluate: Callable[..., tuple[float, float]]
) -> None:
    """Without a given space, what finished trials share is searched."""
    sampler = make_sampler(search_space=None, n_initial=3)
    study = optuna.create_study(directions=BOTH, sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        return evaluate({name: trial._suggest(name, kind) for name, kind in distributions.items()})

    study.optimize(objective, n_trials=6)
    assert SUGGESTED not in study.trials[0].system_attrs
    assert study.trials[5].system_attrs[SUGGESTED] == study.trials[5].params
    assert len(set(params_of(study))) == 6


@pytest.mark.parametrize("given", [("search_space",), ()])
def test_a_parameter_that_cannot_be_modelled_is_drawn(
    given: tuple[str, ...], make_sampler: Make, distributions: Kinds, light: SamplerOptions
) -> None:
    """It is random and reproducible, and its name is warned of once."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        return x, trial.suggest_int("amount", 0, 4)

    drawn: list[list[float]] = []
    for _ in range(2):
        space = distributions if given else None
        sampler = make_sampler(seed=3, search_space=space, n_initial=2, options=light)
        study = optuna.create_study(directions=BOTH, sampler=sampler)
        with pytest.warns(UserWarning, match="x is drawn independently") as caught:
            study.optimize(objective, n_trials=4)
        assert len(caught) == 1
        assert "x" not in study.trials[-1].system_attrs[SUGGESTED]
        drawn.append([trial.params["x"] for trial in study.trials])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 4


def test_kinds_of_parameters_are_modelled_together(
    make_sampler: Make, light: SamplerOptions
) -> None:
    """A logarithm, steps and names: suggested jointly, of their own types, no two alike."""
    sampler = make_sampler(search_space=None, n_initial=3, options=light)
    study = optuna.create_study(directions=BOTH, sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        n = trial.suggest_int("n", 1, 100, log=True)
        share = trial.suggest_float("share", 0.0, 1.0, step=0.1)
        name = trial.suggest_categorical("name", ["a", "b", None])
        return n * share, float(name is None)

    study.optimize(objective, n_trials=8)
    assert len({*params_of(study)}) == 8
    for trial in study.trials[3:]:
        assert trial.system_attrs[SUGGESTED] == trial.params
        assert [type(trial.params[name]) for name in ("n", "share")] == [int, float]


def test_seconds_are_recorded(make_sampler: Make, run: Run) -> None:
    """How long a suggestion took is in the sampler and in the trial."""
    sampler = make_sampler()
    study = optuna.create_study(directions=BOTH, sampler=sampler)
    run(study, 5)
    assert sampler.last_suggest_s > 0
    assert study.trials[-1].system_attrs[SUGGEST_S] == sampler.last_suggest_s


def test_a_given_space_that_cannot_be_modelled_is_refused(make_sampler: Make) -> None:
    """Whoever says what is to be modelled hears at once that it cannot be."""
    with pytest.raises(ConfigError, match="parameter x must be discrete"):
        make_sampler(search_space={"x": FloatDistribution(0, 1)})


@pytest.mark.parametrize("n_initial", [2, 9])
def test_what_was_tried_is_suggested_again_where_nothing_is_left(
    n_initial: int, make_sampler: Make, light: SamplerOptions
) -> None:
    """Random or not, a study goes on after its last point: a second look at noise is worth it."""
    kinds: Kinds = {"a": CategoricalDistribution([False, True]), "b": IntDistribution(0, 1)}
    sampler = make_sampler(search_space=kinds, n_initial=n_initial, options=light)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    for _ in range(6):
        trial = study.ask(kinds)
        study.tell(trial, trial.params["a"] + trial.params["b"])
    assert len({tuple(params) for params in params_of(study)[:4]}) == 4
    assert {*params_of(study)[4:]} <= {*params_of(study)[:4]}


def test_a_sparse_set_of_candidates_is_searched_to_its_end(
    make_sampler: Make, distributions: Kinds, run: Run
) -> None:
    """Nothing else is suggested, at random or not; the better ones come before the worse."""
    space = DiscreteSpace(distributions)
    drawn = space.random(16, np.random.default_rng(1))
    candidates = [space.params(point) for point in drawn]
    study = optuna.create_study(
        directions=BOTH,
        sampler=make_sampler(candidates=candidates, n_initial=8, repeat=False),
    )
    run(study, 16)
    assert {*params_of(study)} == {tuple(params.values()) for params in candidates}
    values = to_maximise([trial.values for trial in study.trials], study.directions).sum(axis=1)
    assert values[8:12].mean() > values[12:].mean()
    with pytest.raises(SpaceExhaustedError):
        run(study, 1)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"candidates": []}, "got no candidate"),
        ({"candidates": [{"on_0": True}]}, "parameters must be a point of the space"),
        ({"candidates": [{"on_0": True}], "search_space": None}, "got no search_space"),
    ],
)
def test_candidates_that_cannot_be_are_refused(
    wrong: dict[str, object], line: str, make_sampler: Make
) -> None:
    """Before any trial."""
    with pytest.raises(ConfigError, match=line):
        make_sampler(**wrong)


@pytest.mark.parametrize("wrong", [{"n_initial": 0}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, int], make_sampler: Make) -> None:
    """A bad number is refused before any trial."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        make_sampler(**wrong)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (McmcSettings, {"warmup_steps": 0}),
        (McmcSettings, {"thinning": 0}),
        (McmcSettings, {"posterior_samples": 2, "thinning": 4}),
        (McmcSettings, {"max_tree_depth": 0}),
        (AcquisitionSettings, {"mc_samples": 0}),
        (AcquisitionSettings, {"n_swaps": -1}),
    ],
)
def test_settings_out_of_range_are_refused(settings: type, wrong: dict[str, int]) -> None:
    """So is a bad number of NUTS or of the acquisition."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        settings(**wrong)


def test_it_finds_more_than_random_points(
    make_sampler: Make, run: Run, quick: SamplerOptions
) -> None:
    """After 20 trials the mean hypervolume is well above that of 20 random trials."""
    reference = np.array([-3.5, -0.5])

    def found(seed: int, n_initial: int) -> float:
        sampler = make_sampler(seed=seed, n_initial=n_initial, options=quick)
        study = optuna.create_study(directions=BOTH, sampler=sampler)
        run(study, 20)
        return hypervolume(
            to_maximise([t.values for t in study.trials], study.directions), reference
        )

    random = np.mean([found(seed, 20) for seed in range(20)])
    ours = np.mean([found(seed, 8) for seed in range(3)])
    assert ours > random * 1.05
