"""How a memory takes part in transformers' own forward pass: the plain path.

Every linear that a pair can be beside has a hook from the start, which does nothing until a call
says whose pairs act. A call says it in a context variable: each thread has its own, so calls with
different memories may run at once on one base.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor, nn

from lorecall.lm.lora import CallPairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """The pairs that act in one call.

    Args:
        pairs: The pairs.
        tokens: 1 where they act, 0 where the base is left alone; None for everywhere.
            *Shape:* (batch or 1, tokens, 1)
    """

    pairs: CallPairs
    tokens: Tensor | None = None


_ACTING: ContextVar[Acting | None] = ContextVar("acting", default=None)


def hook_linears(linears: Iterable[nn.Module]) -> None:
    """Let pairs act beside linears; one that is hooked already stays as it is."""
    for linear in linears:
        hooks = linear._forward_hooks  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        if _add_update not in hooks.values():
            linear.register_forward_hook(_add_update)


@contextmanager
def acting(memory: Acting | None) -> Generator[None]:
    """Let pairs act in the forward passes of a block, in this thread alone."""
    token = _ACTING.set(memory)
    try:
        yield
    finally:
        _ACTING.reset(token)


def _add_update(linear: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
    memory = _ACTING.get()
    pair = None if memory is None else memory.pairs.get(linear)
    if memory is None or pair is None:
        return None  # the output stays
    update = pair.update(inputs[0])
    return output + (update if memory.tokens is None else update * memory.tokens)  # eq. (1)
