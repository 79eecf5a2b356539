"""Words of texts in any script: how many there are, which ones, and where a text may be cut.

Between blanks stands one word. Where a script puts none between its words (Chinese, Japanese, Thai,
Lao, Khmer, Burmese and a few more), ICU's dictionaries part them.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

PACKAGES = ("regex", "icu4py")
"""What decides which words a text has, beside this module."""

_RANGES = (
    "\u0e01-\u0e5b\u0e80-\u0fff\u1000-\u109f"  # Thai; Lao and Tibetan; Burmese
    "\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf"  # Khmer; Tai Le and New Tai Lue; Tai Tham
    "\u1b00-\u1b7f\ua980-\ua9df\ua9e0-\ua9ff"  # Balinese; Javanese; Burmese again
    "\uaa60-\uaadf\u3005-\u3007\u3040-\u30ff"  # Burmese and Tai Viet; Chinese marks; kana
    "\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # Bopomofo; kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese characters
    "\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"  # half-width and old kana; rarer ones
)
_NOT_PARTED = re.compile(f"[{_RANGES}]")
_ASCII = {False: re.compile(r"[a-z0-9]+"), True: re.compile(r"[a-z0-9']+")}
# A letter or digit, with what is written on it; a joiner within a word parts nothing. The marks
# that make a digit or a sign an emoji are no part of a word.
_LATER = r"(?:[\p{L}\p{N}%s]|(?![\ufe0e\ufe0f\u20e3])\p{M}|[\u200c\u200d](?=[\p{L}\p{M}]))*"
_ANY = {False: r"[\p{L}\p{N}]" + _LATER % "", True: r"[\p{L}\p{N}']" + _LATER % "'"}
_JOINERS = {0x200C: None, 0x200D: None}


@lru_cache(maxsize=8)  # a query and its response are counted by rule, by user and as text
def n_words(text: str) -> int:
    """Return how many words a text has; one of signs alone counts too, as between blanks.

    Examples:
        >>> from lorecall.core.words import n_words
        >>> n_words("well, it's raining ..."), n_words("今日は雨です")
        (4, 4)
    """
    if text.isascii():
        bare = text.strip(" ")
        if bare.isprintable() and "  " not in bare:  # a blank parts two words, nothing else does
            return bare.count(" ") + bool(bare)
        return len(bare.split())
    if not _NOT_PARTED.search(text):
        return len(text.split())
    parts = text.split()
    joined = [part for part in parts if _NOT_PARTED.search(part)]
    return len(parts) - len(joined) + _n_joined("\n".join(joined))


def _n_joined(text: str) -> int:
    return max(1, sum(map(_is_word, _parted(unicodedata.normalize("NFC", text)))))


def tokens(text: str, *, apostrophes: bool = False) -> list[str]:
    """Return the words of a text to compare it by: lower case, accents composed, no punctuation.

    For a text in ASCII they are those of `rouge-score`.

    Args:
        text: Any.
        apostrophes: Whether one belongs to the word that it touches.

    Examples:
        >>> from lorecall.core.words import tokens
        >>> tokens("Élève, don't!"), tokens("don't", apostrophes=True)
        (['élève', 'don', 't'], ["don't"])
        >>> tokens("ฉันชอบชา"), tokens("我喜欢茶。")
        (['ฉัน', 'ชอบ', 'ชา'], ['我', '喜欢', '茶'])
    """
    if text.isascii():
        return _ASCII[apostrophes].findall(text.lower())
    import regex  # noqa: PLC0415 - most texts do without it

    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    found: list[str] = []
    for word in regex.findall(_ANY[apostrophes], text):
        whole = word.translate(_JOINERS)
        found += _words_of(whole) if _NOT_PARTED.search(whole) else [whole]
    return found


def pieces(text: str) -> list[str]:
    """Cut a text between words, each piece a word with the blanks before it; joined, it is whole.

    Examples:
        >>> from lorecall.core.words import pieces
        >>> pieces("we sail, "), pieces("我喜欢茶")
        (['we', ' sail,', ' '], ['我', '喜欢', '茶'])
    """
    found: list[str] = []
    for piece in re.findall(r"\s*\S+|\s+", text):
        if not _NOT_PARTED.search(piece):
            found.append(piece)
            continue
        blanks = piece[: len(piece) - len(piece.lstrip())]
        first, *others = _with_signs(piece.lstrip())
        found += [blanks + first, *others]
    return found


def _words_of(text: str) -> Iterator[str]:
    return filter(_is_word, _parted(text))


def _is_word(piece: str) -> bool:
    return piece.isalnum() or any(map(str.isalnum, piece))


def _with_signs(text: str) -> list[str]:
    """Part words; a sign goes with the word before it."""
    found: list[str] = []
    for piece in _parted(text):
        if found and not _is_word(piece):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def _parted(text: str) -> Iterator[str]:
    from icu4py.breakers import WordBreaker  # noqa: PLC0415 - large, and most texts do without it

    # a half of a surrogate pair is in no encoding
    return iter(WordBreaker(text.encode("utf-8", "replace").decode(), "root"))
