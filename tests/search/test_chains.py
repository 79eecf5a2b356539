"""Where a chain ended, as an attribute of a trial and back."""

import json

import numpy as np
import optuna
import pytest

from lorecall.search.chains import CHAINS, ChainState, last_draws


@pytest.fixture
def state() -> ChainState:
    """Return a state of three inputs."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(7, 7))
    return ChainState(size=16, position=rng.normal(size=7), mass=root @ root.T, step=0.25)


def test_a_state_comes_back_from_json(state: ChainState) -> None:
    """To fp32; the matrix is whole and symmetric again."""
    back = ChainState.from_json(json.loads(json.dumps(state.as_json())))
    assert (back.size, back.step) == (16, 0.25)
    np.testing.assert_allclose(back.position, state.position, rtol=1e-6)
    np.testing.assert_allclose(back.mass, state.mass, rtol=1e-5, atol=1e-6)
    assert (back.mass == back.mass.T).all()


def test_a_search_of_thirty_layers_stays_small() -> None:
    """36 hyperparameters take less than 4 kB a trial and objective."""
    state = ChainState(size=112, position=np.zeros(36), mass=np.eye(36), step=0.1)
    assert len(json.dumps(state.as_json())) < 4096


def test_the_last_suggestion_before_a_trial_counts(state: ChainState) -> None:
    """Later ones and trials without a suggestion do not; without any there is none."""
    study = optuna.create_study()
    trials = [study.ask() for _ in range(4)]
    storage = study._storage
    assert last_draws(study.trials, before=4) == []
    for trial, step in ((trials[0], 0.1), (trials[1], 0.2), (trials[3], 0.4)):
        value = {**state.as_json(), "step": step}
        storage.set_trial_system_attr(trial._trial_id, CHAINS, [value])
    assert [s.step for s in last_draws(study.trials, before=3)] == [0.2]
    assert [s.step for s in last_draws(study.trials, before=1)] == [0.1]
