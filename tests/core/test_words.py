"""Words of texts in any script."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.tokenize import tokenize

from lorecall.core.words import n_words, pieces, tokens

ASCII = st.text(st.characters(codec="ascii"), max_size=60)
ANY = st.text(st.characters(codec="utf-8"), max_size=60)
SCRIPTS = {
    "Chinese": ("我今天不去上班, 因为下雨了。", ("下雨", "今天")),
    "Japanese": ("今日は雨なので家にいます。", ("雨", "今日")),
    "Thai": ("วันนี้ฉันไม่ไปทำงาน", ("ฉัน", "ไป")),
    "Khmer": ("ខ្ញុំចូលចិត្តតែ", ("ខ្ញុំ",)),
    "Lao": ("ຂ້ອຍມັກຊາ", ("ຂ້ອຍ",)),
    "Burmese": ("ကျွန်တော်လက်ဖက်ရည်ကြိုက်တယ်", ("ကြိုက်",)),
    "Russian": ("Сегодня я дома, идёт дождь.", ("дождь", "идёт")),
    "Greek": ("Σήμερα βρέχει πολύ", ("βρέχει",)),
    "Arabic": ("اليوم أنا في البيت", ("البيت",)),
    "Hebrew": ("היום אני בבית", ("היום",)),
    "Hindi": ("मुझे चाय पसंद है", ("पसंद", "चाय")),
    "Bengali": ("আমি চা ভালোবাসি", ("ভালোবাসি",)),
    "Tamil": ("எனக்கு தேநீர் பிடிக்கும்", ("தேநீர்",)),
    "Korean": ("오늘은 집에 있어요", ("오늘은",)),
    "French": ("L'élève a mangé où ça ?", ("élève", "où")),
    "German": ("Fußgänger überqueren die Straße", ("fußgänger", "straße")),
    "Vietnamese": ("Hôm nay trời mưa", ("trời",)),
    "Persian": ("امروز نمی\u200cخواهم بروم", ("امروز",)),  # noqa: RUF001
    "Amharic": ("ዛሬ ቤት ነኝ", ("ቤት",)),
}


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        (" \n\t", 0),
        ("one", 1),
        *((" one  two ", 2), ("one\ttwo three", 3), ("one\x1ftwo", 2), ("one\x00 two", 2)),
        ("well, it's raining ... :)", 5),  # as between blanks, signs too
        ("état-major d'élite", 2),
        ("😂 😂😂", 2),
        ("我喜欢茶", 3),
        ("我喜欢茶。 ok then", 5),
        ("iPhone手机", 2),
        ("。", 1),
        ("今日は雨です", 4),
        ("ฉันชอบชา", 3),
    ],
)
def test_worked_counts(text: str, n: int) -> None:
    """Between blanks, and by dictionaries where there are none."""
    assert n_words(text) == n


@pytest.mark.parametrize("name", ["Chinese", "Japanese", "Thai", "Khmer", "Lao", "Burmese"])
def test_scripts_without_blanks_have_words(name: str) -> None:
    """More than one between blanks, none of a single text's length, and known ones among them."""
    text, known = SCRIPTS[name]
    assert 3 <= n_words(text) < len(text)
    assert len(tokens(text)) >= 3
    assert set(known) <= set(tokens(text))


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_known_words_are_found_whole(name: str) -> None:
    """With the vowel signs and accents that are written on their letters."""
    text, known = SCRIPTS[name]
    assert set(known) <= set(tokens(text))


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_composed_and_decomposed_texts_are_alike(name: str) -> None:
    """NFC and NFD are one text."""
    text, _ = SCRIPTS[name]
    assert tokens(normalize("NFD", text)) == tokens(text)
    assert tokens(normalize("NFC", text), apostrophes=True) == tokens(
        normalize("NFD", text), apostrophes=True
    )
    assert n_words(normalize("NFD", text)) == n_words(normalize("NFC", text))


def test_marks_of_emojis_are_no_part_of_a_word() -> None:
    """Nor are emojis words."""
    assert tokens("1\ufe0f\u20e3 ❤\ufe0f ok 👩\u200d👧") == ["1", "ok"]


@given(ASCII)
def test_ascii_tokens_are_those_of_the_reference(text: str) -> None:
    """English stays as it was."""
    assert tokens(text) == tokenize(text, None)


@given(ASCII)
def test_counts_of_texts_with_blanks_stay(text: str) -> None:
    """White space parts words."""
    assert n_words(text) == len(text.split())


@given(ANY)
def test_any_text_has_words(text: str) -> None:
    """Any text is counted and cut, and loses nothing."""
    assert (n_words(text) == 0) == (not text.strip())
    assert "".join(pieces(text)) == text
    assert all(token == token.lower() for token in tokens(text) if token.isascii())


def test_half_a_surrogate_pair() -> None:
    """It comes from broken JSON."""
    assert n_words("我\ud83d喜欢") == 2
    assert tokens("我\ud83d") == ["我"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("we sail, ", ["we", " sail,", " "]),
        ("我喜欢茶。 ok", ["我", "喜欢", "茶。", " ok"]),
    ],
)
def test_worked_pieces(text: str, parts: list[str]) -> None:
    """Each begins with the blanks before it; signs go with the word before."""
    assert pieces(text) == parts
