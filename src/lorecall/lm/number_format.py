"""Which number format a processor computes faster in: measured once a machine, and kept.

That a processor has instructions for bf16 does not say that they are the faster ones: without AMX,
torch multiplies bf16 more slowly than fp32 on some. So both are timed, in the two products that
time goes into:

    training    forward and backward of a linear map over as many rows as a batch has tokens
    decoding    a linear map over a few rows, which waits for the weights from memory

The rule: bf16 is taken where sqrt(training speed-up x decoding speed-up) is above 1.1. Learning is
mostly training, replying is mostly decoding, so neither alone decides; and fp32 is more exact and
merges memories into weights, so bf16 must be worth it.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from time import perf_counter

import torch
import torch.nn.functional as F

from lorecall.core.files import cache_folder, read_json, write_json
from lorecall.errors import InputError

_ENOUGH = 1.1
_ROUNDS = 3
_AT_MOST_S = 0.1  # of repeating
_N_ROWS, _K, _D = 512, 576, 1536  # those of the default base
_FEW_ROWS = 4
_N_WEIGHTS = 8

Timer = Callable[[torch.dtype], "Times"]
"""Times the products in a number format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of one product of each kind: the shortest of some rounds."""

    training: float
    decoding: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Speedup:
    """How many times as fast bf16 is as fp32."""

    training: float
    decoding: float

    @property
    def pays(self) -> bool:
        """Whether bf16 is to be taken."""
        return math.sqrt(self.training * self.decoding) > _ENOUGH

    def __str__(self) -> str:
        return f"bf16 {self.training:.2g}x fp32 in training, {self.decoding:.2g}x in decoding"


def bf16_speedup(machine: str, *, timer: Timer | None = None) -> Speedup:
    """Return how much faster bf16 is on this machine, from the cache where it was measured before.

    Args:
        machine: What the figures depend on: processor, threads, version of torch.
        timer: Times the products; a real one when None.
    """
    kept = cache_folder() / "formats" / f"{sha256(machine.encode()).hexdigest()[:16]}.json"
    with contextlib.suppress(InputError, OSError, ValueError, KeyError):
        found = read_json(kept, what="a kept measurement", error=InputError)
        if found["machine"] == machine:
            return Speedup(training=_figure(found, "training"), decoding=_figure(found, "decoding"))
    time = timer or time_products
    full, half = time(torch.float32), time(torch.bfloat16)
    speedup = Speedup(
        training=full.training / half.training, decoding=full.decoding / half.decoding
    )
    with contextlib.suppress(OSError):
        write_json(kept, {"machine": machine, **asdict(speedup)})
    return speedup


def time_products(dtype: torch.dtype) -> Times:
    """Time both products in a number format: about 0.1 s."""
    weight = torch.ones(_D, _K, dtype=dtype)
    weights = torch.ones(_N_WEIGHTS * _D, _K, dtype=dtype)  # more than a cache holds
    upstream = torch.ones(_N_ROWS, _D, dtype=dtype)
    few = torch.ones(_FEW_ROWS, _K, dtype=dtype)

    def train() -> None:
        with torch.enable_grad():
            x = torch.ones(_N_ROWS, _K, dtype=dtype, requires_grad=True)
            F.linear(x, weight).backward(upstream)

    def decode() -> None:
        with torch.no_grad():
            F.linear(few, weights)

    return Times(training=_shortest(train), decoding=_shortest(decode))


def _shortest(product: Callable[[], None]) -> float:
    """Return the shortest of a few rounds, the first left out; a slow one is not repeated."""
    product()
    times: list[float] = []
    started = perf_counter()
    while len(times) < _ROUNDS and (not times or perf_counter() - started < _AT_MOST_S / 4):
        before = perf_counter()
        product()
        times.append(perf_counter() - before)
    return min(times)


def _figure(found: Mapping[str, object], name: str) -> float:
    """Return a kept figure.

    Raises:
        ValueError: It is none.
    """
    value = found[name]
    if not isinstance(value, float) or not 0 < value < math.inf:
        raise ValueError(name)
    return value
