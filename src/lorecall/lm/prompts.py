"""Samples to tokens: what the base is shown, and what it is to answer.

The memory is in the weights: a prompt holds the query and at most two earlier turns, never the
history (`past` exists for ablations, notes for the systems a memory is compared with). With a chat
template, which is used as it was shipped, the author of the response speaks as the assistant;
without one, turns are joined by the end-of-text token (`layout_of` says which). Turns in a row of
one side are one, a line each: many templates refuse them otherwise.

A template gives the same prompt on every day, for a memory is asked as it was taught: the date that
it may print stays one and the same. A model that thinks first is told not to.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Protocol, cast, runtime_checkable

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from lorecall.data.history import goes_on
from lorecall.errors import ModelError
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.records import Sample, Turn, taking_turns
from lorecall.settings import TrainSettings

MIN_PROMPT_TOKENS = 16
_LONGEST_TOGETHER = 320  # tokens; beyond it attention, which grows with the square, costs the gain
_DAY = datetime(2024, 7, 26, tzinfo=UTC)  # any day, but always this one
_DATE = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")
_TEMPLATE_ERRORS = (TemplateError, TypeError, ValueError, LookupError, AttributeError)
_THINKING, _THOUGHT = "<think>", "\n</think>\n\n"
_SAID = "orchid"  # what a probe says: a word that no template has
NOTES_HEAD = "Notes from earlier:"


@runtime_checkable
class Retriever(Protocol):
    """What of one person's history is put in the prompt with a query."""

    @property
    def signature(self) -> str:
        """Which retriever it is and how many notes it gives, in a few words that a recipe keeps."""
        ...

    def retrieve(self, query: str, *, before: str | None = None) -> Sequence[str]:
        """Return notes, the most relevant first; none where nothing fits.

        Args:
            query: What was said.
            before: The id of the sample that is read. Where it is a training sample, nothing of
                it nor of what came after it may be given.
        """
        ...


