"""Finding texts by their letters."""

import numpy as np
import pytest

from lorecall.errors import MissingExtraError
from lorecall.systems.lexical import Bm25, Levenshtein, nearest, normalised, words

TEXTS = ["I love tea", "tea and coffee", "trains to the coast", "", "tea and coffee", "我喜欢茶"]
ALL = np.ones(len(TEXTS), dtype=bool)


def test_words_are_lower_case_and_in_any_script() -> None:
    """Apostrophes stay inside a word; what is written without spaces is cut into characters."""
    assert words("Don't, STOP me! né_2") == ["don't", "stop", "me", "né", "2"]
    assert words("我喜欢 tea") == ["我", "喜", "欢", "tea"]
    assert words("🙂 ... --") == []
    assert normalised("  Hello,\n THERE!! ") == "hello there"


class TestBm25:
    """The best by the words they share."""

    def test_rarer_and_more_shared_words_win(self) -> None:
        """The latest first among equals; what shares nothing is not there."""
        matcher = Bm25(TEXTS)
        assert matcher.best("coffee or tea?", n=9, among=ALL) == [4, 1, 0]
        assert matcher.best("TEA AND COFFEE", n=1, among=ALL) == [4]
        assert matcher.best("coast", n=9, among=ALL) == [2]
        assert matcher.best("茶", n=9, among=ALL) == [5]

    @pytest.mark.parametrize("query", ["", "🙂", "nothing like it"])
    def test_no_shared_word_no_text(self, query: str) -> None:
        """Whatever the query is."""
        assert Bm25(TEXTS).best(query, n=9, among=ALL) == []

    def test_only_those_that_may_be_given(self) -> None:
        """Masked texts are not found."""
        among = ALL.copy()
        among[[4, 0]] = False
        assert Bm25(TEXTS).best("tea", n=9, among=among) == [1]

    @pytest.mark.parametrize("texts", [[], ["", "🙂"]])
    def test_nothing_to_search_is_nothing_found(self, texts: list[str]) -> None:
        """An empty history has no words."""
        mask = np.ones(len(texts), dtype=bool)
        assert Bm25(texts).best("tea", n=3, among=mask) == []


class TestLevenshtein:
    """The nearest by the characters to change."""

    def test_fewer_than_six_changes(self) -> None:
        """Six are too many; case and punctuation do not count; the latest first among equals."""
        texts = ["how are you", "how are you?!", "How is he", "where are you", ""]
        matcher = Levenshtein(texts)
        mask = np.ones(len(texts), dtype=bool)
        assert matcher.best("How are you", n=9, among=mask) == [1, 0, 3]
        assert matcher.best("something else altogether", n=9, among=mask) == []
        assert matcher.best("how are you", n=1, among=~np.isin(range(5), [1])) == [0]
        assert nearest("abcdef", ["abcdefvwxyz", "abcdefuvwxyz"]) == [0]

    def test_nothing_is_near_to_nothing(self) -> None:
        """A query of signs alone is not near a short word."""
        mask = np.ones(2, dtype=bool)
        assert Levenshtein(["no", "🙂"]).best("🙂", n=9, among=mask) == []
        assert Levenshtein(["no", "🙂"]).best("yes", n=9, among=mask) == [0]


def test_a_missing_library_is_named_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are in the extra `baselines`."""
    for name in ("bm25s", "rapidfuzz"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    for make in (Bm25, Levenshtein):
        with pytest.raises(MissingExtraError, match=r"lorecall\[baselines\]"):
            make(["tea"])
