"""Who answers: what each responder adds to the contract."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from lorecall.decoding import Decoding
from lorecall.errors import ArtefactError, InputError, ModelError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.plain import answer_plainly
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.generate import decode
from lorecall.lm.sampling import GreedyChooser
from lorecall.memory.memory import StoredMemory
from lorecall.records import InjectionConfig, Turn
from lorecall.reply.messages import messages_of
from lorecall.reply.responder import ModelResponder
from lorecall.settings import TrainSettings

MakeMemory = Callable[..., StoredMemory]
QUERIES = ["hello there", "how are you doing", "x"]


def brief(responder: ModelResponder) -> ModelResponder:
    """Let it answer in a few tokens."""
    responder.max_new_tokens = 12
    return responder


def test_vanilla_is_the_base_alone(llama: LanguageModel) -> None:
    """The tokens of the decoder, as text; three in a row never come twice."""
    vanilla = ModelResponder(llama)
    prompts = [vanilla.format.prompt(query) for query in QUERIES]
    tokens = decode(
        llama,
        prompts,
        max_new_tokens=128,
        stop_ids=vanilla.format.stop_ids,
        decoding=Decoding(no_repeat=3),
    )
    assert vanilla.reply_all(QUERIES) == [vanilla.format.text(row) for row in tokens]


def test_a_memory_changes_the_answers(base: LanguageModel, make_memory: MakeMemory) -> None:
    """And spends no token of the prompt on it."""
    vanilla = brief(ModelResponder(base))
    personal = brief(ModelResponder(base, make_memory(base)))
    assert personal.reply_all(QUERIES) != vanilla.reply_all(QUERIES)
    assert personal.format.prompt("hi") == vanilla.format.prompt("hi")


def test_a_memory_is_decoded_as_it_was_fitted(
    llama: LanguageModel, make_memory: MakeMemory
) -> None:
    """By its manifest, unless something else is asked for; the base ends as it would."""
    memory = make_memory(llama)
    eager = memory.decoded(Decoding(stop_bias=50.0))
    assert ModelResponder(llama, eager).reply_all(QUERIES) == ["", "", ""]
    free = ModelResponder(llama, memory=eager, decoding=memory.decoding)
    assert free.reply_all(QUERIES) == ModelResponder(llama, memory).reply_all(QUERIES)
    assert all(free.reply_all(QUERIES))
    assert ModelResponder(llama).decoding == Decoding(no_repeat=3)
    once = memory.decoded(Decoding(no_repeat=1))
    assert ModelResponder(llama, once).reply_all(QUERIES) != free.reply_all(QUERIES)
    limits = TrainSettings(no_repeat=1)
    assert ModelResponder(llama, limits=limits).decoding == once.decoding


def test_earlier_turns_change_the_answer(llama: LanguageModel) -> None:
    """They are in the prompt."""
    vanilla = brief(ModelResponder(llama))
    earlier = [Turn(by_author=False, text="one"), Turn(by_author=True, text="two")]
    assert vanilla.reply(messages_of("hello there", earlier)) != vanilla.reply("hello there")


def test_an_untrained_memory_answers_as_the_base(
    llama: LanguageModel, make_memory: MakeMemory
) -> None:
    """B is zero."""
    memory = make_memory(llama)
    injection = Injection(llama, memory.config)
    untrained = replace(memory, tensors=injection.tensors())
    answers = brief(ModelResponder(llama, untrained)).reply_all(QUERIES)
    assert answers == brief(ModelResponder(llama)).reply_all(QUERIES)


def test_a_memory_on_other_linears_answers(llama: LanguageModel, make_memory: MakeMemory) -> None:
    """`gate_proj`, where it was trained there; the answers are those of an injection by hand."""
    memory = make_memory(llama, linears=("gate_proj",))
    responder, vanilla = brief(ModelResponder(llama, memory)), brief(ModelResponder(llama))
    answers = responder.reply_all(QUERIES)
    assert answers != vanilla.reply_all(QUERIES)
    vanilla.injection = Injection(
        llama, memory.config, linears=("gate_proj",), tensors=memory.tensors
    )
    assert vanilla.reply_all(QUERIES) == answers


def test_a_memory_of_another_base_is_refused(llama: LanguageModel, make_memory: MakeMemory) -> None:
    """Before it is used."""
    memory = make_memory(llama)
    with pytest.raises(ModelError, match="a memory works on the base it was trained for"):
        ModelResponder(tiny_base(seed=7), memory)


def test_pairs_that_do_not_fit_leave_the_base(
    llama: LanguageModel, make_memory: MakeMemory, state_hash: Callable[[LanguageModel], str]
) -> None:
    """The error names the shapes, and the base is what it was."""
    memory, before = make_memory(llama), state_hash(llama)
    broken = replace(memory, tensors={"layers.0.up_proj.down": torch.zeros(1, 1)})
    with pytest.raises(ArtefactError, match="the pairs must fit theta"):
        ModelResponder(llama, broken).reply("hi")
    assert state_hash(llama) == before


def test_a_base_with_few_positions_answers_or_is_refused(llama: LanguageModel) -> None:
    """Fewer positions than the longest answer leave no room for a prompt."""
    llama.model.config.max_position_embeddings = 100
    with contextlib.suppress(InputError):
        assert isinstance(ModelResponder(llama).reply("hello there"), str)


def test_memories_on_one_base_are_not_mixed_up(
    llama: LanguageModel, make_memory: MakeMemory
) -> None:
    """Each answers as if it were the only one, in any order."""
    memories = [make_memory(llama, seed=seed) for seed in range(3)]
    alone = [brief(ModelResponder(llama, memory)).reply_all(QUERIES) for memory in memories]
    responders = [brief(ModelResponder(llama, memory)) for memory in memories]
    for order in ((0, 1, 2), (2, 0, 1)):
        for i in order:
            assert responders[i].reply_all(QUERIES) == alone[i]
    assert len({str(answers) for answers in alone}) == 3


def test_a_memory_on_responses_alone_answers_so(
    llama: LanguageModel, make_memory: MakeMemory
) -> None:
    """As the plain path does when the pairs act from the prompt's last token on."""
    config = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7, inject="response")
    memory = make_memory(llama, config)
    personal = brief(ModelResponder(llama, memory))
    prompts = [personal.format.prompt(query) for query in QUERIES]
    tokens = answer_plainly(
        llama,
        prompts,
        max_new_tokens=12,
        chooser=GreedyChooser(personal.format.stop_ids),
        injection=Injection.of(llama, memory),
    )
    answers = personal.reply_all(QUERIES)
    assert answers == [personal.format.text(row) for row in tokens]
    everywhere = make_memory(llama, replace(config, inject="all"))
    assert answers != brief(ModelResponder(llama, everywhere)).reply_all(QUERIES)
