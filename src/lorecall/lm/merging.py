"""A shared memory in the weights of a base: added once, after loading, and free from then on.

Notation:
    W   d x k   the frozen weight of a linear map
    A, B, s     the shared memory's pair there, and its scaling
"""

from types import MappingProxyType

import torch

from lorecall.errors import ModelError
from lorecall.lm.attach import Injection
from lorecall.lm.base import SharedName
from lorecall.lm.families.family import weight_of
from lorecall.lm.lora import Directions, merged_weight


@torch.no_grad()
def merge(injection: Injection, *, name: str, sha256: str) -> None:
    """Add pairs to the weights of their base: W becomes W + s B A, in the base's own format.

    A shared memory's pairs are in singular form: the rows of A and the columns of B are at right
    angles, the largest first. Their directions are kept beside the base, for cores to mix.

    It is done before the base is used for anything, and is not undone: whoever wants the base
    without it loads it again.

    Args:
        injection: The pairs. Their base is another one from now on, of another fingerprint.
        name: What the shared memory is called, or its folder.
        sha256: Hash of its weights.

    Raises:
        ModelError: The base holds one already, or its weights are in 4 bits.

    Examples:
        >>> from lorecall.lm import Injection, merge, tiny_base
        >>> from lorecall.records import InjectionConfig
        >>> base = tiny_base("llama")
        >>> before = base.fingerprint
        >>> pairs = Injection(base, InjectionConfig(layers=(0,), n_loras=1, rank=2))
        >>> pairs.pairs[0].up.data += 0.1
        >>> merge(pairs, name="shared", sha256="5e1f")
        >>> base.fingerprint == before, base.shared.name
        (False, 'shared')
    """
    base = injection.base
    if base.four_bit or base.shared is not None:
        raise ModelError(
            "a shared memory is merged into whole weights, once",
            expected="a base as it was loaded, in bf16 or fp32",
            got="a base in 4 bits" if base.four_bit else base.title,
            next_step="Load the base again, without four_bit; or take base.shared=none.",
        )
    directions: dict[str, Directions] = {}
    for key, pair in injection.named_pairs():
        weight_of(pair.linear).copy_(merged_weight(pair))
        down, up, _ = pair.for_call(torch.float32)
        directions[key] = Directions.of(down, up)
    base.directions = MappingProxyType(directions)
    base.shared = SharedName(name=name, sha256=sha256)
