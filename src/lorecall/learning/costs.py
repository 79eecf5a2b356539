"""How much work each stage of a run is, in token equivalents, for telling the time left.

One for a token trained; what the rest costs against that is rough, from two cores. The bar's own
speed corrects it as the run goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lorecall.lm.prompts import Encoded
from lorecall.settings import LearnSettings
from lorecall.train.trial import EncodedPart, TrialData

READ_COST = 0.4
GENERATE_COST = 2.5
SUGGEST_COST = 2_000.0  # one fit of the surrogates and one look for the next point


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The work of each stage, in token equivalents."""

    vanilla: float
    trial: float
    suggestions: float
    n_trials: int
    train: float
    read_test: float
    n_finalists: int

    @property
    def final(self) -> float:
        """The control: one training on all samples, and the test read."""
        return self.train + self.read_test

    @property
    def memory(self) -> float:
        """The memory: as many trainings as there may be finalists, and the test read by one."""
        return self.n_finalists * self.train + self.read_test

    @property
    def total(self) -> float:
        """The whole run: the base, the search, the control and the memory."""
        tried = self.n_trials * self.trial
        return self.vanilla + tried + self.suggestions + self.final + self.memory

    @classmethod
    def of(
        cls,
        data: TrialData,
        tried: TrialData,
        *,
        test: EncodedPart,
        settings: LearnSettings,
    ) -> "Costs":
        """Estimate the stages of a run that uses every epoch it may.

        Args:
            data: What the final training is given.
            tried: What a trial is given.
            test: The test samples.
            settings: Epochs and trials.
        """
        evals = settings.train.evals_per_epoch
        valid = READ_COST * _tokens(data.valid.encoded)
        read_test = READ_COST * _tokens(test.encoded) + _generated(test.encoded)
        if settings.train.reply_length == "own":
            longest = len(data.valid.encoded) * data.max_new_tokens
            read_test += valid + GENERATE_COST * longest
        search = settings.search

        def trial(epochs: int, given: TrialData | None) -> float:
            if given is None:
                return 0.0
            epoch = _tokens(given.train.encoded) + evals * valid
            return epochs * epoch + _generated(data.valid.encoded)

        return cls(
            vanilla=valid + read_test,
            trial=trial(settings.trial_train.max_epochs, tried),
            suggestions=SUGGEST_COST * max(0, search.trials - search.initial),
            n_trials=search.trials,
            train=settings.train.max_epochs * (_tokens(data.train.encoded) + evals * valid),
            read_test=read_test,
            n_finalists=min(search.finalists + search.design_is_finalist, search.trials),
        )


def _tokens(samples: Sequence[Encoded]) -> float:
    return float(sum(sample.n_tokens for sample in samples))


def _generated(samples: Sequence[Encoded]) -> float:
    return GENERATE_COST * sum(len(sample.response) for sample in samples)
