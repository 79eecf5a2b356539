"""What a memory never changes, computed once and kept: for all epochs and trials of a search.

Below its first active layer a memory changes nothing, so the stream before that layer's
feed-forward block is the base's own, and so are the keys and values up to there. With a memory that
acts on responses alone, all keys and values of a prompt are the base's own.

They are kept in memory up to a limit, then in memory-mapped temporary files up to another; past
that they are computed again each time.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.engine.attention import PastKeyValues
from lorecall.lm.engine.body import Body, KeysValues
from lorecall.lm.engine.packing import packed_rows, unpacked_rows
from lorecall.lm.engine.prefill import base_past

_BATCH_SIZE = 16
_FILE_BYTES = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """What is known of one sample: layer -> rows, one a token but the last.

    `streams` holds the stream before a layer's feed-forward, *shape* (rows, width); `keys_values`
    a layer's keys and values, *shape* (rows, key heads, head width) each.
    """

    streams: dict[int, Tensor] = field(default_factory=dict)
    keys_values: dict[int, KeysValues] = field(default_factory=dict)


class ActivationCache:
    """Keeps what the base alone makes of samples.

    Args:
        base: The base.
        memory_bytes: Most that is kept in memory.
        disk_bytes: Most that is kept in files besides.

    Examples:
        >>> from lorecall.lm import Encoded, tiny_base
        >>> from lorecall.train import ActivationCache
        >>> cache = ActivationCache(tiny_base(width=32), memory_bytes=2**20, disk_bytes=0)
        >>> sample = Encoded(prompt=(3, 72, 105, 4), response=(79, 107, 2))
        >>> (entry,) = cache.entries(1, [sample])
        >>> entry.streams[1].shape
        torch.Size([6, 32])
        >>> cache.budget.in_memory  # 6 x 32 numbers of 4 bytes
        768
    """

    def __init__(
        self, base: LanguageModel, *, memory_bytes: int = 2**30, disk_bytes: int = 2**34
    ) -> None:
        self.base = base
        self.budget = ByteBudget(memory_bytes=memory_bytes, disk_bytes=disk_bytes)
        self._entries: dict[Encoded, CacheEntry] = {}
        self._prompts: dict[Encoded, Tensor] = {}

    def entries(
        self, layer: int, samples: Sequence[Encoded], *, keys: bool = False
    ) -> list[CacheEntry]:
        """Return what lies below the feed-forward block of a layer.

        Args:
            layer: The first layer with a module.
            samples: The samples, prompt and response.
            keys: Whether the keys and values of layers 0 to `layer` are wanted too.
        """
        found: dict[Encoded, CacheEntry] = {}
        for sample in samples:
            entry = self._entries.setdefault(sample, CacheEntry())
            if layer in entry.streams and (not keys or layer in entry.keys_values):
                found[sample] = entry
        missing = sorted(set(samples) - set(found), key=lambda sample: sample.n_tokens)
        for first in range(0, len(missing), _BATCH_SIZE):
            found |= self._compute(layer, missing[first : first + _BATCH_SIZE], keys=keys)
        return [found[sample] for sample in samples]

    def prompts(self, samples: Sequence[Encoded]) -> tuple[PastKeyValues, ...]:
        """Return the keys and values, in every layer, of the prompts without their last token.

        Returns:
            A pair a layer, padded on the right. *Shape:* (samples, tokens, key heads, head width)
        """
        found = {s: self._prompts[s] for s in samples if s in self._prompts}
        missing = sorted(set(samples) - set(found), key=lambda sample: len(sample.prompt))
        for first in range(0, len(missing), _BATCH_SIZE):
            part = missing[first : first + _BATCH_SIZE]
            past = base_past(self.base, [sample.prompt[:-1] for sample in part])
            whole = torch.stack([x for halves in past for x in halves], dim=2)
            for sample, rows in zip(part, whole, strict=True):
                found[sample] = rows[: len(sample.prompt) - 1]
                if (kept := self.budget.keep(found[sample])) is not None:
                    self._prompts[sample] = kept
        whole = pad_sequence([found[sample] for sample in samples], batch_first=True)
        return tuple(
            (whole[:, :, 2 * i], whole[:, :, 2 * i + 1]) for i in range(self.base.n_layers)
        )

    @torch.no_grad()
    def _compute(self, layer: int, part: list[Encoded], *, keys: bool) -> dict[Encoded, CacheEntry]:
        """Go on from the highest layer that all of the part have in common."""
        known = [self._entries[sample] for sample in part]
        common = set.intersection(*(set(k.streams) for k in known))
        if keys:
            common &= set.intersection(*(set(k.keys_values) for k in known))
        start = max((i for i in common if i < layer), default=None)
        body = Body(self.base)
        packed = body.pack([sample.read for sample in part], [1] * len(part))
        if start is None:
            h = body.embed(packed)
        else:
            h = packed_rows(packed, [k.streams[start] for k in known])
        passed = body.to_mlp(h, packed, layer=layer, start=start, keep=keys)
        streams = unpacked_rows(packed, passed.h)
        halves = [[unpacked_rows(packed, x) for x in pair] for pair in passed.keys_values]
        found: dict[Encoded, CacheEntry] = {}
        for j, sample in enumerate(part):
            new = {layer - len(halves) + 1 + i: (k[j], v[j]) for i, (k, v) in enumerate(halves)}
            before = {i: pair for i, pair in known[j].keys_values.items() if i < layer}
            found[sample] = CacheEntry(streams={layer: streams[j]}, keys_values={**before, **new})
            self._keep(sample, layer, streams[j], new)
        return found

    def _keep(
        self, sample: Encoded, layer: int, stream: Tensor, new: dict[int, KeysValues]
    ) -> None:
        known = self._entries[sample]
        if layer not in known.streams and (kept := self.budget.keep(stream)) is not None:
            known.streams[layer] = kept
        for i, (k, v) in new.items():
            if (
                i not in known.keys_values
                and (kept := self.budget.keep(torch.stack([k, v]))) is not None
            ):
                known.keys_values[i] = (kept[0], kept[1])


class ByteBudget:
    """Keeps tensors in memory up to a limit, then in memory-mapped files, then not at all.

    The files have no name once they are mapped: they are gone with the process, however it ends.

    Args:
        memory_bytes: Limit of the memory.
        disk_bytes: Limit of the files.

    Attributes:
        in_memory: Bytes kept in memory.
        in_files: Bytes kept in files.
    """

    def __init__(self, *, memory_bytes: int, disk_bytes: int) -> None:
        self.memory_bytes, self.disk_bytes = memory_bytes, disk_bytes
        self.in_memory = self.in_files = 0
        self._file: Tensor | None = None
        self._used = 0

    def keep(self, x: Tensor) -> Tensor | None:
        """Copy a tensor to where there is room; None where there is none."""
        n_bytes = x.numel() * x.element_size()
        if self.in_memory + n_bytes <= self.memory_bytes:
            self.in_memory += n_bytes
            return x.detach().clone()
        if self.in_files + n_bytes > self.disk_bytes or x.device.type != "cpu":
            return None
        return self._to_file(x, n_bytes)

    def _to_file(self, x: Tensor, n_bytes: int) -> Tensor | None:
        aligned = -(-n_bytes // 64) * 64
        if self._file is None or self._used + aligned > len(self._file):
            self._file, self._used = _mapped(max(_FILE_BYTES, aligned)), 0
            if self._file is None:  # the disk is full
                self.disk_bytes = self.in_files
                return None
        place = self._file[self._used : self._used + n_bytes].view(x.dtype).view(x.shape)
        self._used += aligned
        self.in_files += n_bytes
        return place.copy_(x.detach())


def _mapped(n_bytes: int) -> Tensor | None:
    """Map a new temporary file; None where the disk has no room for it."""
    with tempfile.NamedTemporaryFile(prefix="lorecall-") as file:
        try:
            for _ in range(0, n_bytes, 2**20):  # room that is only promised would end the process
                file.write(bytes(2**20))
            file.flush()
        except OSError:
            return None
        return torch.from_file(file.name, shared=True, size=n_bytes, dtype=torch.uint8)
