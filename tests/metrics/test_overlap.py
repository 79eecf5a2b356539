"""ROUGE, Persona F1 and the signatures."""

import pickle
import re
import string
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from stop_words import get_stop_words

from lorecall.errors import ConfigError
from lorecall.metrics.overlap import Rouge, persona_f1, persona_tokens, rouge

ASCII = st.text(st.characters(codec="ascii"), max_size=60)
SCRIPTS = [
    "hello there",
    "L'élève a mangé où ça ?",
    "привет, мир",
    "Σήμερα βρέχει",
    "اليوم أنا في البيت",
    "היום אני בבית",
    "मुझे चाय पसंद है",
    "நான் வீட்டில் இருக்கிறேன்",
    "오늘은 집에 있어요",
    "我今天不去上班",
    "今日は雨です",
    "วันนี้ฉันไม่ไปทำงาน",
    "ខ្ញុំចូលចិត្តតែ",
    "ຂ້ອຍມັກຊາ",
    "ကျွန်တော်ကြိုက်တယ်",
    "ዛሬ ቤት ነኝ",
    "გამარჯობა მსოფლიო",
    "Hôm nay trời mưa",
]
GERMAN = (
    "Ich war gestern mit meiner Schwester am Meer und das Wetter war nicht so gut, aber wir sind"
    " trotzdem geblieben, weil wir uns auf die Wellen gefreut haben und es dort nie langweilig ist."
    " Der Wind war kalt und die Suppe war heiß, das ist alles, was ich davon noch weiß."
)
KINDS: tuple[Rouge, ...] = ("rouge1", "rougeL")
TEXTS = st.lists(
    st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran"]), max_size=8
).map(" ".join)
WORDS = st.frozensets(st.text(string.ascii_lowercase, min_size=4, max_size=8), max_size=6)


def harmonic(p: float, r: float) -> float:
    """Return F1 times 100."""
    return 100 * 2 * p * r / (p + r)


class TestRouge:
    """Against hand-worked cases and the reference package."""

    def test_worked_by_hand(self) -> None:
        """`the cat sat` and `the cat ran away`: 2 common of 3 and of 4, in order."""
        for kind in KINDS:
            scores = rouge(["the cat sat"], ["the cat ran away"], kind=kind)
            assert scores == pytest.approx((harmonic(2 / 3, 2 / 4),))

    def test_order_matters_to_rouge_l_alone(self) -> None:
        """`b a` and `a b` share both words, but only one in order."""
        scores = [rouge(["bat ant"], ["ant bat"], kind=kind) for kind in KINDS]
        assert scores == [pytest.approx((100.0,)), pytest.approx((50.0,))]

    def test_words_are_not_stemmed(self) -> None:
        """`running` is not `run`."""
        assert rouge(["running"], ["run"], kind="rouge1") == (0.0,)

    def test_case_and_punctuation_do_not_count(self) -> None:
        """The reference package's own tokens."""
        assert rouge(["The CAT!"], ["the, cat"]) == pytest.approx((100.0,))

    @pytest.mark.parametrize("text", SCRIPTS)
    def test_a_text_scores_100_against_itself_in_any_script(self, text: str) -> None:
        """However its accents are written."""
        for kind in KINDS:
            assert rouge([text], [normalize("NFD", text)], kind=kind) == pytest.approx((100.0,))

    def test_an_accent_parts_no_word(self) -> None:
        """`élève` is one word, not two that `rouge-score` would make of it."""
        assert rouge(["él ève"], ["élève"], kind="rouge1") == (0.0,)
        assert rouge(["caf"], ["café"], kind="rouge1") == (0.0,)

    def test_words_count_where_none_are_parted(self) -> None:
        """Tea of I, like, tea: one word of three is another."""
        scores = rouge(["我喜欢茶"], ["我喜欢雨"], kind="rouge1")
        assert scores == pytest.approx((harmonic(2 / 3, 2 / 3),))

    @pytest.mark.parametrize("pair", [("", ""), ("a", ""), ("", "a"), ("?", "!")])
    def test_nothing_to_compare_scores_zero(self, pair: tuple[str, str]) -> None:
        """An empty side is no error."""
        assert rouge([pair[0]], [pair[1]]) == (0.0,)

    def test_no_samples(self) -> None:
        """No samples, no scores."""
        assert rouge([], []) == ()

    def test_a_missing_reference(self) -> None:
        """Two lists of two lengths cannot be pairs."""
        with pytest.raises(ConfigError, match="expected 2 references, got 1"):
            rouge(["a", "b"], ["a"])

    @given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
    def test_it_agrees_with_the_reference(self, pairs: list[tuple[str, str]]) -> None:
        """The package, called directly, in order."""
        scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
        theirs = [scorer.score(b, a) for a, b in pairs]
        for kind in KINDS:
            ours = rouge([a for a, _ in pairs], [b for _, b in pairs], kind=kind)
            assert ours == pytest.approx([100 * s[kind].fmeasure for s in theirs])

    @given(st.lists(st.tuples(ASCII, ASCII), max_size=3))
    def test_english_is_as_the_reference_has_it(self, pairs: list[tuple[str, str]]) -> None:
        """To the last bit, whatever the ASCII text."""
        scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
        theirs = [scorer.score(b, a) for a, b in pairs]
        for kind in KINDS:
            ours = rouge([a for a, _ in pairs], [b for _, b in pairs], kind=kind)
            assert ours == tuple(100.0 * score[kind].fmeasure for score in theirs)

    @given(TEXTS, TEXTS)
    def test_it_is_symmetric_and_bounded(self, a: str, b: str) -> None:
        """F1 does not care which side is the reference; ROUGE-L never exceeds ROUGE-1."""
        ((one,), (other,), (words,)) = (
            rouge([a], [b]),
            rouge([b], [a]),
            rouge([a], [b], kind="rouge1"),
        )
        assert one == pytest.approx(other)
        assert 0 <= one <= words + 1e-9 <= 100 + 1e-6


