"""How tokens are chosen when a reply is decoded.

This module knows nothing of models.
"""

from dataclasses import dataclass, replace
from math import inf

from lorecall.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How tokens are chosen: the likeliest one, or one drawn where the temperature is above 0.

    Args:
        stop_bias: What is added to the logits of the tokens that end an answer; below 0, answers
            come out longer.
        no_repeat: How many tokens in a row an answer never has twice; 0 for no such rule. What is
            in the prompt may be said again.
        temperature: What logits are divided by before a token is drawn; 0 takes the likeliest.
        top_p: The likeliest tokens are drawn from that make up so much of the probability.
        min_p: None is drawn that is less likely than so much of the likeliest one's probability.
        seed: Of the draws; the same prompt and seed give the same answer, whatever else is asked.

    Raises:
        ConfigError: A number is outside its range.

    Examples:
        >>> from lorecall import Decoding, ModelResponder
        >>> from lorecall.lm import tiny_base
        >>> drawn = Decoding(temperature=0.8, min_p=0.05, seed=7)
        >>> responder = ModelResponder(tiny_base(), decoding=drawn)
        >>> responder.reply("tea?") == responder.reply("tea?")  # the same seed
        True
    """

    stop_bias: float = 0.0
    no_repeat: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("no_repeat", self.no_repeat >= 0, "0 or more"),
            ("temperature", 0 <= self.temperature < inf, "0 or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0, at most 1"),
            ("min_p", 0 <= self.min_p <= 1, "0 to 1"),
            ("seed", self.seed >= 0, "0 or more"),
        ):
            if not fits:  # NaN fits nothing
                raise ConfigError(
                    f"{name} must be in range",
                    expected=expected,
                    got=str(getattr(self, name)),
                    next_step="Leave it out to take the likeliest token, whatever came before.",
                )

    def drawn_as(self, other: "Decoding") -> "Decoding":
        """Return this with tokens drawn as another says; length and loops stay as they are here."""
        return replace(other, stop_bias=self.stop_bias, no_repeat=self.no_repeat)


GREEDY = Decoding()
READABLE = Decoding(temperature=0.7, min_p=0.1)
"""How replies are drawn that people read; metrics are of the likeliest ones."""
