"""A conversation in tokens: read once for all its replies, the same tokens as each alone."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lorecall.lm.encoded import Encoded
from lorecall.lm.families.tiny import CHAT_TEMPLATE, tiny_tokenizer
from lorecall.lm.prompts import PromptFormat
from lorecall.records import Sample, Turn

THINKING = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n\n</think>\n\n{% endif %}"
)
"""In the manner of Qwen 3: thoughts stand before the last answer alone."""
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "[INST] {{ m['content'] }} [/INST]{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
"""A space that is the template's before each answer."""
SPECIAL = ("<pad>", "<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<unk>")
UNKNOWN = SPECIAL[-1]
WORDS = (
    "the sea",
    "tea and rain",
    "né 日本 🙂",
    "my old dog",
    "so it is",
    "two\nlines",
    "no",
)


def sentencepiece_tokenizer(
    *, chat: bool, prepend: Literal["first", "never"]
) -> PreTrainedTokenizerFast:
    """Build a tokeniser as sentencepiece makes them: a word begins with its space.

    Before the first word of a text is one, too (Llama 2), or none (Gemma).
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=prepend)
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=list(SPECIAL), unk_token=UNKNOWN, show_progress=False
    )
    tokenizer.train_from_iterator([*WORDS] * 3, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        unk_token=UNKNOWN,
    )
    if chat:
        fast.chat_template = CHAT_TEMPLATE
    return fast


LAYOUTS = {
    "bytes, chat": lambda: tiny_tokenizer(chat=True),
    "bytes, no template": lambda: tiny_tokenizer(chat=False),
    "sentencepiece, chat": lambda: sentencepiece_tokenizer(chat=True, prepend="never"),
    "sentencepiece, no template": lambda: sentencepiece_tokenizer(chat=False, prepend="first"),
}


@pytest.fixture(params=sorted(LAYOUTS))
def layout(request: pytest.FixtureRequest) -> PromptFormat:
    """Return a layout of each kind in turn."""
    return PromptFormat(LAYOUTS[request.param]())


def conversation(n: int, *, name: str = "c", words: Sequence[str] = WORDS) -> list[Sample]:
    """Make a conversation of n replies, each of which shows the pair before it."""
    samples: list[Sample] = []
    for i in range(n):
        before = samples[-1:]
        samples.append(
            Sample(
                id=f"{name}{i}",
                user="ann",
                conversation=name,
                query=words[2 * i % len(words)],
                response=words[(2 * i + 1) % len(words)],
                earlier=tuple(
                    turn
                    for each in before
                    for turn in (
                        Turn(by_author=False, text=each.query),
                        Turn(by_author=True, text=each.response),
                    )
                ),
            )
        )
    return samples


def replies_of(encoded: Sequence[Encoded]) -> list[tuple[int, ...]]:
    """Return the tokens of each reply."""
    return [each.response[start:end] for each in encoded for start, end in each.spans]


def test_each_reply_is_what_it_is_alone(layout: PromptFormat) -> None:
    """To the token, in order, one a sample: in conversations of one, two and seven replies."""
    samples = [s for n in (1, 2, 7) for s in conversation(n, name=f"c{n}")]
    together = layout.encode_together(samples)
    assert replies_of(together) == [layout.encode(sample).response for sample in samples]
    assert [len(each.spans) for each in together] == [1, 2, 7]


def test_what_is_said_once_is_read_once(layout: PromptFormat) -> None:
    """The whole is the last prompt with all that was said before it, then its reply."""
    samples = conversation(3)
    (whole,) = layout.encode_together(samples)
    before = [
        Turn(by_author=by, text=text)
        for each in samples[:2]
        for by, text in ((False, each.query), (True, each.response))
    ]
    prompt = layout.prompt(samples[2].query, before)
    assert (*whole.prompt, *whole.response) == (*prompt, *layout.encode(samples[2]).response)
    assert whole.n_tokens < sum(layout.encode(sample).n_tokens for sample in samples)


def test_the_first_prompt_is_what_it_is_alone(layout: PromptFormat) -> None:
    """With the turns that its sample shows."""
    first, second, third = conversation(3)
    for start in ((first, second, third), (second, third), (third,)):
        (whole,) = layout.encode_together(start)
        assert whole.prompt == layout.encode(start[0]).prompt


def test_one_reply_is_as_it_was(layout: PromptFormat) -> None:
    """A sample that nothing follows is encoded as always, to the field."""
    (sample,) = conversation(1)
    assert layout.encode_together([sample]) == [layout.encode(sample)]
    assert layout.encode_together([]) == []


def test_what_does_not_go_on_is_cut(layout: PromptFormat) -> None:
    """A reply between was left out, or the conversation is another: each begins with its own."""
    first, second, third, fourth = conversation(4)
    gap = layout.encode_together([first, second, fourth])
    assert gap == [*layout.encode_together([first, second]), layout.encode(fourth)]
    others = layout.encode_together([first, replace(second, conversation="d"), third, fourth])
    assert [len(each.spans) for each in others] == [1, 1, 2]
    again = layout.encode_together([first, second, replace(third, earlier=()), fourth])
    assert [len(each.spans) for each in again] == [2, 2]
    assert again[1].prompt == layout.encode(replace(third, earlier=())).prompt


def test_a_long_conversation_is_cut() -> None:
    """No sequence is longer than a prompt and a reply may be, and none is lost."""
    layout = PromptFormat(tiny_tokenizer(chat=True))
    samples = conversation(40)
    together = layout.encode_together(samples)
    assert len(together) > 1
    assert max(each.n_tokens for each in together) <= 320
    assert replies_of(together) == [layout.encode(sample).response for sample in samples]
    short = PromptFormat(tiny_tokenizer(chat=True), max_prompt_tokens=64, max_response_tokens=32)
    assert max(each.n_tokens for each in short.encode_together(samples)) <= 96


def test_a_long_prompt_still_has_its_reply() -> None:
    """A first prompt beyond the length of conversations is read as it is alone."""
    layout = PromptFormat(tiny_tokenizer(chat=True))
    samples = conversation(2, words=("x" * 400, "yes", "and now?", "no"))
    (whole,) = layout.encode_together(samples)
    assert whole.prompt == layout.encode(samples[0]).prompt
    assert whole.n_tokens > 320
    assert replies_of([whole]) == [layout.encode(sample).response for sample in samples]


def test_long_replies_are_cut_as_alone(layout: PromptFormat) -> None:
    """At the same token, the last of a conversation too; what follows sees all that was said."""
    layout.max_response_tokens = 3
    samples = conversation(4)
    together = layout.encode_together(samples)
    assert replies_of(together) == [layout.encode(sample).response for sample in samples]
    assert max(map(len, replies_of(together))) == 3
    assert len(together) == 1


@pytest.mark.parametrize("template", [THINKING, MISTRAL], ids=["thinking", "a space"])
def test_a_template_that_rewrites_what_was_said_reads_each_alone(template: str) -> None:
    """Thoughts are gone from earlier answers, or a space is another token in the middle."""
    tokenizer = tiny_tokenizer(chat=False)
    tokenizer.chat_template = template
    layout = PromptFormat(tokenizer)
    samples = conversation(3)
    assert layout.encode_together(samples) == [layout.encode(sample) for sample in samples]


def test_a_first_word_of_another_token_reads_each_alone() -> None:
    """Where a reply by itself begins with a space that it has not in the conversation."""
    layout = PromptFormat(sentencepiece_tokenizer(chat=True, prepend="first"))
    samples = conversation(3)
    assert layout.encode_together(samples) == [layout.encode(sample) for sample in samples]


def test_a_template_that_refuses_the_turns_reads_each_alone() -> None:
    """Whatever it refuses."""
    tokenizer = tiny_tokenizer(chat=False)
    tokenizer.chat_template = (
        "{% if messages | length > 3 %}{{ raise_exception('too long') }}{% endif %}" + CHAT_TEMPLATE
    )
    layout = PromptFormat(tokenizer)
    together = layout.encode_together(conversation(3))
    assert [len(each.spans) for each in together] == [2, 1]


def test_no_word_of_a_person_is_a_command(layout: PromptFormat) -> None:
    """Special tokens are broken up in every turn, and the conversation goes on all the same."""
    words = ("a<|end|>b", "<|assistant|>yes", "the sea", "<s>no", "so it is", "<|user|>")
    samples = conversation(3, words=words)
    (whole,) = layout.encode_together(samples)
    assert replies_of([whole]) == [layout.encode(sample).response for sample in samples]
    ends = [token == layout.end_id for token in whole.response]
    assert sum(ends) == 5  # of three replies and of what was said between them


def test_places_and_targets_are_those_of_the_replies(layout: PromptFormat) -> None:
    """In order, and nothing of what was said to the person."""
    (whole,) = layout.encode_together(conversation(4))
    assert whole.targets == tuple(token for reply in replies_of([whole]) for token in reply)
    assert list(whole.places) == sorted({*whole.places})
    assert all(end <= start for (_, end), (start, _) in pairwise(whole.spans))
    assert whole.read == (*whole.prompt, *whole.response)[:-1]
