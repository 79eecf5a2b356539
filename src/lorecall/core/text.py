"""Texts from outside made fit to be printed: nothing in them steers a terminal."""

import unicodedata

# Embeddings, overrides and isolates of writing direction: one left open turns what follows around.
_REORDERING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def plain(text: str) -> str:
    """Put a text on one line, with nothing in it that steers a terminal or reorders a line."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """Replace by blanks what steers a terminal or reorders a line; line breaks and tabs stay."""
    return "".join(" " if _steers(character) else character for character in text)


def _steers(character: str) -> bool:
    category = unicodedata.category(character)
    return (category in ("Cc", "Cs") and character not in "\n\t") or character in _REORDERING
