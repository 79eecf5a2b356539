"""Chat templates as models ship them, the odd ones among them."""

from collections.abc import Sequence

import pytest
from transformers import PreTrainedTokenizerFast

from lorecall.errors import ModelError
from lorecall.lm.families.tiny import tiny_base, tiny_tokenizer
from lorecall.lm.prompts import PromptFormat, layout_of
from lorecall.records import Sample, Turn

OTHER = Turn(by_author=False, text="one")
OWN = Turn(by_author=True, text="two")
ASKS = "{% if add_generation_prompt %}"
# in the manner of: Gemma, Qwen 3, SmolLM 2, SmolLM 3, Llama 3, Mistral, Phi 3, DeepSeek-R1's
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>\n{% endfor %}"
    + ASKS
    + "<|assistant|>{% endif %}"
)
QWEN3 = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|end|>\n{% endfor %}"
    + ASKS
    + "<|assistant|>{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
SMOLLM2 = (
    "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "<|system|>You help.<|end|>{% endif %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>"
    "{% endfor %}" + ASKS + "<|assistant|>{% endif %}"
)
SMOLLM3 = (
    "<|system|>Today: {{ strftime_now('%d %B %Y') }}. /no_think<|end|>"
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    + ASKS
    + "<|assistant|>{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "[INST] {{ m['content'] }} [/INST]{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
PHI3 = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|system|>\n{% endfor %}"
    + ASKS
    + "<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }}"
    "{% else %}<|assistant|>{{ m.content.split('</think>')[-1] }}<|end|>{% endif %}{% endfor %}"
    + ASKS
    + "<|assistant|><think>\n{% endif %}"
)
PARTS = (
    "{% for m in messages %}<|{{ m.role }}|>{% for part in m.content %}{{ part.text }}{% endfor %}"
    "<|end|>{% endfor %}" + ASKS + "<|assistant|>{% endif %}"
)


def layout(template: str) -> PromptFormat:
    """Lay prompts out by a template."""
    tokenizer = tiny_tokenizer(chat=False)
    tokenizer.chat_template = template
    return PromptFormat(tokenizer)


def shown(prompts: PromptFormat, query: str, turns: Sequence[Turn] = ()) -> str:
    """Return a prompt as text, special tokens included."""
    return str(prompts.tokenizer.decode(prompts.prompt(query, turns)))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (GEMMA, "<s><|user|>hi<|end|>\n<|assistant|>"),
        (QWEN3, "<|user|>hi<|end|>\n<|assistant|><think>\n\n</think>\n\n"),
        (SMOLLM2, "<|system|>You help.<|end|><|user|>hi<|end|><|assistant|>"),
        (MISTRAL, "<s>[INST] hi [/INST]"),
        (PHI3, "<|user|>\nhi<|system|>\n<|assistant|>\n"),
        (DEEPSEEK, "<s><|user|>hi<|assistant|><think>\n</think>\n\n"),
    ],
    ids=["gemma", "qwen3", "smollm2", "mistral", "phi3", "deepseek"],
)
def test_a_query_is_asked_as_the_template_has_it(template: str, expected: str) -> None:
    """System text of its own, one begin token, and no thoughts left to think."""
    assert shown(layout(template), "hi") == expected


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (GEMMA, "<|end|>"),
        (QWEN3, "<|end|>"),
        (SMOLLM2, "<|end|>"),
        (SMOLLM3, "<|end|>"),
        (MISTRAL, "<|end|>"),
        (PHI3, "<|system|>"),
        (DEEPSEEK, "<|end|>"),
    ],
    ids=["gemma", "qwen3", "smollm2", "smollm3", "mistral", "phi3", "deepseek"],
)
def test_a_reply_ends_as_the_template_ends_it(template: str, end: str) -> None:
    """Also where the prompt is no beginning of the whole conversation."""
    prompts = layout(template)
    assert prompts.tokenizer.decode([prompts.end_id]) == end
    sample = Sample(id="1", user="u", conversation="c", query="hi", response="yo")
    assert prompts.tokenizer.decode(prompts.encode(sample).response) == f"yo{end}"


def test_an_end_that_is_no_token_of_its_own_is_the_texts() -> None:
    """Some templates close a turn with words, which a person may say too."""
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }} ### {% endfor %}"
    prompts = layout(template)
    assert prompts.end_id == prompts.eos_id
    assert prompts.stop_ids == {prompts.eos_id}


def test_turns_that_a_template_refuses_are_left_out() -> None:
    """A first one of the assistant's: the oldest goes, as often as it takes."""
    prompts = layout(GEMMA)
    assert shown(prompts, "hi", [OTHER, OWN]).count("<|user|>") == 2
    assert shown(prompts, "hi", [OWN]) == shown(prompts, "hi")


@pytest.mark.parametrize("template", [GEMMA, SMOLLM2])
def test_turns_in_a_row_of_one_side_are_one(template: str) -> None:
    """None of them is lost, in a sample's prompt and when a reply is asked for."""
    prompts = layout(template)
    said = shown(prompts, f"{OTHER.text}\n{OTHER.text}\nhi")
    assert shown(prompts, "hi", [OTHER, OTHER]) == said
    sample = Sample(
        id="1", user="u", conversation="c", query="hi", response="-", earlier=(OTHER, OTHER)
    )
    assert prompts.tokenizer.decode(list(prompts.encode(sample).prompt)) == said
    both = shown(prompts, "hi", [OTHER, OWN, OWN])
    assert f"{OWN.text}\n{OWN.text}" in both


def test_the_date_is_always_the_same() -> None:
    """A memory is asked on another day than it was taught."""
    assert "Today: 26 July 2024. /no_think" in shown(layout(SMOLLM3), "hi")


def test_thoughts_of_others_stay_in_their_words() -> None:
    """What a person wrote is no thought of the model's; only an open one is closed."""
    assert shown(layout(QWEN3), "<think>").count("</think>") == 1
    assert shown(layout(SMOLLM2), "a <think>").endswith("a <think><|end|><|assistant|>")


def test_a_template_that_loses_the_words_is_refused() -> None:
    """It wants them in parts, as pictures and text are given."""
    with pytest.raises(ModelError, match="the chat template must show what was said"):
        layout(PARTS)


@pytest.mark.parametrize("template", ["{{ messages.nothing.at_all }}", "{{ 1 + 'a' }}"])
def test_a_template_that_breaks_is_refused_in_one_line(template: str) -> None:
    """Whatever it raises."""
    with pytest.raises(ModelError, match="the chat template must take a single user turn"):
        layout(template).prompt("hi")


class TestLayout:
    """How turns are laid out is said, and kept in a memory's recipe."""

    @pytest.fixture
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Return a tokeniser without a template."""
        return tiny_tokenizer(chat=False)

    def test_without_a_template_turns_are_joined_and_it_is_said(
        self, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        """By which token, and how to have it otherwise."""
        assert layout_of(tokenizer) == "turns joined by <|end|>"
        (note,) = tiny_base("llama", chat=False).notes
        assert "no chat template: turns are joined by '<|end|>'" in note
        assert "chat_template.jinja" in note

    def test_with_a_template_it_is_told_by_its_hash(
        self, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        """Another template is another layout."""
        tokenizer.chat_template = GEMMA
        first = layout_of(tokenizer)
        assert first.startswith("chat template ")
        tokenizer.chat_template = QWEN3
        assert layout_of(tokenizer) != first
        assert tiny_base("llama", chat=True).notes == ()
