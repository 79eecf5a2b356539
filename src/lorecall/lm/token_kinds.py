"""Of which kind each token of a reply is: a word that says something, a function word, or a mark.

A token is of the word that it is a part of, and words are judged whole, so that it does not matter
how a tokeniser cuts them. Function words are the English stop words that Persona F1 leaves out.
"""

import re
from collections.abc import Sequence
from typing import Literal, get_args

from lorecall.lm.prompts import PromptFormat
from lorecall.metrics.overlap import stop_words

TokenKind = Literal["content", "function", "mark", "end"]
"""Words that say something; function words; punctuation, emoji and the like; the end of a reply."""
TOKEN_KINDS: tuple[TokenKind, ...] = get_args(TokenKind)
_MARK: TokenKind = "mark"

_WORD = re.compile(r"\w(?:[\w']*\w)?")
_Word = tuple[int, int, TokenKind]
"""Where a word begins and ends, and its kind."""
_APOSTROPHES = str.maketrans("\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}", "''")


def token_kinds(layout: PromptFormat, response: str) -> tuple[TokenKind, ...]:
    """Return of which kind each token of a response is, its end token the last.

    Args:
        layout: How the base's tokeniser lays out what it reads.
        response: The response's text.

    Returns:
        A kind a token, those that are beyond the longest response cut; nothing at all where the
        tokeniser cannot say which letters a token stands for.
    """
    if not layout.tokenizer.is_fast:
        return ()
    text = layout.plain(response)
    spans = layout.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    words: list[_Word] = [
        (*found.span(), _kind_of(found.group()))
        for found in _WORD.finditer(text.translate(_APOSTROPHES))
    ]
    kinds: list[TokenKind] = [
        *(_kind_at(start, end, text, words) for start, end in spans["offset_mapping"]),
        "end",
    ]
    return tuple(kinds[: layout.max_response_tokens])


def _kind_of(word: str) -> TokenKind:
    return "function" if word.lower() in stop_words() else "content"


def _kind_at(start: int, end: int, text: str, words: Sequence[_Word]) -> TokenKind:
    """Return the kind of the word that most of a span is of; a space is of the word it precedes."""
    if start < end and not text[start:end].strip():
        start, end = end, end + 1
    most, found = 0, _MARK
    for first, last, kind in words:
        shared = min(end, last) - max(start, first)
        if shared > most:
            most, found = shared, kind
    return found
