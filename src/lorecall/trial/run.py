"""One trial: theta in, both objectives out, and the trained pairs for whoever keeps them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from torch import Tensor

from lorecall.lm.base import BaseModel
from lorecall.lm.decode import respond
from lorecall.lm.inject import Injection
from lorecall.lm.prompts import Encoded, format_for
from lorecall.metrics.overlap import rouge
from lorecall.records import InjectionConfig, Objectives, Sample, Split
from lorecall.settings import TrainSettings
from lorecall.trial.train import TrainReport, read_losses, train


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPart:
    """Samples with their tokens: one part of a split."""

    samples: tuple[Sample, ...]
    encoded: tuple[Encoded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialData:
    """What a trial is given. `max_new_tokens` is the longest response seen outside the test."""

    train: EncodedPart
    valid: EncodedPart
    max_new_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a model, with or without a memory, made of some samples; one value a sample."""

    losses: tuple[float, ...]
    responses: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The pairs of one candidate at its best point, and how they got there."""

    report: TrainReport
    tensors: dict[str, Tensor]
    n_parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One finished candidate. `rouge_l` has one value a validation sample, x100."""

    objectives: Objectives
    rouge_l: tuple[float, ...]
    trained: Trained
    evaluate_s: float


class Trials:
    """Everything that the trials of one search share: base, prompts, settings.

    Args:
        base: The frozen base.
        settings: How each is trained.
        seed: One seed for all candidates, so that they differ by theta alone.
    """

    def __init__(self, base: BaseModel, *, settings: TrainSettings, seed: int) -> None:
        self.base = base
        self.settings = settings
        self.seed = seed
        self.format = format_for(base, settings)

    def encode(self, samples: Sequence[Sample], *, past: Sequence[Sample] = ()) -> EncodedPart:
        """Turn samples into tokens.

        Args:
            samples: The samples.
            past: The training samples, for `history_in_prompt`; a sample sees those before it.
        """
        k = self.settings.history_in_prompt
        encoded: list[Encoded] = []
        for sample in samples:
            shown = _before(sample, past)[-k:] if k else ()
            encoded.append(
                self.format.encode(sample, past=shown, earlier=self.settings.earlier_turns)
            )
        return EncodedPart(samples=tuple(samples), encoded=tuple(encoded))

    def data(self, split: Split, train_samples: Sequence[Sample]) -> TrialData:
        """Encode what a trial trains on and what it is chosen by; the test stays out.

        Args:
            split: One user's split.
            train_samples: The training samples to use: all of them, or a subset for the search.
        """
        train = self.encode(split.train, past=split.train)
        valid = self.encode(split.valid, past=split.train)
        by_id = {s.id: e for s, e in zip(train.samples, train.encoded, strict=True)}
        used = tuple(by_id[sample.id] for sample in train_samples)
        return TrialData(
            train=EncodedPart(samples=tuple(train_samples), encoded=used),
            valid=valid,
            max_new_tokens=max(len(e.response) for e in train.encoded + valid.encoded),
        )

    def train(
        self,
        config: InjectionConfig,
        data: TrialData,
        *,
        vanilla_loss: float | None = None,
        on_tokens: Callable[[int], None] | None = None,
    ) -> Trained:
        """Train one candidate to its best point.

        Args:
            config: theta.
            data: What is learnt, and what the best point is chosen by.
            vanilla_loss: The base's own validation loss, when it is known already.
            on_tokens: Called with the tokens of every step as it ends.
        """
        with Injection(self.base, config, seed=self.seed) as injection:
            return self._trained(injection, data, vanilla_loss, on_tokens)

    def run(
        self,
        config: InjectionConfig,
        data: TrialData,
        *,
        vanilla_loss: float | None = None,
        on_tokens: Callable[[int], None] | None = None,
    ) -> TrialResult:
        """Train one candidate and read both objectives at its best point; arguments as `train`."""
        with Injection(self.base, config, seed=self.seed) as injection:
            trained = self._trained(injection, data, vanilla_loss, on_tokens)
            started = time.perf_counter()
            responses = self.respond(data.valid, max_new_tokens=data.max_new_tokens)
            rouge_l = rouge(responses, [s.response for s in data.valid.samples]).rouge_l
            return TrialResult(
                objectives=Objectives(loss=trained.report.best.loss, rouge_l=fmean(rouge_l)),
                rouge_l=rouge_l,
                trained=trained,
                evaluate_s=time.perf_counter() - started,
            )

    def _trained(
        self,
        injection: Injection,
        data: TrialData,
        vanilla_loss: float | None,
        on_tokens: Callable[[int], None] | None,
    ) -> Trained:
        report = train(
            injection,
            data.train.encoded,
            data.valid.encoded,
            settings=self.settings,
            seed=self.seed,
            vanilla_loss=vanilla_loss,
            on_tokens=on_tokens,
        )
        return Trained(
            report=report, tensors=injection.tensors(), n_parameters=injection.n_parameters
        )

    def read(self, part: EncodedPart, *, max_new_tokens: int) -> Reading:
        """Read losses and responses of the base as it is now, memory or none."""
        started = time.perf_counter()
        losses = tuple(read_losses(self.base, part.encoded))
        responses = tuple(self.respond(part, max_new_tokens=max_new_tokens))
        return Reading(losses=losses, responses=responses, seconds=time.perf_counter() - started)

    def respond(self, part: EncodedPart, *, max_new_tokens: int) -> list[str]:
        """Answer the samples' prompts greedily."""
        prompts = [sample.prompt for sample in part.encoded]
        return respond(self.base, self.format, prompts, max_new_tokens=max_new_tokens)


def _before(sample: Sample, past: Sequence[Sample]) -> Sequence[Sample]:
    """Leave out the sample itself and what came after it."""
    ids = [other.id for other in past]
    return past[: ids.index(sample.id)] if sample.id in ids else past