class PromptFormat:
    """How one tokeniser's prompts are laid out.

    Args:
        tokenizer: The base's tokeniser.
        max_prompt_tokens: Longest prompt; cut from the left, the query kept.
        max_response_tokens: Longest response, its end token included.

    Raises:
        ModelError: The tokeniser has no end token, there is no room for a prompt, or the template
            does not show what was said.

    Examples:
        >>> from lorecall import Turn
        >>> from lorecall.lm import PromptFormat, tiny_base
        >>> tokenizer = tiny_base().tokenizer
        >>> layout = PromptFormat(tokenizer, max_prompt_tokens=48)
        >>> tokenizer.decode(layout.prompt("tea?", [Turn(by_author=True, text="I am back")]))
        '<|assistant|>I am back<|end|><|user|>tea?<|end|><|assistant|>'
        >>> layout.read_and_cut("and " * 12), layout.read_and_cut("and " * 11)
        ((43, 5), (44, 0))
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_prompt_tokens: int = 512,
        max_response_tokens: int = 128,
    ) -> None:
        if not isinstance(tokenizer.eos_token_id, int):
            raise ModelError(
                "the tokeniser must know the end of a text",
                expected="an eos_token",
                got="none",
                next_step="Set the tokeniser's eos_token and save it again.",
            )
        if max_prompt_tokens < MIN_PROMPT_TOKENS:
            raise ModelError(
                "the model must have room for a prompt and an answer",
                expected=f"at least {MIN_PROMPT_TOKENS + max_response_tokens} positions",
                got=str(max_prompt_tokens + max_response_tokens),
                next_step="Allow shorter responses, or take a base with more positions.",
            )
        self.tokenizer = tokenizer
        self.eos_id = tokenizer.eos_token_id
        self.max_prompt_tokens = max_prompt_tokens
        self.max_response_tokens = max_response_tokens
        added = cast("Callable[[], dict[str, int]]", tokenizer.get_added_vocab)()
        self._special = sorted(added, key=len, reverse=True)
        self._special_ids = {self.eos_id, *added.values()}
        self._check_template()
        self.end_id = self._end_of_turn()

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a response."""
        return frozenset({self.end_id, self.eos_id})

    def encode(
        self,
        sample: Sample,
        *,
        past: Sequence[Sample] = (),
        earlier: int = 2,
        notes: Sequence[str] = (),
    ) -> Encoded:
        """Turn a sample into prompt and response tokens.

        Args:
            sample: The sample.
            past: Past pairs to put before the prompt (ablations only), oldest first.
            earlier: How many of the earlier turns to show.
            notes: What else to show, the most relevant first.
        """
        turns = [turn for pair in past for turn in _as_turns(pair)]
        turns += sample.earlier[len(sample.earlier) - min(earlier, len(sample.earlier)) :]
        return Encoded(
            prompt=tuple(self.prompt(sample.query, turns, notes)),
            response=tuple(self._response(sample)),
        )

    def encode_together(self, samples: Sequence[Sample]) -> list[Encoded]:
        """Turn samples into tokens, those that go on from one another as one conversation.

        What is said once is then read once, where each sample alone would show it again as an
        earlier turn. A conversation is cut where it grows long, and where the template would lay
        out what was said before in another way; what follows begins with its own earlier turns.

        Args:
            samples: The samples, those of a conversation in their order.
        """
        found: list[Encoded] = []
        turns: list[Turn] = []
        for before, sample in zip([None, *samples], samples, strict=False):
            if found and before is not None and goes_on(sample, before):
                turns += _as_turns(before)
                if (longer := self._longer(found[-1], turns, sample)) is not None:
                    found[-1] = longer
                    continue
            turns = list(sample.earlier)
            found.append(self.encode(sample))
        return found

    def _longer(self, shorter: Encoded, turns: Sequence[Turn], sample: Sample) -> Encoded | None:
        """Return a conversation with one sample more; None where it cannot be laid out so."""
        said = (*shorter.prompt, *shorter.response)
        plain = [Turn(by_author=turn.by_author, text=self.plain(turn.text)) for turn in turns]
        ids = self._render(self.plain(sample.query), plain)
        response = self._response(sample)
        most = self.max_prompt_tokens + self.max_response_tokens
        room = max(min(_LONGEST_TOGETHER, most), len(shorter.prompt) + self.max_response_tokens)
        if ids is None or tuple(ids[: len(said)]) != said or len(ids) + len(response) > room:
            return None
        whole = (*ids[len(shorter.prompt) :], *response)
        reply = (len(whole) - len(response), len(whole))
        return Encoded(prompt=shorter.prompt, response=whole, replies=(*shorter.spans, reply))

    def _response(self, sample: Sample) -> list[int]:
        ids = [*self._ids(self.plain(sample.response)), self.end_id]
        return ids[: self.max_response_tokens]

    def prompt(
        self, query: str, turns: Sequence[Turn] = (), notes: Sequence[str] = ()
    ) -> list[int]:
        """Lay out a query after its earlier turns and notes, at most `max_prompt_tokens` long.

        Turns in a row of one side, the query's among them, are joined by newlines. Where there is
        no room the oldest turns go first, then the least relevant notes; a query too long by itself
        loses its own beginning.
        """
        query = self.plain(query)
        notes = [self.plain(note) for note in notes]
        turns = [Turn(by_author=turn.by_author, text=self.plain(turn.text)) for turn in turns]
        for n_turns, n_notes in _ever_less(len(turns), len(notes)):
            shown = turns[len(turns) - n_turns :]
            ids = self._render(query, shown, notes[:n_notes])
            if ids is not None and len(ids) <= self.max_prompt_tokens:
                return ids
        kept = self._ids(query)[-self._room() :]
        return self._render_query(str(self.tokenizer.decode(kept)))[-self.max_prompt_tokens :]

    def read_and_cut(self, query: str) -> tuple[int, int]:
        """Return how many tokens of a query are read, its end, and how many are cut."""
        query = self.plain(query)
        n, fits = len(self._ids(query)), len(self._render_query(query)) <= self.max_prompt_tokens
        n_read = n if fits else min(n, self._room())
        return n_read, n - n_read

    def text(self, ids: Sequence[int]) -> str:
        """Turn response tokens back into text."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def _render(
        self, query: str, turns: Sequence[Turn] = (), notes: Sequence[str] = ()
    ) -> list[int] | None:
        """Lay out the turns; None where the template refuses their order."""
        *before, last = taking_turns([*turns, Turn(by_author=False, text=query)])
        asked = _with_notes(last.text, notes)
        if not self.tokenizer.chat_template:
            return self._join([*(turn.text for turn in before), asked])
        messages = [
            {"role": "assistant" if turn.by_author else "user", "content": turn.text}
            for turn in before
        ]
        messages.append({"role": "user", "content": asked})
        text = self._laid_out(messages, asks=True)
        return None if text is None else self._ids(text)

    def _laid_out(self, messages: list[dict[str, str]], *, asks: bool) -> str | None:
        """Apply the template; None where it refuses. `asks` for the assistant's opening too."""
        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                chat_template=_undated(self.tokenizer.get_chat_template()),
                add_generation_prompt=asks,
                tokenize=False,
                enable_thinking=False,
            )
        except _TEMPLATE_ERRORS:
            return None
        opens = asks and str(text).rstrip().endswith(_THINKING)
        return f"{str(text).rstrip()}{_THOUGHT}" if opens else str(text)

    def _render_query(self, query: str) -> list[int]:
        ids = self._render(query)
        if ids is None:
            raise ModelError(
                "the chat template must take a single user turn",
                expected="a prompt",
                got="an error from the template",
                next_step="Fix the template, or remove it to join turns by the end-of-text token.",
            )
        return ids

    def _room(self) -> int:
        """Return how many tokens a query that is cut may have."""
        frame = len(self._render_query("")) + 2  # joins may cost a token
        return max(1, self.max_prompt_tokens - frame)

    def _join(self, texts: Sequence[str]) -> list[int]:
        bos = self.tokenizer.bos_token_id
        ids = [bos] if isinstance(bos, int) and bos != self.eos_id else []
        for text in texts:
            ids += [*self._ids(text), self.eos_id]
        return ids

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def plain(self, text: str) -> str:
        """Break up what would read as a special token: people's words are never commands."""
        for token in self._special:
            text = text.replace(token, f"{token[:1]} {token[1:]}")
        return text

    def _check_template(self) -> None:
        """Refuse a template that leaves out what was said: some want it in parts."""
        if not self.tokenizer.chat_template:
            return
        text = self._laid_out([{"role": "user", "content": _SAID}], asks=True)
        if text is not None and _SAID not in text.lower():
            raise ModelError(
                "the chat template must show what was said",
                expected="the words of a user's turn in the prompt",
                got="a prompt without them",
                next_step="Fix the template, or remove it to join turns by the end-of-text token.",
            )

    def _end_of_turn(self) -> int:
        """Read off the template which token closes the assistant's turn: what follows its words."""
        if not self.tokenizer.chat_template:
            return self.eos_id
        asked, answered = ("user", "a"), ("assistant", _SAID)
        messages = [{"role": role, "content": text} for role, text in (asked, answered)]
        _, said, closing = (self._laid_out(messages, asks=False) or "").rpartition(_SAID)
        first = self._ids(closing.strip())[:1] if said else []
        return first[0] if first and first[0] in self._special_ids else self.eos_id


