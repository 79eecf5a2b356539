"""A local base as a judge: what it is asked, and what becomes of long questions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.errors import ModelError
from lorecall.judge.judge import item_of, parse_scores, question
from lorecall.judge.local import LocalJudge
from lorecall.judge.pairs import Pair
from lorecall.lm.base import DEFAULT_BASE, LanguageModel
from lorecall.lm.families.tiny import tiny_base

MakePair = Callable[..., Pair]


@pytest.fixture
def roomy() -> LanguageModel:
    """Return a tiny base with room for the question in bytes."""
    base = tiny_base("llama")
    base.model.config.max_position_embeddings = 4096
    return base


def asked(judge: LocalJudge, pair: Pair) -> str:
    """Return what the base is shown, as text."""
    return str(judge.base.tokenizer.decode(judge._ask(item_of(pair))))


def test_the_question_is_asked_in_the_base_s_own_format(
    roomy: LanguageModel, make_pair: MakePair
) -> None:
    """Whole, as a user's turn."""
    judge = LocalJudge(roomy)
    pair = make_pair(user_content=("I love tea",))
    assert asked(judge, pair) == f"<|user|>{question(item_of(pair))}<|end|><|assistant|>Response 1:"


def test_the_least_related_content_goes_first(roomy: LanguageModel, make_pair: MakePair) -> None:
    """Where all of it has no room; the question stays whole."""
    pair = make_pair(user_content=tuple(f"query text {i} {'x' * 150}" for i in range(4)))
    judge = LocalJudge(roomy)
    assert "text 0" in asked(judge, pair)
    roomy.model.config.max_position_embeddings = len(judge._ask(item_of(pair)))
    cut = asked(LocalJudge(roomy), pair)
    assert "text 3" in cut
    assert "text 0" not in cut
    assert cut.startswith("<|user|>You compare two responses.")
    assert cut.endswith("Response 2: <score><|end|><|assistant|>Response 1:")


def test_a_base_without_room_is_refused(llama: LanguageModel, make_pair: MakePair) -> None:
    """A question that is cut is no question."""
    llama.model.config.max_position_embeddings = 512
    with pytest.raises(ModelError, match="room for the question"):
        LocalJudge(llama).score([item_of(make_pair())])


def test_nonsense_is_unparsable(roomy: LanguageModel, make_pair: MakePair) -> None:
    """A random base says nothing that could be read as two scores."""
    assert LocalJudge(roomy).score([item_of(make_pair())] * 2) == [None, None]
    assert LocalJudge(roomy).score([]) == []


def test_its_name_holds_no_path(roomy: LanguageModel, tmp_path: Path) -> None:
    """The folder's name and the weights' hash."""
    folder = tmp_path / "my-base"
    folder.mkdir()
    base = LanguageModel(
        roomy.model, roomy.tokenizer, name=str(folder), fingerprint="0123456789abcdef"
    )
    assert LocalJudge(base).name == "local my-base@0123456789ab"
    assert LocalJudge(roomy).name.startswith("local tiny-llama@")


@pytest.mark.real_model
def test_the_default_base_answers_in_scores(make_pair: MakePair) -> None:
    """What a real model says can be read; whether it is of use is for the probe to say."""
    base = LanguageModel.load(DEFAULT_BASE, device="cpu")
    pair = make_pair(query="Do you like tea?", response_a="Yes, green tea.", response_b="Blue.")
    judge = LocalJudge(base)
    (scores,) = judge.score([item_of(pair)])
    assert scores is None or all(0 <= score <= 10 for score in scores)
    assert parse_scores("Response 1: 3\nResponse 2: 4") == (3, 4)