class TestPersona:
    """Against SPEC section 6."""

    def test_tokens_are_lower_case_without_stop_words(self) -> None:
        """Letters, digits and apostrophes; the same word once."""
        texts = ["The Dog and MY dog's 2 bones", "don't bury bones"]
        assert persona_tokens(texts) == {"dog", "dog's", "2", "bones", "bury"}

    def test_the_stop_words_are_the_packages(self) -> None:
        """All of them go."""
        words = [word for word in get_stop_words("english") if word.isalpha()]
        assert len(words) > 100
        assert persona_tokens(words) == frozenset()

    def test_worked_by_hand(self) -> None:
        """H of 4 tokens, R of 3, 2 shared: p = 2/3, r = 2/4."""
        persona = frozenset({"dog", "tea", "films", "westerns"})
        score = persona_f1("My dog and I watch westerns, westerns!", persona)
        tokens = persona_tokens(["My dog and I watch westerns, westerns!"])
        assert tokens == {"dog", "watch", "westerns"}
        assert score == pytest.approx(harmonic(2 / 3, 2 / 4))

    @pytest.mark.parametrize(
        ("response", "persona"),
        [
            ("cats", {"dogs"}),
            ("", {"dogs"}),
            ("dogs", set[str]()),
            ("the and", {"dogs"}),
            ("", set[str]()),
        ],
    )
    def test_nothing_shared_scores_zero(self, response: str, persona: set[str]) -> None:
        """An empty side is no error."""
        assert persona_f1(response, frozenset(persona)) == 0.0

    def test_it_falls_as_the_history_grows(self) -> None:
        """Why scores are compared only against the same H."""
        small = persona_f1("dogs bark", frozenset({"dogs"}))
        large = persona_f1("dogs bark", frozenset({"dogs", "cats", "birds"}))
        assert small > large > 0

    @given(WORDS, WORDS)
    def test_it_is_symmetric_bounded_and_perfect_for_itself(
        self, one: frozenset[str], other: frozenset[str]
    ) -> None:
        """F1 of sets."""
        h, r = persona_tokens(one), persona_tokens(other)
        score = persona_f1(" ".join(r), h)
        assert score == pytest.approx(persona_f1(" ".join(h), r))
        assert 0 <= score <= 100 + 1e-9
        assert persona_f1(" ".join(h), h) == pytest.approx(100.0 if h else 0.0)

    @pytest.mark.parametrize("text", SCRIPTS)
    def test_a_text_scores_100_against_itself_in_any_script(self, text: str) -> None:
        """However its accents are written; of two English stop words nothing would be left."""
        persona = persona_tokens([text], language="german")
        assert persona_f1(normalize("NFD", text), persona) == pytest.approx(100.0)

    @given(ASCII)
    def test_english_tokens_stay(self, text: str) -> None:
        """Those that the first version had, to the last one."""
        expected = set(re.findall(r"[a-z0-9']+", text.lower())) - set(get_stop_words("english"))
        assert persona_tokens([text], language="english") == expected

    def test_the_language_of_the_stop_words_is_found(self) -> None:
        """Of a text that is long enough, and used for the response too."""
        persona = persona_tokens([GERMAN])
        assert persona.language == "german"
        assert {"schwester", "wellen", "suppe"} <= persona
        assert not {"ich", "und", "der", "die"} & persona
        alone = persona_f1("Suppe", persona)
        assert alone > 0
        assert persona_f1("ich und die Suppe", persona) == pytest.approx(alone)

    @pytest.mark.parametrize("text", ["Ich und die Suppe", "Schnee Schnee " * 40, ""])
    def test_english_where_it_cannot_be_told(self, text: str) -> None:
        """Of a short text, or one without stop words."""
        assert persona_tokens([text]).language == "english"

    def test_what_knows_its_language_is_a_set(self) -> None:
        """It can be sent to another process."""
        persona = persona_tokens(["Die Suppe"], language="german")
        again = pickle.loads(pickle.dumps(persona))  # noqa: S301 - our own bytes
        assert again == {"suppe"}
        assert again.language == "german"

    def test_an_unknown_language(self) -> None:
        """Refused by name."""
        with pytest.raises(ConfigError, match="got 'klingon'"):
            persona_tokens(["qapla"], language="klingon")

    @given(st.lists(st.text(), max_size=4), st.text())
    def test_no_text_breaks_it(self, texts: list[str], response: str) -> None:
        """Any text has a score."""
        assert 0 <= persona_f1(response, persona_tokens(texts)) <= 100 + 1e-9

    @given(st.lists(TEXTS, max_size=5))
    def test_order_and_repeats_do_not_matter(self, texts: list[str]) -> None:
        """H is a set."""
        assert persona_tokens(texts) == persona_tokens([*reversed(texts), *texts])
