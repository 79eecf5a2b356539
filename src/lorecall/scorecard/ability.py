"""What a memory cost in general ability: the loss on a fixed neutral text, before and after.

The text is this project's own, sixty sentences on sixty things; no memory was trained on it. A
memory should leave its loss as it was: what it learnt is one person.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from lorecall.bench.reading import read_losses
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.prompts import format_for
from lorecall.metrics.intervals import bootstrap_mean, paired_difference
from lorecall.records import Interval
from lorecall.reply.responder import Responder
from lorecall.settings import TrainSettings

DAMAGE = 0.10
"""Nats per token: a perplexity 10.5% higher. More than this is called damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """Loss on the general text, in nats per token, means over its sentences."""

    before: Interval
    after: Interval
    change: Interval
    signature: str

    @property
    def is_damaged(self) -> bool:
        """Whether the loss rose beyond the threshold, and surely rose."""
        return self.change.value > DAMAGE and self.change.low > 0


def general_text() -> tuple[str, ...]:
    """Return the sentences."""
    return tuple(_file().decode("utf-8").splitlines())


def ability(responder: Responder, bare: Responder, *, seed: int = 0) -> Ability:
    """Read the general text without and with what a responder has in its weights.

    Each sentence is read by itself, from the token that begins or ends a text, without any chat
    template.
    """
    before, after = general_losses(bare), general_losses(responder)
    digest = hashlib.sha256(_file()).hexdigest()[:12]
    return Ability(
        before=bootstrap_mean(before, seed=seed),
        after=bootstrap_mean(after, seed=seed),
        change=paired_difference(after, before, seed=seed),
        signature=f"general loss|text {digest}|n={len(before)} sentences|nats per token"
        f"|damage above {DAMAGE}",
    )


def general_losses(responder: Responder) -> tuple[float, ...]:
    """Read the general text; return each sentence's loss, in nats per token."""
    return read_losses(responder, [_encoded(text, responder.base) for text in general_text()])


def _encoded(text: str, base: LanguageModel) -> Encoded:
    tokenizer = base.tokenizer
    start = tokenizer.bos_token_id
    first = start if isinstance(start, int) else format_for(base, TrainSettings()).eos_id
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return Encoded(prompt=(first,), response=tuple(ids))


def _file() -> bytes:
    return files("lorecall.scorecard").joinpath("general.txt").read_bytes()
