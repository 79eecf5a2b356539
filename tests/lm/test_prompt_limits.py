"""Prompts never exceed their limit, and the query is the last thing to go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.lm.families.tiny import tiny_tokenizer
from lorecall.lm.prompts import PromptFormat
from lorecall.records import Turn

LIMIT = 48
LAYOUTS = {
    kind: PromptFormat(tiny_tokenizer(chat=kind == "chat"), max_prompt_tokens=LIMIT)
    for kind in ("chat", "plain")
}
layouts = pytest.mark.parametrize("kind", sorted(LAYOUTS))
texts = st.text(max_size=60)
turn_lists = st.lists(st.builds(Turn, by_author=st.booleans(), text=texts), max_size=4)


def shown(kind: str, query: str, turns: list[Turn]) -> str:
    """Return a prompt as text, special tokens included."""
    layout = LAYOUTS[kind]
    return str(layout.tokenizer.decode(layout.prompt(query, turns)))


def turn(text: str) -> Turn:
    """Make a turn of the other side."""
    return Turn(by_author=False, text=text)


@layouts
@given(query=texts, turns=turn_lists)
def test_a_prompt_is_never_longer_than_its_limit(kind: str, query: str, turns: list[Turn]) -> None:
    """Nor is it ever empty; any text, any number of turns."""
    assert 1 <= len(LAYOUTS[kind].prompt(query, turns)) <= LIMIT


@layouts
@given(query=st.text("abc é🙂", max_size=8), turns=turn_lists)
def test_a_query_that_fits_is_kept_whole(kind: str, query: str, turns: list[Turn]) -> None:
    """However long the turns before it."""
    assert (
        LAYOUTS[kind].prompt(query, turns)[-len(LAYOUTS[kind].prompt(query)) + 1 :]
        == (LAYOUTS[kind].prompt(query)[1:])
    )


@layouts
def test_the_oldest_turns_go_first(kind: str) -> None:
    """Whole turns, so that what is left still reads."""
    turns = [turn("x" * 40), turn("yyyy"), turn("zzzz")]
    text = shown(kind, "query", turns)
    assert "x" not in text
    assert "yyyy" in text
    assert text.index("yyyy") < text.index("zzzz") < text.index("query")


@layouts
def test_a_turn_before_one_that_is_too_long_goes_with_it(kind: str) -> None:
    """No gap is left in the conversation."""
    text = shown(kind, "query", [turn("aaaa"), turn("x" * 60), turn("zzzz")])
    assert "aaaa" not in text
    assert "x" not in text
    assert "zzzz" in text


@layouts
def test_a_query_that_just_fits_is_not_cut(kind: str) -> None:
    """The limit itself is allowed."""
    layout = LAYOUTS[kind]
    room = LIMIT - len(layout.prompt(""))
    query = "".join(chr(ord("a") + i % 26) for i in range(room))
    assert len(layout.prompt(query)) == LIMIT
    assert query in shown(kind, query, [turn("x")])


@layouts
def test_a_query_that_is_too_long_keeps_its_end(kind: str) -> None:
    """Inside the same layout, with no turn before it."""
    layout = LAYOUTS[kind]
    text = shown(kind, "a" * 500 + "the end", [turn("before")])
    frame = shown(kind, "|", [])
    opening, closing = frame.split("|", 1) if kind == "plain" else ("<|user|>", "<|end|>")
    assert text.startswith(opening)
    assert "the end" + closing in text
    assert "before" not in text
    assert LIMIT - 4 <= len(layout.prompt("a" * 500)) <= LIMIT


@layouts
def test_a_long_query_of_wide_letters_keeps_to_the_limit(kind: str) -> None:
    """A letter of four bytes may be cut in two."""
    layout = LAYOUTS[kind]
    for extra in range(4):
        ids = layout.prompt("é" * extra + "🙂" * 200 + "a" * extra)
        assert len(ids) <= LIMIT
        assert "🙂" in str(layout.tokenizer.decode(ids))
