"""One trial: theta in, both objectives out, and the trained pairs for whoever keeps them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from torch import Tensor

from lorecall.lm.attach import Injection, InjectionGroup
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import body_of
from lorecall.lm.prompts import Encoded, Recall, format_for, with_prompts
from lorecall.lm.sampling import GreedyChooser, MarginChooser, ends_at
from lorecall.metrics.overlap import rouge
from lorecall.records import Decoding, InjectionConfig, ObjectiveValues, Sample, Split
from lorecall.settings import TrainSettings, check_learnable
from lorecall.train.activation_cache import ActivationCache
from lorecall.train.engine import BatchReading, Engine, FastEngine, PlainEngine
from lorecall.train.grouped import GroupEngine, train_together
from lorecall.train.loop import Reading as LossReading
from lorecall.train.loop import TrainReport, read, read_batches, train
from lorecall.train.reply_length import LOWEST, FittedLength, fit_stop_bias


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
    """The pairs of one candidate at its best point, and how they got there.

    `valid_losses` has one value a validation sample, read at the best point; it is empty where that
    is the base itself.
    """

    report: TrainReport
    tensors: dict[str, Tensor]
    n_parameters: int
    valid_losses: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One finished candidate. `rouge_l` has one value a validation sample, x100."""

    objectives: ObjectiveValues
    rouge_l: tuple[float, ...]
    trained: Trained
    evaluate_s: float


