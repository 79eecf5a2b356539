"""What names have in common that look alike: case, width, accents' form, blanks, and scripts.

The letters that look alike are Unicode's (UTS 39, confusables.txt), as the package
`confusable-homoglyphs` has them: each stands for one prototype. Those of ASCII stand for
themselves, so that `Marnie` and `Mamie`, `a1` and `al` may both be there: it is letters of another
script that nobody can see.
"""

import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import cast


def skeleton(name: str) -> str:
    """Return what a name looks like: nobody sees two names with the same one apart.

    Args:
        name: Any text.
    """
    seen = _seen(unicodedata.normalize("NFKC", name))  # capitals look like what they do not fold to
    return "".join(_seen(_folded(_folded(seen))).split())


def _seen(text: str) -> str:
    prototypes = _prototypes()
    return "".join(prototypes.get(c, c) for c in unicodedata.normalize("NFD", text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_capital(letter: str) -> bool:
    return len(letter) == 1 and letter.isascii() and letter.isupper()


@cache
def _prototypes() -> Mapping[str, str]:
    """Return what each letter beyond ASCII stands for: of those alike, what most look like."""
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415 - it is large

    alike = cast("Mapping[str, list[Mapping[str, str]]]", confusables_data)
    found: dict[str, str] = {}
    for letter, others in alike.items():
        of_all = [letter, *(each["c"] for each in others)]
        found[letter] = max(of_all, key=lambda c: (len(alike.get(c, ())), c))
        if letter.isupper() and not found[letter].isupper():  # a capital of another script like I
            capitals = (each["c"] for each in alike.get(found[letter], ()))
            found[letter] = min(filter(_is_capital, capitals), default=found[letter])
    return {c: seen for c, seen in found.items() if len(c) == 1 and not c.isascii() and seen != c}
