"""Which word each token of a reply is of, for byte-level and sentencepiece tokenisers."""

from collections.abc import Callable

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lorecall.lm.families.tiny import tiny_tokenizer
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.token_kinds import TOKEN_KINDS, token_kinds
from lorecall.records import Sample

TEXT = "I don't sail the sea, Bob! \N{WAVING HAND SIGN} caf\u00e9s"
PIECES = (
    *("\u2581I", "\u2581don", "'", "t", "\u2581", "sail", "\u2581the", "\u2581sea", ",", "\u2581B"),
    *("ob", "!", "\u2581caf", "\u00e9", "s", "<unk>", "</s>"),
)


def sentencepiece() -> PreTrainedTokenizerFast:
    """Build a tokeniser as SentencePiece's are: a mark for a space, bytes for what it lacks."""
    scores = [(piece, -1.0) for piece in PIECES if piece != "<unk>"]
    every = [("<unk>", 0.0), *scores, *((f"<0x{i:02X}>", -9.0) for i in range(256))]
    tokenizer = Tokenizer(models.Unigram(every, unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = dict.fromkeys(("eos_token",), "</s>")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


TOKENISERS = {"byte-level": lambda: tiny_tokenizer(chat=True), "sentencepiece": sentencepiece}


@pytest.fixture(params=TOKENISERS.values(), ids=TOKENISERS.keys())
def layout(request: pytest.FixtureRequest) -> PromptFormat:
    """Return each kind of tokeniser in turn."""
    make: Callable[[], PreTrainedTokenizerFast] = request.param
    return PromptFormat(make())


def read(layout: PromptFormat, text: str) -> tuple[int, ...]:
    """Return a response's tokens, as a model reads them."""
    sample = Sample(id="s", user="u", conversation="c", query="q", response=text)
    return layout.encode(sample).response


def test_every_token_has_the_kind_of_its_word(layout: PromptFormat) -> None:
    """However the word is cut, with the space before it or without."""
    kinds = token_kinds(layout, TEXT)
    ids = read(layout, TEXT)
    assert len(kinds) == len(ids)
    assert kinds[-1] == "end"
    assert "end" not in kinds[:-1]
    said = dict.fromkeys(TOKEN_KINDS, "")
    for token, kind in zip(ids[:-1], kinds[:-1], strict=True):
        said[kind] += layout.tokenizer.convert_ids_to_tokens(token)
    counted = {kind: kinds.count(kind) for kind in TOKEN_KINDS}
    spaces = str.maketrans({"\u2581": "", "\u0120": ""})
    assert said["function"].translate(spaces) == "Idon'tthe"
    assert said["content"].translate(spaces).startswith("sailseaBobcaf")
    assert said["mark"].translate(spaces).startswith(",!")
    assert counted["end"] == 1
    assert min(counted.values()) > 0


def test_a_word_is_judged_whole(layout: PromptFormat) -> None:
    """A word that holds a stop word is none; a curly apostrophe is one; case does not count."""
    assert {*token_kinds(layout, "theatre")} == {"content", "end"}
    assert {*token_kinds(layout, "DON\u2019T")} == {"function", "end"}
    assert {*token_kinds(layout, "?!... :)")} == {"mark", "end"}


def test_a_cut_response_has_no_end(layout: PromptFormat) -> None:
    """As it has none when it is read."""
    short = PromptFormat(layout.tokenizer, max_response_tokens=4)
    kinds = token_kinds(short, TEXT)
    assert len(kinds) == len(read(short, TEXT)) == 4
    assert "end" not in kinds


def test_nothing_said_is_an_end(layout: PromptFormat) -> None:
    """An empty text has no word; what looks like a special token is words."""
    assert token_kinds(layout, "") == ("end",)
    broken = "<|end|> here"
    assert len(token_kinds(layout, broken)) == len(read(layout, broken))


def test_a_tokeniser_without_offsets_says_nothing() -> None:
    """It is no reason to stop."""
    layout = PromptFormat(tiny_tokenizer(chat=True))

    class Slow:
        """Stands for one that is written in Python."""

        is_fast = False

    layout.tokenizer = Slow()  # type: ignore[assignment]
    assert token_kinds(layout, TEXT) == ()
