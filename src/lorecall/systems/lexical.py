"""Finding texts by their letters: BM25 over words, Levenshtein distance over characters."""

import logging
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lorecall.errors import MissingExtraError

_INSTALL = "pip install 'lorecall[baselines]'"
MAX_DISTANCE = 6  # as published: a hit is nearer than this

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # written without spaces
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:'[^\W_{_CJK}]+)*")


Mask = NDArray[np.bool_]
"""For each text, whether it may be given. *Shape:* (texts,)"""


@runtime_checkable
class Matcher(Protocol):
    """Finds the texts, of those it was made with, that fit a query."""

    def best(self, query: str, *, n: int, among: Mask) -> list[int]:
        """Return the places of at most n texts, the best first, the latest first among equals.

        Args:
            query: What was said.
            n: Most that are given.
            among: Which texts may be given. *Shape:* (texts,)
        """
        ...


class Bm25:
    """BM25 over words; a text that shares none with the query does not fit.

    Raises:
        MissingExtraError: bm25s is not installed.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        corpus = [words(text) for text in texts]
        self._index: Any = None
        if any(corpus):
            self._index = _library("bm25s").BM25()
            logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets DEBUG when imported
            self._index.index(corpus, show_progress=False)

    def best(self, query: str, *, n: int, among: Mask) -> list[int]:
        """Return the texts with the highest scores above 0; how rare a word is counts over all."""
        if self._index is None:
            return []
        known = self._index.get_tokens_ids(words(query))
        scores = self._index.get_scores_from_ids(known)
        fitting = np.flatnonzero((scores > 0) & among)
        order = np.lexsort((-fitting, -scores[fitting]))
        return fitting[order[:n]].tolist()


class Levenshtein:
    """The texts nearest to the query by the number of characters to change.

    Both are compared without case and punctuation; where nothing else is in them, nothing fits.

    Raises:
        MissingExtraError: rapidfuzz is not installed.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._keys = [normalised(text) for text in texts]
        _library("rapidfuzz")

    def best(self, query: str, *, n: int, among: Mask) -> list[int]:
        """Return the nearest texts."""
        keys = [key if fits else "" for key, fits in zip(self._keys, among, strict=True)]
        return nearest(normalised(query), keys)[:n]


def nearest(query: str, keys: Sequence[str]) -> list[int]:
    """Return the places of near keys, the nearest first, the latest first among equals.

    All are normalised; an empty one is near nothing.

    Raises:
        MissingExtraError: rapidfuzz is not installed.
    """
    if not query:
        return []
    library = _library("rapidfuzz")
    found = library.process.extract(
        query,
        [key or None for key in keys],  # it leaves out what is None
        scorer=library.distance.Levenshtein.distance,
        score_cutoff=MAX_DISTANCE - 1,
        limit=None,
    )
    return [place for _, _, place in sorted(found, key=lambda hit: (hit[1], -hit[2]))]


def words(text: str) -> list[str]:
    """Cut a text into lower-case words; where words are not parted, into characters."""
    return _WORD.findall(text.casefold())


def normalised(text: str) -> str:
    """Return a text's words with one space between them."""
    return " ".join(words(text))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as reason:
        raise MissingExtraError("a baseline", package=name, install=_INSTALL) from reason
