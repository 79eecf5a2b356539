"""What would be found of something forgotten, were it still somewhere: kept as keyed hashes alone.

A forgetting that is stopped must be able to search when it is finished, and the text is gone by
then. So each piece that is looked for is written down as a slot and an HMAC, with a key that lies
among the keys until the search is over: who has the one without the other can test no guess.

| symbol | meaning |
|---|---|
| piece | 12 to 64 bytes of a text, of its tokens, or of weights |
| window | any 8 bytes in a row of a file, as a number w |
| slot | 24 bits of (w xor a) b mod 2^64, with a and an odd b from the key: where to look closer |
| mark | slot and length of a piece, and the first 16 bytes of its HMAC-SHA256 |
"""

import hmac
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap

import numpy as np
from numpy.typing import NDArray

from lorecall.store.recipe import Packed, tensors_in
from lorecall.store.rows import Row

KEY_BYTES = 32
_SHORTEST, _TEXT, _LONGEST = 12, 32, 64
_FEWEST_TOKENS = 6
_WINDOW, _SLOT_BITS, _MAC = 8, 24, 16
_BLOCK = 1 << 20
_WIDTHS = ("<i8", "<i4", "<u2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One piece, as a keyed hash."""

    slot: int
    length: int
    mac: bytes


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What is looked for.

    Args:
        key: Of the hashes.
        marks: The pieces.
        n_too_short: How many texts are too short to be told from chance.
        has_tokens: Whether the tokens of the texts are among them.
    """

    key: bytes
    marks: frozenset[Mark]
    n_too_short: int
    has_tokens: bool = False

    @classmethod
    def of(cls, key: bytes, rows: Iterable[Row], versions: Iterable[Packed]) -> "Traces":
        """Return the traces of records and of versions that held them."""
        texts = texts_of(rows)
        long_enough = [text for text in texts if len(text.encode()) >= _SHORTEST]
        pieces = {p for text in long_enough for p in _of_text(text)}
        pieces |= {piece for packed in versions for piece in _of_weights(packed)}
        return cls(key=key, marks=_marked(key, pieces), n_too_short=len(texts) - len(long_enough))

    def with_tokens(self, tokens: Iterable[Sequence[int]]) -> "Traces":
        """Return them with the tokens of texts, in each width that they are usually kept in."""
        pieces = {piece for ids in tokens for piece in _of_tokens(ids)}
        return Traces(
            key=self.key,
            marks=self.marks | _marked(self.key, pieces),
            n_too_short=self.n_too_short,
            has_tokens=True,
        )

    def found_in(self, content: bytes | mmap) -> int:
        """Return how many of the pieces are somewhere in a content."""
        return len({*self._found(content)})

    def noted(self) -> str:
        """Return them as they are kept, without the key; JSON."""
        marks = sorted((m.slot, m.length, m.mac.hex()) for m in self.marks)
        kept = {"marks": marks, "too_short": self.n_too_short, "tokens": self.has_tokens}
        return json.dumps(kept, separators=(",", ":"))

    @classmethod
    def of_note(cls, note: str, key: bytes) -> "Traces":
        """Return what `noted` made a text of."""
        kept = json.loads(note)
        marks = (Mark(slot=s, length=n, mac=bytes.fromhex(m)) for s, n, m in kept["marks"])
        return cls(
            key=key,
            marks=frozenset(marks),
            n_too_short=kept["too_short"],
            has_tokens=kept["tokens"],
        )

    @cached_property
    def _by_slot(self) -> Mapping[int, list[Mark]]:
        found: defaultdict[int, list[Mark]] = defaultdict(list)
        for mark in self.marks:
            found[mark.slot].append(mark)
        return found

    @cached_property
    def _wanted(self) -> NDArray[np.bool_]:
        """Which slots are a mark's. *Shape:* (2^24,)."""
        table = np.zeros(1 << _SLOT_BITS, dtype=np.bool_)
        table[np.array([*self._by_slot], dtype=np.int64)] = True
        return table

    def _found(self, content: bytes | mmap) -> Iterable[Mark]:
        for start in range(0, max(0, len(content) - _WINDOW + 1), _BLOCK):
            block = content[start : start + _BLOCK + _LONGEST]
            for place in self._places(block):
                slot = int(_slots(self.key, block[place : place + _WINDOW])[0])
                for mark in self._by_slot[slot]:
                    piece = block[place : place + mark.length]
                    if len(piece) == mark.length and _mac(self.key, piece) == mark.mac:
                        yield mark

    def _places(self, block: bytes) -> list[int]:
        """Return where in a block a window's slot is that of a mark."""
        found: list[int] = []
        for shift in range(_WINDOW):
            n = (len(block) - shift) // _WINDOW
            if n > 0:
                slots = _slots(self.key, block[shift : shift + n * _WINDOW])
                found += [shift + _WINDOW * int(i) for i in np.flatnonzero(self._wanted[slots])]
        return found


def texts_of(rows: Iterable[Row]) -> set[str]:
    """Return what is said in records."""
    return {text for row in rows for text in (row.text, row.query) if text}


def _of_text(text: str) -> Iterable[bytes]:
    for form in (text, json.dumps(text)[1:-1]):
        content = form.encode()
        yield from (content[:_TEXT], content[-_TEXT:])


def _of_tokens(ids: Sequence[int]) -> Iterable[bytes]:
    """Yield the ends of tokens as arrays and as JSON."""
    if len(ids) < _FEWEST_TOKENS:
        return
    for width in _WIDTHS:
        if max(ids) <= np.iinfo(width).max:
            content = np.array(ids, dtype=width).tobytes()
            yield from (content[:_LONGEST], content[-_LONGEST:])
    for comma in (",", ", "):
        content = comma.join(map(str, ids)).encode()
        yield from (content[:_LONGEST], content[-_LONGEST:])


def _of_weights(packed: Packed) -> Iterable[bytes]:
    """Yield the middle of each tensor, as it is stored and as it is computed with."""
    for dtype, _, content in tensors_in(packed.weights).values():
        middle = len(content) // 4 * 2
        piece = content[middle : middle + _TEXT]
        if len(piece) >= _SHORTEST and any(piece):
            yield piece
            if dtype == "BF16":
                yield (np.frombuffer(piece, "<u2").astype("<u4") << 16).tobytes()


def _marked(key: bytes, pieces: Iterable[bytes]) -> frozenset[Mark]:
    return frozenset(
        Mark(slot=int(_slots(key, piece[:_WINDOW])[0]), length=len(piece), mac=_mac(key, piece))
        for piece in pieces
    )


def _slots(key: bytes, windows: bytes) -> NDArray[np.uint64]:
    """Return the slots of windows that lie one after the other."""
    a, b = (np.uint64(int.from_bytes(key[i : i + 8], "little")) for i in (0, 8))
    mixed = (np.frombuffer(windows, "<u8") ^ a) * (b | np.uint64(1))
    return mixed >> np.uint64(64 - _SLOT_BITS)


def _mac(key: bytes, piece: bytes) -> bytes:
    return hmac.digest(key, piece, "sha256")[:_MAC]
