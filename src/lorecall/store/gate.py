"""The gate: a version becomes the head only if it harms nothing.

It is read beside the base on general text, and beside the head on the person's own validation
replies. What is worse stays a candidate: it can be looked at and asked by its number, and the head
answers as before.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Self

from pydantic import TypeAdapter

from lorecall.store.recipe import Packed

GENERAL = 0.02
"""Nats per token that the loss on general text may rise by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The version that answers now, to be compared with.

    Args:
        n: Its number.
        packed: What it holds.
        held: Which of the rows that are learnt it was built from, by their places.
    """

    n: int
    packed: Packed
    held: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a version is measured beside, once it is built; the base alone where there is no head.

    Examples:
        >>> from lorecall.store import Gate
        >>> Gate().head is None
        True
    """

    head: Head | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A version beside the head, on validation replies that the head never learnt.

    Args:
        n: The head's number.
        loss: The head's loss.
        own: The version's.
        error: The standard error of their difference, by replies.
        n_replies: How many there are.
    """

    n: int
    loss: float
    own: float
    error: float
    n_replies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of a version, in nats per token: means over sentences, or over replies.

    Args:
        general: Its loss on general text.
        general_before: The base's.
        valid: Its loss on the person's validation replies.
        valid_before: The base's.
        n_valid: How many those are.
        beside: It beside the head; None where there is none to compare with.

    Examples:
        >>> from lorecall.store import Measured
        >>> found = {"valid": 3.9, "valid_before": 4.2, "n_valid": 12}
        >>> Measured(general=3.51, general_before=3.50, **found).harm
        ''
        >>> print(Measured(general=3.56, general_before=3.50, **found).harm)
        the loss on general text rises by 0.060 nats per token, and 0.02 are allowed
    """

    general: float
    general_before: float
    valid: float
    valid_before: float
    n_valid: int
    beside: Beside | None = None

    @property
    def harm(self) -> str:
        """Why it must not become the head; empty where nothing speaks against it."""
        found: list[str] = []
        rise = self.general - self.general_before
        if not rise <= GENERAL:  # also where it is no number
            found.append(
                f"the loss on general text rises by {rise:.3f} nats per token, and {GENERAL:g} are"
                " allowed"
            )
        if not math.isfinite(self.valid):
            found.append("its validation loss is no number")
        elif (beside := self.beside) is not None and beside.own - beside.loss > beside.error:
            found.append(
                f"its validation loss is {beside.own - beside.loss:.3f} nats per token above"
                f" v{beside.n}'s, and the standard error of that is {beside.error:.3f}"
                f" ({beside.n_replies} replies)"
            )
        return "; ".join(found)

    @property
    def gain(self) -> float:
        """How much better the validation replies are read with it than without."""
        return self.valid_before - self.valid

    def on(self, packed: Packed) -> Packed:
        """Return a version with what was measured of it."""
        return replace(packed, measured=json.dumps(asdict(self)))  # it may hold what is no number

    @classmethod
    def of(cls, packed: Packed) -> Self | None:
        """Return what was measured of a version; None where nothing was."""
        return TypeAdapter(cls | None).validate_json(packed.measured)
