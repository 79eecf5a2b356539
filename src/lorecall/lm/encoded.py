"""A sample as a model reads it: tokens, and which of them are learnt."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One sample in tokens. The response ends with the end-of-turn token unless it was cut.

    A whole conversation is one too: its first turn is the prompt, all that follows the response,
    and `replies` says which parts of it are learnt, as (start, end); None for all of it.

    Examples:
        >>> from lorecall.lm import Encoded
        >>> sample = Encoded(prompt=(3, 72, 105, 4), response=(79, 107, 2))
        >>> sample.n_tokens, sample.read
        (7, (3, 72, 105, 4, 79, 107))
    """

    prompt: tuple[int, ...]
    response: tuple[int, ...]
    replies: tuple[tuple[int, int], ...] | None = None

    @property
    def n_tokens(self) -> int:
        """Length of prompt and response together."""
        return len(self.prompt) + len(self.response)

    @property
    def read(self) -> tuple[int, ...]:
        """What is read to predict the response: its last token predicts nothing."""
        return (*self.prompt, *self.response[:-1])

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Where the replies are in the response, as (start, end); each has a loss of its own."""
        return ((0, len(self.response)),) if self.replies is None else self.replies

    @property
    def places(self) -> Sequence[int]:
        """The places in the response whose loss counts."""
        return [i for span in self.spans for i in range(*span)]

    @property
    def targets(self) -> tuple[int, ...]:
        """The response tokens whose loss counts."""
        return tuple(self.response[i] for i in self.places)