class TrialRunner:
    """Everything that the trials of one search share: base, prompts, settings.

    Args:
        base: The frozen base.
        settings: How each is trained.
        seed: One seed for all candidates, so that they differ by theta alone.
        frozen: Where to keep what no candidate changes; its own when None.
    """

    def __init__(
        self,
        base: LanguageModel,
        *,
        settings: TrainSettings,
        seed: int,
        frozen: ActivationCache | None = None,
    ) -> None:
        self.base = base
        self.settings = settings
        self.seed = seed
        self.format = format_for(base, settings)
        self.frozen = frozen or ActivationCache(body_of(base))

    def encode(
        self,
        samples: Sequence[Sample],
        *,
        past: Sequence[Sample] = (),
        recall: Recall | None = None,
    ) -> EncodedPart:
        """Turn samples into tokens.

        Args:
            samples: The samples.
            past: The training samples, for `history_in_prompt`; a sample sees those before it.
            recall: What else of the history to show with each; nothing when None.
        """
        k, earlier = self.settings.history_in_prompt, self.settings.earlier_turns
        encoded: list[Encoded] = []
        for sample in samples:
            shown = _before(sample, past)[-k:] if k else ()
            notes = recall.recall(sample.query, before=sample.id) if recall else ()
            encoded.append(self.format.encode(sample, past=shown, earlier=earlier, notes=notes))
        return EncodedPart(samples=tuple(samples), encoded=tuple(encoded))

    def data(
        self, split: Split, train_samples: Sequence[Sample], *, recall: Recall | None = None
    ) -> TrialData:
        """Encode what a trial trains on and what it is chosen by; the test stays out.

        Args:
            split: One user's split.
            train_samples: The training samples to use: all of them, or a subset for the search.
            recall: What else of the history to show with each; nothing when None.
        """
        train = self.encode(split.train, past=split.train, recall=recall)
        valid = self.encode(split.valid, past=split.train, recall=recall)
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
        linears: tuple[str, ...] | None = None,
        vanilla_loss: float | None = None,
        on_tokens: Callable[[int], None] | None = None,
    ) -> Trained:
        """Train one candidate to its best point.

        Args:
            config: theta.
            data: What is learnt, and what the best point is chosen by.
            linears: Which linears take a module; None for the family's default.
            vanilla_loss: The base's own validation loss, when it is known already.
            on_tokens: Called with the tokens of every step as it ends.
        """
        with Injection(self.base, config, seed=self.seed, linears=linears) as injection:
            return self._trained(injection, data, vanilla_loss, on_tokens)[0]

    def run(
        self,
        config: InjectionConfig,
        data: TrialData,
        *,
        vanilla_loss: float | None = None,
        on_tokens: Callable[[int], None] | None = None,
    ) -> TrialResult:
        """Train one candidate and read both objectives at its best point.

        Arguments as `train`.
        """
        with Injection(self.base, config, seed=self.seed) as injection:
            trained, reading = self._trained(injection, data, vanilla_loss, on_tokens)
            return self._result(injection, data, trained, reading)

    def run_together(
        self,
        configs: Sequence[InjectionConfig],
        data: TrialData,
        *,
        vanilla_loss: float | None = None,
        on_tokens: Callable[[int], None] | None = None,
    ) -> list[TrialResult]:
        """Do the trials of several candidates side by side; one by one on the plain path.

        Args:
            configs: One theta a candidate.
            data: What is learnt, and what the best points are chosen by.
            vanilla_loss: The base's own validation loss, when it is known already.
            on_tokens: Called with the tokens of every step, over all candidates.

        Returns:
            One result a candidate, in order.
        """
        if self.settings.plain:
            return [
                self.run(config, data, vanilla_loss=vanilla_loss, on_tokens=on_tokens)
                for config in configs
            ]
        with InjectionGroup(self.base, configs, seed=self.seed) as group:
            reports = train_together(
                GroupEngine(group, self.frozen),
                self._learnt(data.train, configs[0]),
                data.valid.encoded,
                settings=self.settings,
                seed=self.seed,
                vanilla_loss=vanilla_loss,
                on_tokens=on_tokens,
            )
            results: list[TrialResult] = []
            for i, (member, report) in enumerate(zip(group.members, reports, strict=True)):
                group.activate([i])
                trained, reading = _kept(member, report)
                results.append(self._result(member, data, trained, reading))
            return results

    def _result(
        self,
        injection: Injection,
        data: TrialData,
        trained: Trained,
        reading: LossReading | None,
    ) -> TrialResult:
        """Answer the validation prompts and put both objectives together."""
        started = time.perf_counter()
        responses = self._answers(
            self._engine(injection), data.valid, reading, max_new_tokens=data.max_new_tokens
        )
        rouge_l = rouge(responses, [s.response for s in data.valid.samples]).rouge_l
        return TrialResult(
            objectives=ObjectiveValues(loss=trained.report.best.loss, rouge_l=fmean(rouge_l)),
            rouge_l=rouge_l,
            trained=trained,
            evaluate_s=time.perf_counter() - started,
        )

    def read(
        self,
        part: EncodedPart,
        *,
        max_new_tokens: int,
        injection: Injection | None = None,
        decoding: Decoding | None = None,
    ) -> Reading:
        """Read losses and responses of the base, with the memory that is on it, if any.

        Args:
            part: What is read.
            max_new_tokens: Longest answer.
            injection: The memory.
            decoding: How answers are decoded; as the settings say, their length free, when None.
        """
        started = time.perf_counter()
        engine = self._engine(injection)
        losses = [0.0] * len(part.encoded)
        responses = [""] * len(part.encoded)
        for chosen in read_batches(part.encoded):
            batch = [part.encoded[i] for i in chosen]
            reading = engine.read(batch, keep=True)
            answers = self._answer(
                engine, batch, reading, max_new_tokens=max_new_tokens, decoding=decoding
            )
            for i, loss, answer in zip(chosen, reading.losses, answers, strict=True):
                losses[i], responses[i] = loss, answer
        return Reading(
            losses=tuple(losses),
            responses=tuple(responses),
            seconds=time.perf_counter() - started,
        )

    def fit_length(self, data: TrialData, *, injection: Injection | None = None) -> FittedLength:
        """Fit what is added to the logits of stopping, so that answers are as long as the person's.

        Args:
            data: The person's answers in training, and the prompts that are answered.
            injection: The memory that is on the base, if any.

        Returns:
            It with the rest of the decoding, 0 where the settings leave the length free.
        """
        if self.settings.reply_length == "free":
            return FittedLength(decoding=self._decoding(), seconds=0.0)
        started = time.perf_counter()
        margins = self._margins(data, self._engine(injection))
        stop_ids = self.format.stop_ids
        own = [len(e.response) - (e.response[-1] in stop_ids) for e in data.train.encoded]
        found = fit_stop_bias(
            lambda bias: fmean(ends_at(each, bias) for each in margins), fmean(own)
        )
        seconds = time.perf_counter() - started
        return FittedLength(decoding=self._decoding(found), seconds=seconds)

    def _decoding(self, stop_bias: float = 0.0) -> Decoding:
        return Decoding(stop_bias=stop_bias, no_repeat=self.settings.no_repeat)

    def _margins(self, data: TrialData, engine: Engine) -> list[list[float]]:
        """Answer the validation prompts at full length, and say how far behind stopping was."""
        found: list[list[float]] = []
        for chosen in read_batches(data.valid.encoded):
            part = [data.valid.encoded[i] for i in chosen]
            chooser = MarginChooser(
                self.format.stop_ids, no_repeat=self.settings.no_repeat, lowest=LOWEST
            )
            reading = engine.read(part, keep=True)
            engine.answer(part, reading, max_new_tokens=data.max_new_tokens, chooser=chooser)
            found += chooser.margins.values()
        return found

    def losses(self, part: EncodedPart, *, injection: Injection | None = None) -> tuple[float, ...]:
        """Read the losses of the base, with the memory that is on it, if any."""
        return read(self._engine(injection), part.encoded).losses

    def _engine(self, injection: Injection | None) -> Engine:
        if self.settings.plain:
            return PlainEngine(self.base, injection)
        return FastEngine(self.base, injection, frozen=self.frozen)

    def _trained(
        self,
        injection: Injection,
        data: TrialData,
        vanilla_loss: float | None,
        on_tokens: Callable[[int], None] | None,
    ) -> tuple[Trained, LossReading | None]:
        report = train(
            injection,
            self._learnt(data.train, injection.config),
            data.valid.encoded,
            settings=self.settings,
            seed=self.seed,
            vanilla_loss=vanilla_loss,
            on_tokens=on_tokens,
            engine=self._engine(injection),
        )
        return _kept(injection, report)

    def _learnt(self, part: EncodedPart, config: InjectionConfig) -> tuple[Encoded, ...]:
        check_learnable(config.inject, self.settings.loss_on)
        return part.encoded if self.settings.loss_on == "response" else with_prompts(part.encoded)

    def _answers(
        self, engine: Engine, part: EncodedPart, reading: LossReading | None, *, max_new_tokens: int
    ) -> list[str]:
        """Answer the samples' prompts greedily, going on from what was read of them."""
        batches = reading.batches if reading else [(b, None) for b in read_batches(part.encoded)]
        responses = [""] * len(part.encoded)
        for chosen, read_before in batches:
            batch = [part.encoded[i] for i in chosen]
            answers = self._answer(engine, batch, read_before, max_new_tokens=max_new_tokens)
            for i, answer in zip(chosen, answers, strict=True):
                responses[i] = answer
        return responses

    def _answer(
        self,
        engine: Engine,
        batch: Sequence[Encoded],
        reading: BatchReading | None,
        *,
        max_new_tokens: int,
        decoding: Decoding | None = None,
    ) -> list[str]:
        answers = engine.answer(
            batch,
            reading,
            max_new_tokens=max_new_tokens,
            chooser=GreedyChooser(self.format.stop_ids, decoding or self._decoding()),
        )
        return [self.format.text(answer) for answer in answers]


def _kept(injection: Injection, report: TrainReport) -> tuple[Trained, LossReading | None]:
    """Part what is kept of a trained candidate from what is wanted once: its best reading."""
    trained = Trained(
        report=replace(report, best_reading=None),
        tensors=injection.tensors(),
        n_parameters=injection.n_parameters,
        valid_losses=report.best_reading.losses if report.best_reading else (),
    )
    return trained, report.best_reading


def _before(sample: Sample, past: Sequence[Sample]) -> Sequence[Sample]:
    """Leave out the sample itself and what came after it."""
    ids = [other.id for other in past]
    return past[: ids.index(sample.id)] if sample.id in ids else past
