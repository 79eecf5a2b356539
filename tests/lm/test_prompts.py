"""What the base is shown, and what it is to answer."""

from collections.abc import Callable

import pytest
from transformers import PreTrainedTokenizerFast

from lorecall.errors import ModelError
from lorecall.lm.families.tiny import tiny_tokenizer
from lorecall.lm.prompts import PromptFormat
from lorecall.records import Sample, Turn

OTHER = Turn(by_author=False, text="one")
OWN = Turn(by_author=True, text="two")
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def chat() -> PreTrainedTokenizerFast:
    """Return a tokeniser with a chat template."""
    return tiny_tokenizer(chat=True)


@pytest.fixture
def plain() -> PreTrainedTokenizerFast:
    """Return a tokeniser without one."""
    return tiny_tokenizer(chat=False)


def shown(prompt_format: PromptFormat, ids: list[int] | tuple[int, ...]) -> str:
    """Turn prompt tokens into text, special tokens included."""
    return str(prompt_format.tokenizer.decode(list(ids)))


def sample_of(query: str, response: str, *, name: str = "1", **fields: object) -> Sample:
    """Make a sample."""
    return Sample(id=name, user="u", conversation="c", query=query, response=response, **fields)


class TestWithATemplate:
    """The author of the response speaks as the assistant."""

    def test_a_query_alone(self, chat: PreTrainedTokenizerFast) -> None:
        """One user turn, and the assistant's opening."""
        layout = PromptFormat(chat)
        assert shown(layout, layout.prompt("hi")) == "<|user|>hi<|end|><|assistant|>"

    def test_earlier_turns_keep_their_side(self, chat: PreTrainedTokenizerFast) -> None:
        """What the author said is the assistant's."""
        layout = PromptFormat(chat)
        assert shown(layout, layout.prompt("hi", [OTHER, OWN])) == (
            "<|user|>one<|end|><|assistant|>two<|end|><|user|>hi<|end|><|assistant|>"
        )

    def test_an_order_the_template_refuses_loses_its_oldest_turns(
        self, chat: PreTrainedTokenizerFast
    ) -> None:
        """Assistant first is refused by some templates; the query is never lost."""
        chat.chat_template = STRICT
        layout = PromptFormat(chat)
        alone = "<|user|>hi<|end|><|assistant|>"
        assert shown(layout, layout.prompt("hi", [OWN])) == alone
        assert shown(layout, layout.prompt("hi", [OWN, OWN])) == alone
        kept = shown(layout, layout.prompt("hi", [OWN, OTHER, OWN]))
        assert kept == "<|user|>one<|end|><|assistant|>two<|end|>" + alone

    def test_a_template_that_takes_no_query_is_refused(self, chat: PreTrainedTokenizerFast) -> None:
        """In one clear line that names the way out."""
        layout = PromptFormat(chat)
        chat.chat_template = "{{ raise_exception('never') }}"
        with pytest.raises(ModelError, match="the chat template must take a single user turn"):
            layout.prompt("hi")

    def test_the_end_of_turn_is_read_off_the_template(self, chat: PreTrainedTokenizerFast) -> None:
        """It need not be the end of the text; both end a response."""
        chat.chat_template = str(chat.chat_template).replace("<|end|>", "<|system|>\n")
        layout = PromptFormat(chat)
        system = chat.convert_tokens_to_ids("<|system|>")
        assert layout.end_id == system
        assert layout.stop_ids == {system, chat.eos_token_id}
        assert layout.encode(sample_of("hi", "yo")).response[-1] == system

    @pytest.mark.parametrize(
        "template",
        [
            "{% for m in messages %}{{ m.content }}{% endfor %}",
            "{% for m in messages %}{{ m.content | upper }}<pad>{% endfor %}",
        ],
    )
    def test_without_a_closing_token_the_end_of_text_ends_a_turn(
        self, chat: PreTrainedTokenizerFast, template: str
    ) -> None:
        """Or where the template changes what was said."""
        chat.chat_template = template
        assert PromptFormat(chat).end_id == chat.eos_token_id


class TestWithoutATemplate:
    """Turns are joined by the end of the text."""

    def test_a_query_alone(self, plain: PreTrainedTokenizerFast) -> None:
        """After the token that begins a text."""
        layout = PromptFormat(plain)
        assert shown(layout, layout.prompt("hi")) == "<s>hi<|end|>"

    def test_earlier_turns_are_joined(self, plain: PreTrainedTokenizerFast) -> None:
        """As DialoGPT was trained: whoever said them."""
        layout = PromptFormat(plain)
        text = shown(layout, layout.prompt("hi", [OTHER, OWN]))
        assert text == "<s>one<|end|>two<|end|>hi<|end|>"

    @pytest.mark.parametrize("token", [None, "<|end|>"])
    def test_no_begin_token_where_there_is_none(
        self, plain: PreTrainedTokenizerFast, token: str | None
    ) -> None:
        """GPT-2 has one token for both ends; it is no opening."""
        plain.bos_token = token
        layout = PromptFormat(plain)
        assert shown(layout, layout.prompt("hi")) == "hi<|end|>"

    def test_a_tokeniser_without_an_end_is_refused(self, plain: PreTrainedTokenizerFast) -> None:
        """A response could not end."""
        plain.eos_token = None
        with pytest.raises(ModelError, match="expected an eos_token"):
            PromptFormat(plain)


