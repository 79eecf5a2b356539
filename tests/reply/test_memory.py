"""A memory with its base: loads, replies, streams, draws."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.decoding import Decoding
from lorecall.errors import ArtefactError, ConfigError, ModelError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.memory.memory import StoredMemory
from lorecall.reply.memory import Memory
from lorecall.reply.messages import with_earlier
from lorecall.reply.responder import ModelResponder
from lorecall.settings import TrainSettings

DRAWN = Decoding(temperature=1.0, top_p=0.9, seed=1)


@pytest.fixture
def memory(
    llama: LanguageModel, make_memory: Callable[..., StoredMemory], tmp_path: Path
) -> Memory:
    """Return a stored memory, loaded on its base."""
    make_memory(llama).save(tmp_path / "run" / "memory")
    return Memory.load(tmp_path / "run", llama)


def test_it_replies_as_its_responder_does(memory: Memory, llama: LanguageModel) -> None:
    """To a query, and to messages; where it lies and what it is are known."""
    assert memory.reply("hello") == ModelResponder(llama, memory.stored).reply("hello")
    assert memory.reply([{"role": "user", "content": "hello"}]) == memory.reply("hello")
    assert memory.path.name == "memory"
    assert memory.theta == memory.stored.config == memory.manifest.theta
    assert memory.base is llama
    assert memory.decoding == memory.stored.decoding


def test_earlier_turns_are_heard_as_far_as_in_training(memory: Memory) -> None:
    """Two of them; those before make no difference."""
    asked = with_earlier("and you?", ["one", "two", "three", "four"])
    assert memory.reply(asked) == memory.reply(asked[2:])
    assert memory.reply(asked) != memory.reply("and you?")


def test_a_stream_is_the_reply(memory: Memory) -> None:
    """Greedy, and drawn with a seed."""
    for decoding in (None, DRAWN):
        pieces = list(memory.stream("hello", decoding=decoding))
        assert "".join(pieces) == memory.reply("hello", decoding=decoding)
    assert len(list(memory.stream("hello", decoding=DRAWN))) > 1


def test_replies_can_be_drawn(memory: Memory) -> None:
    """The same seed draws the same, another one another reply."""
    drawn = memory.reply("hello", decoding=DRAWN)
    assert memory.reply("hello", decoding=DRAWN) == drawn
    others = {memory.reply("hello", decoding=Decoding(temperature=1.0, seed=s)) for s in range(4)}
    assert len(others) > 1


def test_it_reads_as_much_as_in_training(memory: Memory) -> None:
    """By the settings in its recipe: prompts, replies, earlier turns."""
    manifest = memory.manifest
    settings = TrainSettings(max_prompt_tokens=64, max_response_tokens=3, earlier_turns=0)
    recipe = manifest.recipe.model_copy(update={"settings": settings})
    stored = replace(memory.stored, manifest=manifest.model_copy(update={"recipe": recipe}))
    stored.save(memory.path)
    brief = Memory.load(memory.path, memory.base)
    assert sum(brief.read_and_cut("word " * 20)) == 100 > brief.read_and_cut("word " * 20)[0]
    assert len(brief.reply("hello")) < len(memory.reply("hello"))
    assert brief.reply(with_earlier("hello", ["one", "two"])) == brief.reply("hello")


def test_what_is_not_read_of_a_query_is_counted(memory: Memory) -> None:
    """In tokens, nothing of a short one."""
    assert memory.read_and_cut("hello") == (5, 0)
    (n_read, n_cut), more = (memory.read_and_cut("word " * n) for n in (2000, 2001))
    assert 0 < n_read < 512
    assert n_read + n_cut == 5 * 2000
    assert more == (n_read, n_cut + 5)


def test_the_base_is_loaded_when_it_is_needed(
    memory: Memory, tmp_path: Path, make_memory: Callable[..., StoredMemory]
) -> None:
    """By its name; nothing is loaded to look at a memory."""
    folder = tmp_path / "base"
    memory.base.model.save_pretrained(folder)
    memory.base.tokenizer.save_pretrained(folder)
    base = LanguageModel.load(str(folder), device="cpu")
    make_memory(base).save(tmp_path / "other")
    lazy = Memory.load(tmp_path / "other")
    assert lazy.theta == memory.theta
    assert lazy.reply("hello") == Memory.load(tmp_path / "other", base).reply("hello")
    make_memory(tiny_base()).save(tmp_path / "nowhere")
    assert Memory.load(tmp_path / "nowhere").theta
    with pytest.raises(ModelError, match="the base must be"):
        Memory.load(tmp_path / "nowhere").reply("hello")


def test_what_cannot_reply_is_refused(memory: Memory, tmp_path: Path) -> None:
    """Another base, no memory, no conversation."""
    with pytest.raises(ModelError, match="base it was trained for"):
        Memory.load(memory.path, tiny_base("gpt2"))
    with pytest.raises(ArtefactError, match="no such folder"):
        Memory.load(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="a last message of the role user"):
        memory.reply([])
    with pytest.raises(ConfigError, match="a last message of the role user"):
        memory.stream([{"role": "assistant", "content": "hi"}])


def test_a_base_that_lays_turns_out_otherwise_is_refused(
    make_memory: Callable[..., StoredMemory], tmp_path: Path
) -> None:
    """The same weights with another template; by whoever answers."""
    base = tiny_base()
    stored = make_memory(base)
    stored.save(tmp_path / "memory")
    assert Memory.load(tmp_path, base).reply("hello")
    base.tokenizer.chat_template = f"{base.tokenizer.chat_template} "
    for refused in (lambda: Memory.load(tmp_path, base), lambda: ModelResponder(base, stored)):
        with pytest.raises(
            ModelError, match="a memory is asked as it was taught: expected chat te"
        ):
            refused()
