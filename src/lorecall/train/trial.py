"""One trial: theta in, both objectives out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import Retriever
from lorecall.metrics.intervals import standard_error
from lorecall.metrics.overlap import rouge
from lorecall.records import InjectionConfig, Sample, Split, TrialOutcome
from lorecall.settings import TrainSettings
from lorecall.train.activation_cache import ActivationCache
from lorecall.train.loop import LossReading, TrainReport, read_batches, train
from lorecall.train.reading import EncodedPart, Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialData:
    """What a trial is given.

    Args:
        train: What is learnt.
        valid: What its best point is chosen by.
        base_losses: The base's own losses of the validation samples, without a memory.
        max_new_tokens: The longest response seen outside the test.
    """

    train: EncodedPart
    valid: EncodedPart
    base_losses: tuple[float, ...]
    max_new_tokens: int

    @property
    def base_loss(self) -> float:
        """The base's own validation loss: the start of every curve."""
        return fmean(self.base_losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The pairs of one theta at their best point, and how they got there."""

    report: TrainReport
    tensors: dict[str, Tensor]
    n_parameters: int


class TrialRunner(Reader):
    """Everything that the trials of one search share: base, prompts, settings.

    Args:
        base: The frozen base.
        settings: How each is trained.
        seed: One seed for all thetas, so that they differ by nothing else.
        cache: Where to keep what no theta changes; its own when None.
        on_step: Called after every training step with its share of the longest training there
            may be.

    Examples:
        >>> from lorecall import InjectionConfig, TrainSettings, load_history
        >>> from lorecall.data import split_history
        >>> from lorecall.lm import tiny_base
        >>> from lorecall.train import TrialRunner
        >>> split = split_history(load_history("history.jsonl", user="ann"))
        >>> runner = TrialRunner(tiny_base(), settings=TrainSettings(max_epochs=1), seed=0)
        >>> data = runner.data(split, split.train[:8])
        >>> outcome = runner.run(InjectionConfig(layers=(0, 2), n_loras=2, rank=4), data)
        >>> outcome.loss <= data.base_loss
        True
    """

    def __init__(
        self,
        base: LanguageModel,
        *,
        settings: TrainSettings,
        seed: int,
        cache: ActivationCache | None = None,
        on_step: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(base, settings, cache=cache)
        self.seed, self.on_step = seed, on_step

    def data(
        self, split: Split, train_samples: Sequence[Sample], *, retriever: Retriever | None = None
    ) -> TrialData:
        """Encode what a trial trains on and what it is chosen by; the test stays out.

        Args:
            split: One user's split.
            train_samples: The training samples to use: all of them, or a subset for the search.
            retriever: What else of the history to show with each; nothing when None.
        """
        valid = self.encode(split.valid, past=split.train, retriever=retriever)
        used = self.encode_to_train(train_samples, past=split.train, retriever=retriever)
        whole = used
        if len(train_samples) < len(split.train):
            whole = self.encode(split.train, past=split.train, retriever=retriever)
        return TrialData(
            train=used,
            valid=valid,
            base_losses=self.losses(valid),
            max_new_tokens=max(whole.longest_response, valid.longest_response),
        )

    def train(
        self, config: InjectionConfig, data: TrialData, *, linears: tuple[str, ...] | None = None
    ) -> Trained:
        """Train one theta to its best point.

        Args:
            config: theta.
            data: What is learnt, and what the best point is chosen by.
            linears: Which linears take a module; None for the family's default.
        """
        injection = Injection(self.base, config, seed=self.seed, linears=linears)
        report = replace(self._train(injection, data), best_reading=None)
        return Trained(
            report=report, tensors=injection.tensors(), n_parameters=injection.n_parameters
        )

    def run(self, config: InjectionConfig, data: TrialData) -> TrialOutcome:
        """Train one theta and read both objectives at its best point.

        Args:
            config: theta.
            data: What is learnt, and what the best point is chosen by.
        """
        injection = Injection(self.base, config, seed=self.seed)
        return self._outcome(injection, data, self._train(injection, data))

    def _train(self, injection: Injection, data: TrialData) -> TrainReport:
        part = data.train
        alone = injection.config.inject == "response" or not part.together
        return train(
            injection,
            part.encoded if alone else part.together,
            data.valid.encoded,
            settings=self.settings,
            seed=self.seed,
            base_loss=data.base_loss,
            engine=self.engine(injection),
            on_step=self.on_step,
        )

    def _outcome(self, injection: Injection, data: TrialData, report: TrainReport) -> TrialOutcome:
        """Answer the validation prompts and put both objectives together."""
        started = time.perf_counter()
        responses = self._answers(injection, data, report.best_reading)
        rouge_l = rouge(responses, [s.response for s in data.valid.samples])
        return TrialOutcome(
            loss=report.best.loss,
            rouge_l=fmean(rouge_l),
            rouge_l_error=standard_error(rouge_l),
            n_parameters=injection.n_parameters,
            n_tokens=report.n_tokens,
            curve=report.points,
            train_s=report.seconds,
            evaluate_s=time.perf_counter() - started,
        )

    def _answers(
        self, injection: Injection, data: TrialData, reading: LossReading | None
    ) -> list[str]:
        """Answer the validation prompts, going on from what was read of them."""
        encoded, engine = data.valid.encoded, self.engine(injection)
        batches = reading.batches if reading else [(b, None) for b in read_batches(encoded)]
        responses = [""] * len(encoded)
        for chosen, before in batches:
            batch = [encoded[i] for i in chosen]
            answers = self.answer(engine, batch, before, max_new_tokens=data.max_new_tokens)
            for i, answer in zip(chosen, answers, strict=True):
                responses[i] = answer
        return responses
