"""What a candidate answers to prompts: decoded as one is told, or as long as the person answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from lorecall.lm.choose import GreedyChooser, MarginChooser, ends_at
from lorecall.lm.prompts import Encoded, PromptFormat
from lorecall.records import Decoding
from lorecall.trial.engine import BatchReading, Engine
from lorecall.trial.length import LOWEST, fit_stop_bias
from lorecall.trial.train import Reading, read_batches


@dataclass(frozen=True, slots=True, kw_only=True)
class LongAnswer:
    """An answer that went on as far as it may: its tokens, and by how much stopping was behind.

    With more than `margins[k]` added to the logits of stopping it would have ended after k tokens.
    """

    tokens: list[int]
    margins: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Answers prompts by one engine.

    Args:
        engine: The base, with or without a memory on it.
        prompt_format: The layout of prompts; says where answers end.
        no_repeat: Tokens in a row that no long answer has twice; 0 for no such rule.
    """

    engine: Engine
    prompt_format: PromptFormat
    no_repeat: int

    def answers(
        self,
        encoded: Sequence[Encoded],
        *,
        max_new_tokens: int,
        decoding: Decoding,
        reading: Reading | None = None,
    ) -> list[str]:
        """Answer prompts greedily.

        Args:
            encoded: The samples whose prompts are answered.
            max_new_tokens: Longest answer.
            decoding: What to heed beside the logits.
            reading: What was read of these samples by the same engine, to go on from.
        """
        found = [""] * len(encoded)
        for chosen, read_before in _batches(encoded, reading):
            batch = [encoded[i] for i in chosen]
            answers = self.batch(
                batch, read_before, max_new_tokens=max_new_tokens, decoding=decoding
            )
            for i, answer in zip(chosen, answers, strict=True):
                found[i] = answer
        return found

    def batch(
        self,
        encoded: Sequence[Encoded],
        reading: BatchReading | None,
        *,
        max_new_tokens: int,
        decoding: Decoding,
    ) -> list[str]:
        """Answer the prompts of one batch, arguments as `answers`."""
        chooser = GreedyChooser(self.prompt_format.stop_ids, decoding)
        answers = self.engine.answer(
            encoded, reading, max_new_tokens=max_new_tokens, chooser=chooser
        )
        return [self.prompt_format.text(answer) for answer in answers]

    def long_answers(
        self, encoded: Sequence[Encoded], *, max_new_tokens: int, reading: Reading | None = None
    ) -> list[LongAnswer]:
        """Answer prompts at full length, and keep how far behind stopping was at every step.

        Arguments as `answers`.
        """
        stop_ids, found = self.prompt_format.stop_ids, dict[int, LongAnswer]()
        for chosen, read_before in _batches(encoded, reading):
            batch = [encoded[i] for i in chosen]
            chooser = MarginChooser(stop_ids, no_repeat=self.no_repeat, lowest=LOWEST)
            answers = self.engine.answer(
                batch, read_before, max_new_tokens=max_new_tokens, chooser=chooser
            )
            for row, (i, tokens) in enumerate(zip(chosen, answers, strict=True)):
                found[i] = LongAnswer(tokens=tokens, margins=chooser.margins[row])
        return [found[i] for i in range(len(encoded))]

    def cut(self, answers: Sequence[LongAnswer], stop_bias: float) -> list[str]:
        """Give what answers are with so much added to the logits of stopping."""
        return [
            self.prompt_format.text(each.tokens[: ends_at(each.margins, stop_bias)])
            for each in answers
        ]


def fitted_bias(answers: Sequence[LongAnswer], wanted: float) -> float:
    """Find what is to be added to the logits of stopping for answers of a mean length in tokens."""
    return fit_stop_bias(lambda bias: fmean(ends_at(a.margins, bias) for a in answers), wanted)


def _batches(
    encoded: Sequence[Encoded], reading: Reading | None
) -> Sequence[tuple[Sequence[int], BatchReading | None]]:
    if reading is not None:
        return reading.batches
    return [(chosen, None) for chosen in read_batches(encoded)]
