"""Candidates trained side by side, with what they learnt."""

from collections.abc import Sequence
from typing import Protocol

import pytest

from lorecall.lm.attach import Injection
from lorecall.records import InjectionConfig
from lorecall.train.grouped import GroupEngine, train_together
from lorecall.train.trial import Trained, TrialData, TrialRunner


class TrainTogether(Protocol):
    """Trains several thetas side by side."""

    def __call__(
        self, trials: TrialRunner, configs: Sequence[InjectionConfig], data: TrialData
    ) -> list[Trained]:
        """Return one training a theta."""
        ...


@pytest.fixture
def trained_together() -> TrainTogether:
    """As `TrialRunner.run_together` trains them, with the pairs that it does not keep."""

    def train(
        trials: TrialRunner, configs: Sequence[InjectionConfig], data: TrialData
    ) -> list[Trained]:
        members = [Injection(trials.base, config, seed=trials.seed) for config in configs]
        reports = train_together(
            GroupEngine(members, trials.cache),
            trials._learnt(data.train, configs[0]),
            data.valid.encoded,
            settings=trials.settings,
            seed=trials.seed,
            base_loss=data.base_loss,
        )
        return [
            Trained(report=report, tensors=member.tensors(), n_parameters=member.n_parameters)
            for member, report in zip(members, reports, strict=True)
        ]

    return train