@cache
def _undated(template: str) -> str:
    """Put a fixed day where a template asks for today's."""
    return _DATE.sub(lambda asked: repr(_DAY.strftime(asked[2])), template)


def layout_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return how turns are laid out, in a few words that a recipe keeps.

    Args:
        tokenizer: The base's tokeniser.
    """
    if not tokenizer.chat_template:
        return f"turns joined by {tokenizer.eos_token}"
    template = str(tokenizer.chat_template).encode()
    return f"chat template {hashlib.sha256(template).hexdigest()[:16]}"


def format_for(base: LanguageModel, settings: TrainSettings) -> PromptFormat:
    """Lay prompts out for a base: within the settings, and within its positions.

    Raises:
        ModelError: The tokeniser has no end token, or there is no room for a prompt.

    Examples:
        >>> from lorecall import TrainSettings
        >>> from lorecall.lm import format_for, tiny_base
        >>> settings = TrainSettings(max_prompt_tokens=4096, max_response_tokens=128)
        >>> base = tiny_base()
        >>> base.max_tokens, format_for(base, settings).max_prompt_tokens
        (1024, 896)
    """
    room = base.max_tokens - settings.max_response_tokens
    return PromptFormat(
        base.tokenizer,
        max_prompt_tokens=min(settings.max_prompt_tokens, room),
        max_response_tokens=settings.max_response_tokens,
    )


def _ever_less(n_turns: int, n_notes: int) -> Iterator[tuple[int, int]]:
    """Return how many turns and notes to try, from all of them to none."""
    yield from ((n, n_notes) for n in range(n_turns, -1, -1))
    yield from ((0, n) for n in range(n_notes - 1, -1, -1))


def _with_notes(query: str, notes: Sequence[str]) -> str:
    if not notes:
        return query
    return "\n".join([NOTES_HEAD, *(f"- {note}" for note in notes), "", query])


def _as_turns(sample: Sample) -> tuple[Turn, Turn]:
    return Turn(by_author=False, text=sample.query), Turn(by_author=True, text=sample.response)
