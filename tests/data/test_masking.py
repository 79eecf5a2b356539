"""How much of what should be masked is, and how much of what should not."""

import re
from pathlib import Path

import pytest

from lorecall.data.privacy import KINDS, found, mask, mask_pieces

_FILE = Path(__file__).with_name("masking.txt")
_, *_SECTIONS = _FILE.read_text(encoding="utf-8").split("== ")
TEXTS = {kind: lines.split("\n") for kind, lines in (s.strip().split("\n", 1) for s in _SECTIONS)}
PLAIN = TEXTS.pop("ordinary")
MASKED = [(kind, text) for kind, texts in TEXTS.items() for text in texts]


def bare(text: str) -> str:
    """Take away the signs around what is to be masked."""
    return re.sub(r"<([^<>]*)>", r"\1", text)


def expected(kind: str, text: str) -> str:
    """Put the kind where it is to be masked."""
    return re.sub(r"<[^<>]*>", f"[{kind}]", text)


def test_there_are_many_texts() -> None:
    """Several of each kind, and as many in which nothing is to be masked."""
    assert (len(MASKED), len(PLAIN)) == (313, 293)
    assert set(TEXTS) == set(KINDS)
    assert len({text for _, text in MASKED} | set(PLAIN)) == 606


def test_what_should_be_masked_is_and_nothing_else() -> None:
    """At least 98% of those come out to the letter; at most 1% of the ordinary ones change."""
    missed = [text for kind, text in MASKED if mask(bare(text)) != expected(kind, text)]
    changed = [text for text in PLAIN if mask(text) != text]
    share_masked = 1 - len(missed) / len(MASKED)
    share_false = len(changed) / len(PLAIN)
    assert share_masked >= 0.98, missed
    assert share_false <= 0.01, changed


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_found_as_itself(kind: str) -> None:
    """By its own name, in nine texts of ten."""
    texts = [bare(text) for text in TEXTS[kind]]
    by_name = [text for text in texts if {span.kind for span in found(text)} == {kind}]
    assert len(by_name) >= 0.9 * len(texts)


def test_pieces_give_what_the_whole_gives() -> None:
    """Piece by piece the same text comes out, and nothing is shown that is masked in the end."""
    for text in [*(bare(text) for _, text in MASKED), *PLAIN][::3]:
        for size in (1, 3):
            pieces = [text[i : i + size] for i in range(0, len(text), size)]
            assert "".join(mask_pieces(pieces)) == mask(text)
