"""The fast path through a base: packed rows in, the rows that matter out.

Four things are not computed that the plain path computes: padding; the common start of a batch
more than once; in the last layer, rows that predict nothing; and, where their state is known, the
layers below a memory. What is computed is the same (`tests/lm` compares).
"""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.attention import PastKeyValues, attend
from lorecall.lm.engine.kernels import set_fusing
from lorecall.lm.engine.linears import Linears, WeightCopies
from lorecall.lm.engine.packing import Pack, pack
from lorecall.lm.families.blocks import Blocks, Rotation
from lorecall.records import Inject

KeysValues = tuple[Tensor, Tensor]
"""One layer's keys and values of packed rows. *Shape:* (rows, key heads, head width) each."""


class Passed(NamedTuple):
    """What came out of some layers.

    Args:
        h: The rows. *Shape:* (rows, width)
        keys_values: Those of every layer gone through; empty unless they were to be kept.
    """

    h: Tensor
    keys_values: list[KeysValues]


class Body:
    """The layers of a base for one call, run over packed rows with the memories that it uses.

    It is cheap, and made for every call; what is costly is made once a base, and knows nothing of
    memories. So calls with different memories may run on one base at once.

    Args:
        base: The frozen base.
        memories: One, or None for the base alone. Of several, each acts on its own share of the
            rows, in order.
        merge: Whether to merge a memory into copies of the weights: for calls without training.
        copies: The base's reordered weights; those that all calls share when None.

    Attributes:
        inject: Which tokens the memories act on.
    """

    def __init__(
        self,
        base: LanguageModel,
        *memories: Injection | None,
        merge: bool = False,
        copies: WeightCopies | None = None,
    ) -> None:
        shared = _shared_by(base)
        self.base = base
        self.blocks = shared.blocks
        used = [memory for memory in memories if memory is not None]
        self.linears = Linears(copies or shared.copies, used, merge=merge)
        self.inject: Inject = used[0].config.inject if used else "all"

    @property
    def n_layers(self) -> int:
        """L."""
        return self.blocks.n_layers

    def pack(
        self,
        sequences: Sequence[Sequence[int]],
        n_targets: Sequence[int],
        *,
        past: Sequence[int] | None = None,
        share: bool = True,
    ) -> Pack:
        """Pack sequences for this base; arguments as `lorecall.lm.engine.packing.pack`."""
        return pack(
            sequences,
            n_targets,
            dtype=self.base.dtype,
            device=self.base.device,
            past=past,
            share=share,
            windows=self.blocks.windows,
        )

    def embed(self, packed: Pack) -> Tensor:
        """Return the stream before the first layer. *Shape:* (rows, width)."""
        return self.blocks.embed(packed.ids, self.positions(packed.places))

    def to_mlp(
        self, h: Tensor, packed: Pack, *, layer: int, start: int | None = None, keep: bool = False
    ) -> Passed:
        """Run up to the feed-forward block of a layer.

        Args:
            h: The stream before the first layer, or before the feed-forward of `start`.
            packed: The rows.
            layer: Where to stop.
            start: The layer whose feed-forward comes first; None for the very beginning.
            keep: Whether to keep keys and values.

        Returns:
            The stream before the feed-forward of `layer`. *Shape:* (rows, width)
        """
        return self._attended(h, packed, _span(start, layer), keep=keep)

    def targets(
        self,
        h: Tensor,
        packed: Pack,
        *,
        start: int | None = None,
        keep: bool = False,
        past: Sequence[PastKeyValues] | None = None,
    ) -> Passed:
        """Run to the end; from the last layer's attention on, only rows that predict a target.

        Args:
            h: The stream before the first layer, or before the feed-forward of `start`.
            packed: The rows.
            start: The layer whose feed-forward comes first; None for the very beginning.
            keep: Whether to keep keys and values.
            past: Keys and values of what came before, a pair a layer.

        Returns:
            What the head is applied to. *Shape:* (target rows, width)
        """
        last = self.n_layers - 1
        layers = _span(start, last)
        passed = self._attended(h, packed, layers, keep=keep, past=past, narrow=True)
        h = passed.h if layers else h[packed.targets]
        h = self.blocks.mlp(last, h, self.linears)
        return Passed(self.blocks.final_norm(h), passed.keys_values)

    def logits(self, h: Tensor) -> Tensor:
        """Apply the head. *Shape:* (rows, width) to (rows, vocabulary), in fp32."""
        head = self.base.head
        if type(head) is nn.Linear:
            return self.base.logit_scale(self.linears(head, h).float())
        return self.base.logits(h)

    def positions(self, places: Tensor) -> Tensor:
        """Return the position ids of places in a sequence, counted from 0."""
        return self.base.first_position + places if self.base.first_position else places

    def rotation(self, positions: Tensor) -> Rotation:
        """Compute the rotary angles of positions, in the weights' number format."""
        like = torch.empty(0, dtype=self.base.dtype, device=self.base.device)
        return self.blocks.rotation(positions, like)

    def _attended(
        self,
        h: Tensor,
        packed: Pack,
        layers: range,
        *,
        keep: bool,
        past: Sequence[PastKeyValues] | None = None,
        narrow: bool = False,
    ) -> Passed:
        """Run the attention of some layers, and each one's feed-forward before the next.

        A first layer above 0 begins with the feed-forward of the layer below it; `narrow` goes on
        with the target rows alone from the last layer's attention.
        """
        blocks, linears = self.blocks, self.linears
        rotation = self.rotation(self.positions(packed.places))
        keys_values: list[KeysValues] = []
        for i in layers:
            if i > 0:
                h = blocks.mlp(i - 1, h, linears)
            q, k, v = blocks.qkv(i, h, rotation, linears)
            if keep:
                keys_values.append((k, v))
            geometry = packed.whole
            if narrow and i == layers[-1]:
                q, h, geometry = q[packed.targets], h[packed.targets], packed.last
            before = None if past is None else past[i]
            values = attend(q, k, v, geometry, scores=blocks.scores(i), past=before)
            h = blocks.attention_output(i, h, values, linears)
        return Passed(h, keys_values)


def _span(start: int | None, layer: int) -> range:
    """Return the layers whose attention is run from before the feed-forward of `start` on."""
    return range(0 if start is None else start + 1, layer + 1)


class _Shared:
    """What every call on a base uses: its blocks, and reordered copies of its weights."""

    def __init__(self, base: LanguageModel) -> None:
        assert base.family.blocks is not None
        self.blocks: Blocks = base.family.blocks(base.model)
        self.copies = WeightCopies()
        if base.device.type == "cuda":
            set_fusing(on=True, device=base.device)


_SHARED: WeakKeyDictionary[LanguageModel, _Shared] = WeakKeyDictionary()
_MAKING = Lock()


def _shared_by(base: LanguageModel) -> _Shared:
    with _MAKING:
        if base not in _SHARED:
            _SHARED[base] = _Shared(base)
        return _SHARED[base]
