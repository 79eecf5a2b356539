"""Optuna's own conformance cases for samplers, as it ships them."""

from collections.abc import Callable

import pytest
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.testing import pytest_samplers as cases

from lorecall.search.discrete import levels_of
from lorecall.search.options import AcquisitionSettings, SamplerOptions
from lorecall.search.sampler import SaasNehviSampler

pytestmark = pytest.mark.filterwarnings("ignore:. is drawn independently:UserWarning")
Make = Callable[[], BaseSampler]


class Ours:
    """Samplers whose surrogate suggests from the third trial on, quickly."""

    @pytest.fixture
    def sampler(self) -> Make:
        """Return how to make one."""
        options = SamplerOptions(
            acquisition=AcquisitionSettings(mc_samples=4, n_random=1, n_pool=16, max_steps=2),
            surrogate="map",
        )
        return lambda: SaasNehviSampler(n_initial=2, options=options)


class TestBasic(Ours, cases.BasicSamplerTestCase):
    """One objective: kinds of parameters, changing spaces, NaN, fixed parameters."""


class TestMultiObjective(Ours, cases.MultiObjectiveSamplerTestCase):
    """Independent draws where there are several objectives."""


class TestRelative(Ours, cases.RelativeSamplerTestCase):
    """Joint suggestions of what is modelled; a continuum is never asked for jointly."""

    @pytest.fixture(autouse=True)
    def _modelled(self, request: pytest.FixtureRequest) -> None:
        given = getattr(request.node, "callspec", None)
        for kind in given.params.values() if given else ():
            if isinstance(kind, BaseDistribution) and levels_of(kind) is None:
                pytest.skip(f"{kind} is not modelled, so never in a space to sample jointly")
