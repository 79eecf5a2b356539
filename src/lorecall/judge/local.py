"""A judge that is a local base model."""

from collections.abc import Sequence
from pathlib import Path

from lorecall.errors import ModelError
from lorecall.judge.judge import JudgeItem, Scores, parse_scores, prompt_hash, question
from lorecall.lm.base import LanguageModel
from lorecall.lm.generate import respond
from lorecall.lm.prompts import PromptFormat

MAX_PROMPT_TOKENS = 4096
_MAX_ANSWER_TOKENS = 24
_BEGUN = "Response 1:"  # small models go on with a score, where left alone they retell the question
_UNCUT = 1 << 30


class LocalJudge:
    """A base model, asked in its own prompt format and decoded greedily.

    Its answer is begun for it, up to the first score.

    Where the question is too long for the base, the least related of the user's own texts go; the
    question itself is never cut.
    """

    def __init__(self, base: LanguageModel) -> None:
        self.base = base
        named = Path(base.name).name if Path(base.name).is_dir() else base.name
        self.name = f"local {named}@{base.fingerprint[:12]}"
        self.prompt = f"{prompt_hash()}, answer begun"
        self.format = PromptFormat(
            base.tokenizer, max_prompt_tokens=_UNCUT, max_response_tokens=_MAX_ANSWER_TOKENS
        )
        self._begun = list(base.tokenizer(_BEGUN, add_special_tokens=False)["input_ids"])
        self.max_prompt_tokens = min(MAX_PROMPT_TOKENS, base.max_tokens - _MAX_ANSWER_TOKENS)

    def score(self, items: Sequence[JudgeItem]) -> list[Scores | None]:
        """Score both responses of each item; None where the answer cannot be read.

        Raises:
            ModelError: The base has no room for the question, even without the user's own texts.
        """
        prompts = [self._ask(item) for item in items]
        answers = respond(self.base, self.format, prompts, max_new_tokens=_MAX_ANSWER_TOKENS)
        return [parse_scores(f"{_BEGUN} {answer}") for answer in answers]

    def _ask(self, item: JudgeItem) -> list[int]:
        n_content = len(item.user_content)
        while len(ids := self._asked(item, n_content)) > self.max_prompt_tokens:
            if n_content == 0:
                raise ModelError(
                    "the judge's base must have room for the question",
                    expected=f"at least {len(ids) + _MAX_ANSWER_TOKENS} positions",
                    got=str(self.base.max_tokens),
                    next_step="Take a base with more positions as the judge.",
                )
            n_content //= 2
        return ids

    def _asked(self, item: JudgeItem, n_content: int) -> list[int]:
        return self.format.prompt(question(item, n_content=n_content)) + self._begun