@pytest.fixture(params=["chat", "plain"])
def layout(request: pytest.FixtureRequest) -> PromptFormat:
    """Return a layout with a template and one without."""
    return PromptFormat(tiny_tokenizer(chat=request.param == "chat"))


class TestEncode:
    """A sample in tokens."""

    def test_prompt_and_response(self, layout: PromptFormat) -> None:
        """The prompt is that of query and earlier turns; the response ends."""
        encoded = layout.encode(sample_of("hi", "yo", earlier=(OTHER, OWN)))
        assert encoded.prompt == tuple(layout.prompt("hi", [OTHER, OWN]))
        assert shown(layout, encoded.response) == "yo<|end|>"
        assert encoded.n_tokens == len(encoded.prompt) + len(encoded.response)

    @pytest.mark.parametrize(("n", "turns"), [(0, []), (1, [OWN]), (2, [OTHER, OWN])])
    def test_the_latest_earlier_turns_are_shown(
        self, layout: PromptFormat, n: int, turns: list[Turn]
    ) -> None:
        """As many as asked for."""
        encoded = layout.encode(sample_of("hi", "yo", earlier=(OTHER, OWN)), earlier=n)
        assert encoded.prompt == tuple(layout.prompt("hi", turns))

    def test_past_pairs_come_first(self, layout: PromptFormat) -> None:
        """Oldest first, query then response, for ablations."""
        past = [sample_of("q1", "r1", name="0"), sample_of("q2", "r2", name="2")]
        encoded = layout.encode(sample_of("hi", "yo", earlier=(OTHER,)), past=past)
        turns = [
            Turn(by_author=author, text=text)
            for text, author in (("q1", False), ("r1", True), ("q2", False), ("r2", True))
        ]
        assert encoded.prompt == tuple(layout.prompt("hi", [*turns, OTHER]))

    def test_a_long_response_is_cut(self, layout: PromptFormat) -> None:
        """At the limit, without an end token it never had."""
        layout.max_response_tokens = 5
        assert shown(layout, layout.encode(sample_of("hi", "abcdefgh")).response) == "abcde"
        assert shown(layout, layout.encode(sample_of("hi", "abcd")).response) == "abcd<|end|>"

    @pytest.mark.parametrize("text", ["né 日本 🙂", "a\nb\tc", "  twice  spaced "])
    def test_text_survives(self, layout: PromptFormat, text: str) -> None:
        """Through tokens and back, but for blanks around it."""
        assert layout.text(layout.encode(sample_of("hi", text)).response) == text.strip()

    def test_special_tokens_are_no_text(self, layout: PromptFormat) -> None:
        """They are left out of what is shown."""
        assert layout.text(layout.prompt("hi")[-1:]) == ""


class TestNotes:
    """What other systems put in the prompt."""

    def test_notes_stand_before_the_query(self, layout: PromptFormat) -> None:
        """In its own turn, each on a line, after the earlier turns of the other side."""
        text = shown(layout, layout.prompt("hi", [OTHER, OWN], ["likes tea", "born in May"]))
        assert "Notes from earlier:\n- likes tea\n- born in May\n\nhi<|end|>" in text
        assert text.index("one") < text.index("two") < text.index("Notes")
        joined = shown(layout, layout.prompt("hi", [OTHER], ["likes tea"]))
        assert "Notes from earlier:\n- likes tea\n\none\nhi<|end|>" in joined

    def test_no_notes_change_nothing(self, layout: PromptFormat) -> None:
        """The prompt is the one without them, to the token."""
        assert layout.prompt("hi", [OTHER], []) == layout.prompt("hi", [OTHER])

    def test_turns_go_before_notes_and_the_last_note_first(self, layout: PromptFormat) -> None:
        """Where there is no room; the query stays."""
        both = layout.prompt("hi", [], ["likes tea", "born in May"])
        layout.max_prompt_tokens = len(both)
        assert layout.prompt("hi", [OTHER, OWN], ["likes tea", "born in May"]) == both
        layout.max_prompt_tokens = len(both) - 1
        one = layout.prompt("hi", [OWN], ["likes tea", "born in May"])
        assert one == layout.prompt("hi", [], ["likes tea"])
        layout.max_prompt_tokens = 20
        assert layout.prompt("hi", [], ["x" * 500]) == layout.prompt("hi")

    def test_a_note_is_never_a_command(self, layout: PromptFormat) -> None:
        """Special tokens in it are broken up, as in everyone's words."""
        text = shown(layout, layout.prompt("hi", [], ["a<|end|>b"]))
        assert "a< |end|>b" in text

    def test_a_sample_is_encoded_with_them(self, layout: PromptFormat) -> None:
        """The response is as without."""
        encoded = layout.encode(sample_of("hi", "yo"), notes=["likes tea"])
        assert encoded.prompt == tuple(layout.prompt("hi", [], ["likes tea"]))
        assert encoded.response == layout.encode(sample_of("hi", "yo")).response


def test_samples_of_the_fixture_are_encoded_whole(
    layout: PromptFormat, make_samples: Callable[..., tuple[Sample, ...]]
) -> None:
    """The prompt ends where the response begins, for each."""
    for sample in make_samples(6):
        encoded = layout.encode(sample)
        assert sample.query in shown(layout, encoded.prompt)
        assert layout.text(encoded.response) == sample.response
