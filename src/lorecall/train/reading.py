"""Read samples with a base and a memory, or none: losses of true responses, and what it answers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import fmean

from lorecall.data.events import EARLIER_TURNS
from lorecall.decoding import Decoding
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.prompts import Retriever, format_for
from lorecall.lm.sampling import GreedyChooser, MarginChooser, ends_at
from lorecall.records import Sample
from lorecall.settings import TrainSettings
from lorecall.train.activation_cache import ActivationCache
from lorecall.train.engine import BatchReading, Engine, engine_for
from lorecall.train.loop import read_batches, read_samples
from lorecall.train.reply_length import LOWEST, fit_stop_bias

_FITTED_UP_TO = 3  # times the person's mean length


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPart:
    """Samples with their tokens: one part of a split.

    `encoded` are the samples as they are read, each by itself; `together` is what is trained on
    where that is the same replies in fewer tokens, a conversation at a time.
    """

    samples: tuple[Sample, ...]
    encoded: tuple[Encoded, ...]
    together: tuple[Encoded, ...] = ()

    @property
    def longest_response(self) -> int:
        """The most tokens a response has."""
        return max(len(each.response) for each in self.encoded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a model, with or without a memory, made of some samples; one value a sample.

    Args:
        losses: Cross entropy of the true responses, in nats per token.
        responses: What was answered.
        seconds: All of it.
    """

    losses: tuple[float, ...]
    responses: tuple[str, ...]
    seconds: float


