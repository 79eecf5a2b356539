"""The fast path through a base: packed rows in, the rows that matter out.

Four things are not computed that the plain path computes: padding; the common start of a batch
more than once; in the last layer, rows that predict nothing; and, where their state is known, the
layers below a memory. What is computed is the same (`tests/lm` compares).
"""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.attention import Past, attend
from lorecall.lm.engine.kernels import set_fusing
from lorecall.lm.engine.linears import Linears
from lorecall.lm.engine.packing import Pack, pack
from lorecall.lm.families.blocks import BLOCKS, Rotation

KeysValues = tuple[Tensor, Tensor]
"""One layer's keys and values of packed rows. *Shape:* (rows, key heads, head width) each."""


class Body:
    """The layers of a base, run over packed rows.

    Args:
        base: The frozen base; memories put on it later take part.
        reorder: Whether to keep reordered copies of the weights for decoding on a CPU.
    """

    def __init__(self, base: LanguageModel, *, reorder: bool = True) -> None:
        self.base = base
        self.linears = Linears(reorder=reorder)
        self.blocks = BLOCKS[base.family.name](base.model)
        if base.device.type == "cuda":
            set_fusing(on=True, device=base.device)

    @property
    def n_layers(self) -> int:
        """L."""
        return self.blocks.n_layers

    def pack(
        self,
        sequences: Sequence[Sequence[int]],
        tails: Sequence[int],
        *,
        past: Sequence[int] | None = None,
        share: bool = True,
    ) -> Pack:
        """Pack sequences for this base; arguments as `lorecall.lm.engine.packing.pack`."""
        base = self.base
        return pack(sequences, tails, dtype=base.dtype, device=base.device, past=past, share=share)

    def embed(self, packed: Pack) -> Tensor:
        """Return the stream before the first layer. *Shape:* (rows, width)."""
        return self.blocks.embed(packed.ids, self._positions(packed))

    def to_feed(
        self,
        h: Tensor,
        packed: Pack,
        *,
        layer: int,
        start: int | None = None,
        kept: list[KeysValues] | None = None,
    ) -> Tensor:
        """Run up to the feed-forward block of a layer.

        Args:
            h: The stream before the first layer, or before the feed-forward of `start`.
            packed: The rows.
            layer: Where to stop.
            start: The layer whose feed-forward comes first; None for the very beginning.
            kept: Takes the keys and values of every layer gone through.

        Returns:
            The stream before the feed-forward of `layer`. *Shape:* (rows, width)
        """
        rotation = self.rotation(self._positions(packed))
        for i in range(-1 if start is None else start, layer):
            if i >= 0:
                h = self.blocks.mlp(i, h, self.linears)
            h = self._attention(i + 1, h, packed, rotation, kept=kept)
        return h

    def wanted(
        self,
        h: Tensor,
        packed: Pack,
        *,
        start: int | None = None,
        kept: list[KeysValues] | None = None,
        past: Sequence[Past] | None = None,
    ) -> Tensor:
        """Run to the end and give the wanted rows.

        Args:
            h: The stream before the first layer, or before the feed-forward of `start`.
            packed: The rows.
            start: The layer whose feed-forward comes first; None for the very beginning.
            kept: Takes the keys and values of every layer gone through.
            past: Keys and values of what came before, a pair a layer.

        Returns:
            What the head is applied to. *Shape:* (wanted rows, width)
        """
        rotation = self.rotation(self._positions(packed))
        last = self.n_layers - 1
        if start == last:
            h = h[packed.wanted]
        for i in range(-1 if start is None else start, last + 1):
            if i >= 0:
                h = self.blocks.mlp(i, h, self.linears)
            if i < last:
                before = None if past is None else past[i + 1]
                narrow = i + 1 == last
                h = self._attention(
                    i + 1, h, packed, rotation, kept=kept, past=before, narrow=narrow
                )
        return self.blocks.final_norm(h)

    def logits(self, h: Tensor) -> Tensor:
        """Apply the head. *Shape:* (rows, width) to (rows, vocabulary), in fp32."""
        head = self.base.model.lm_head
        if type(head) is nn.Linear:
            return self.linears(head, h).float()
        return self.base.logits(h)

    def _attention(
        self,
        layer: int,
        h: Tensor,
        packed: Pack,
        rotation: Rotation | None,
        *,
        kept: list[KeysValues] | None = None,
        past: Past | None = None,
        narrow: bool = False,
    ) -> Tensor:
        """Run one attention block; `narrow` goes on with the wanted rows alone."""
        q, k, v = self.blocks.qkv(layer, h, rotation, self.linears)
        if kept is not None:
            kept.append((k, v))
        geometry = packed.last if narrow else packed.whole
        if narrow:
            q, h = q[packed.wanted], h[packed.wanted]
        scaling = self.blocks.scaling(layer)
        mixed = attend(q, k, v, geometry, scaling=scaling, past=past)
        return self.blocks.attention_output(layer, h, mixed, self.linears)

    def rotation(self, positions: Tensor) -> Rotation | None:
        """Compute the rotary angles of positions, in the weights' number format."""
        like = torch.empty(0, dtype=self.base.dtype, device=self.base.device)
        return self.blocks.rotation(positions, like)

    def _positions(self, packed: Pack) -> Tensor:
        return (
            self.base.first_position + packed.places if self.base.first_position else packed.places
        )


_BODIES: WeakKeyDictionary[LanguageModel, Body] = WeakKeyDictionary()


def body_of(base: LanguageModel) -> Body:
    """Return the fast path of a base, made when it is first asked for: its copies are shared."""
    if base not in _BODIES:
        _BODIES[base] = Body(base)
    return _BODIES[base]