class Reader:
    """Encodes and reads samples, all with one base and one way of laying out prompts.

    Args:
        base: The frozen base.
        settings: The longest prompt and response, what a prompt shows, and how it is decoded.
        cache: Where to keep what no memory changes; its own when None.

    Examples:
        >>> from lorecall import TrainSettings, load_history
        >>> from lorecall.lm import tiny_base
        >>> from lorecall.train import Reader
        >>> reader = Reader(tiny_base(), TrainSettings())
        >>> part = reader.encode(load_history("history.jsonl", user="ann").samples[:3])
        >>> reading = reader.read(part, max_new_tokens=8)
        >>> len(reading.losses), len(reading.responses)
        (3, 3)
    """

    def __init__(
        self,
        base: LanguageModel,
        settings: TrainSettings,
        *,
        cache: ActivationCache | None = None,
    ) -> None:
        self.base, self.settings = base, settings
        self.format = format_for(base, settings)
        self.cache = cache or ActivationCache(base)

    def encode(
        self,
        samples: Sequence[Sample],
        *,
        past: Sequence[Sample] = (),
        retriever: Retriever | None = None,
    ) -> EncodedPart:
        """Turn samples into tokens.

        Args:
            samples: The samples.
            past: The training samples, for `history_in_prompt`; a sample sees those before it.
            retriever: What else of the history to show with each; nothing when None.
        """
        k, earlier = self.settings.history_in_prompt, self.settings.earlier_turns
        encoded: list[Encoded] = []
        for sample in samples:
            shown = _before(sample, past)[-k:] if k else ()
            notes = retriever.retrieve(sample.query, before=sample.id) if retriever else ()
            encoded.append(self.format.encode(sample, past=shown, earlier=earlier, notes=notes))
        return EncodedPart(samples=tuple(samples), encoded=tuple(encoded))

    def encode_to_train(
        self,
        samples: Sequence[Sample],
        *,
        past: Sequence[Sample] = (),
        retriever: Retriever | None = None,
    ) -> EncodedPart:
        """Turn samples into tokens, and into conversations to train on where those say the same.

        Args:
            samples: The samples.
            past: As `encode` takes them.
            retriever: As `encode` takes it.
        """
        part = self.encode(samples, past=past, retriever=retriever)
        settings = self.settings
        # what a prompt shows beside its turns, or fewer of them, it shows by itself
        if settings.history_in_prompt or retriever or settings.earlier_turns != EARLIER_TURNS:
            return part
        return replace(part, together=tuple(self.format.encode_together(samples)))

    def losses(self, part: EncodedPart, *, injection: Injection | None = None) -> tuple[float, ...]:
        """Return the loss of each sample, in nats per token."""
        return read_samples(self.engine(injection), part.encoded).losses

    def token_losses(
        self, part: EncodedPart, *, injection: Injection | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """Return the losses of each sample's response tokens, in nats."""
        found: dict[int, tuple[float, ...]] = {}
        for chosen, reading in read_samples(self.engine(injection), part.encoded).batches:
            found |= zip(chosen, reading.token_losses, strict=True)
        return tuple(found[i] for i in range(len(part.encoded)))

    def read(
        self,
        part: EncodedPart,
        *,
        max_new_tokens: int,
        injection: Injection | None = None,
        decoding: Decoding | None = None,
    ) -> Reading:
        """Read the losses of the true responses, and answer the prompts.

        Args:
            part: What is read.
            max_new_tokens: Longest answer.
            injection: The memory; none when None.
            decoding: How answers are decoded; as the settings say, their length free, when None.
        """
        started = time.perf_counter()
        engine = self.engine(injection)
        losses = [0.0] * len(part.encoded)
        responses = [""] * len(part.encoded)
        for chosen in read_batches(part.encoded):
            batch = [part.encoded[i] for i in chosen]
            reading = engine.read(batch, keep=True)
            answers = self.answer(
                engine, batch, reading, max_new_tokens=max_new_tokens, decoding=decoding
            )
            for i, loss, answer in zip(chosen, reading.losses, answers, strict=True):
                losses[i], responses[i] = loss, answer
        return Reading(
            losses=tuple(losses),
            responses=tuple(responses),
            seconds=time.perf_counter() - started,
        )

    def answer(
        self,
        engine: Engine,
        batch: Sequence[Encoded],
        reading: BatchReading | None,
        *,
        max_new_tokens: int,
        decoding: Decoding | None = None,
    ) -> list[str]:
        """Answer one batch of prompts, going on from a reading of them where there is one."""
        answers = engine.answer(
            batch,
            reading,
            max_new_tokens=max_new_tokens,
            chooser=GreedyChooser(self.format.stop_ids, decoding or self._decoding()),
        )
        return [self.format.text(answer) for answer in answers]

    def fit_length(
        self,
        prompts: EncodedPart,
        own: EncodedPart,
        *,
        max_new_tokens: int,
        injection: Injection | None = None,
    ) -> Decoding:
        """Fit what is added to the logits of stopping, so that answers are as long as the person's.

        Args:
            prompts: The prompts that are answered for it: the validation part's.
            own: The person's own answers: the training part's.
            max_new_tokens: Longest answer.
            injection: The memory; none when None.

        Returns:
            How to decode; without such a term where the settings leave the length free. Answers and
            the person's own are compared up to three times their mean length, since few go on and
            each further token is a step of decoding.
        """
        if self.settings.reply_length == "free":
            return self._decoding()
        stop_ids = self.format.stop_ids
        lengths = [len(e.response) - (e.response[-1] in stop_ids) for e in own.encoded]
        most = min(max_new_tokens, max(1, ceil(_FITTED_UP_TO * fmean(lengths))))
        margins = self._margins(prompts, self.engine(injection), max_new_tokens=most)
        found = fit_stop_bias(
            lambda bias: fmean(ends_at(each, bias) for each in margins),
            fmean(min(length, most) for length in lengths),
        )
        return self._decoding(found)

    def engine(self, injection: Injection | None) -> Engine:
        """Return what computes losses and answers with a memory, or with none."""
        return engine_for(self.base, injection, cache=self.cache, plain=self.settings.plain)

    def _decoding(self, stop_bias: float = 0.0) -> Decoding:
        return Decoding(stop_bias=stop_bias, no_repeat=self.settings.no_repeat)

    def _margins(
        self, prompts: EncodedPart, engine: Engine, *, max_new_tokens: int
    ) -> list[list[float]]:
        """Answer prompts at full length, and return how far behind stopping was at each token."""
        found: list[list[float]] = []
        for chosen in read_batches(prompts.encoded):
            part = [prompts.encoded[i] for i in chosen]
            chooser = MarginChooser(
                self.format.stop_ids, no_repeat=self.settings.no_repeat, lowest=LOWEST
            )
            reading = engine.read(part, keep=True)
            engine.answer(part, reading, max_new_tokens=max_new_tokens, chooser=chooser)
            found += chooser.margins.values()
        return found


def _before(sample: Sample, past: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples before this one; all of them when it is none of them."""
    ids = [each.id for each in past]
    return past[: ids.index(sample.id)] if sample.id in ids else past
