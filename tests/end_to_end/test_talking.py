"""`lorecall ask` and `lorecall chat` with a memory on a tiny base."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.cli.output import printable
from lorecall.data.privacy import mask
from lorecall.decoding import READABLE
from lorecall.errors import ConfigError, ModelError
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.reply.memory import Memory
from lorecall.reply.messages import with_earlier

GREEDY = ("--temperature", "0")
DRAWN = ("--temperature", "1", "--top-p", "0.9", "--seed", "3")


@pytest.fixture
def folder(model_folder: Path, make_memory: Callable[..., StoredMemory], tmp_path: Path) -> Path:
    """Return the folder of a memory on the tiny base that is on disk."""
    base = LanguageModel.load(str(model_folder), device="cpu")
    make_memory(base).save(tmp_path / "memory")
    return tmp_path / "memory"


def invoke(*arguments: str, typed: str | bytes | None = None) -> Result:
    """Run a command in this process; errors of the package come back in `.exception`."""
    return CliRunner().invoke(app, list(arguments), input=typed)


def asked(folder: Path, *arguments: str, typed: str | bytes | None = None) -> dict[str, str]:
    """Ask, and return the replies."""
    result = invoke(
        "ask", "--memory", str(folder), "--device", "cpu", "--json", *arguments, typed=typed
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["replies"]


def told(folder: Path, typed: str, *arguments: str) -> list[dict[str, object]]:
    """Chat through a pipe; return what is answered, a line of JSON each."""
    command = ("chat", "--memory", str(folder), "--device", "cpu", "--json", *arguments)
    result = invoke(*command, typed=typed)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestAsk:
    """One query."""

    def test_what_was_said_before_is_heard(self, folder: Path) -> None:
        """Of both sides, as the public class hears it."""
        before = ("--earlier", "hi", "--earlier", "hello you")
        replies = asked(folder, *DRAWN, *before, "and?")
        assert replies != asked(folder, *DRAWN, "and?")
        memory = Memory.load(folder)
        decoding = replace(
            memory.decoding, temperature=1.0, top_p=0.9, min_p=READABLE.min_p, seed=3
        )
        messages = with_earlier("and?", ["hi", "hello you"])
        assert replies["memory"] == mask(memory.reply(messages, decoding=decoding))

    def test_a_query_is_read_from_standard_input(self, folder: Path) -> None:
        """With `-`, all of it."""
        assert asked(folder, "-", typed="how are\nyou?\n") == asked(folder, "how are\nyou?")

    def test_replies_are_drawn_with_a_seed(self, folder: Path) -> None:
        """The same again; another than the likeliest one, and than with another seed."""
        drawn = asked(folder, *DRAWN, "hello")
        assert drawn == asked(folder, *DRAWN, "hello") != asked(folder, *GREEDY, "hello")
        both = asked(folder, *DRAWN, "--compare", "hello")
        assert both["memory"] == drawn["memory"]
        assert both["without"] != asked(folder, *GREEDY, "--without", "hello")["without"]

    def test_unless_told_otherwise_replies_are_drawn_to_be_read(self, folder: Path) -> None:
        """As the constant says, over how long this memory's replies are; greedily if told so."""
        memory = Memory.load(folder)
        read = memory.reply("hello", decoding=memory.decoding.drawn_as(READABLE))
        assert asked(folder, "hello") == {"memory": mask(read)}
        assert asked(folder, *GREEDY, "hello") == {"memory": mask(memory.reply("hello"))}

    def test_without_is_the_base_with_what_is_shared(self, folder: Path) -> None:
        """Nobody's own; `--vanilla` is no word any more."""
        assert list(asked(folder, "--without", "hello")) == ["without"]
        refused = invoke("ask", "--memory", str(folder), "--vanilla", "hello")
        assert refused.exit_code == 2
        assert "what is shared but nobody's own" in " ".join(
            invoke("ask", "--help").output.replace("│", " ").split()
        )

    def test_a_query_too_long_is_not_cut_silently(self, folder: Path) -> None:
        """How many tokens are left out is told beside the reply."""
        long = invoke("ask", "--memory", str(folder), "--device", "cpu", "word " * 20_000)
        assert long.exit_code == 0, long.output
        told = re.search(
            r"last (\d+) tokens are read, the ([\d,]+) before them are cut", long.stderr
        )
        assert told is not None
        layout, said = Memory.load(folder).read_and_cut("word " * 20_000), told.groups()
        assert tuple(int(n.replace(",", "")) for n in said) == layout
        assert sum(layout) == 100_000  # a byte a token
        assert not invoke("ask", "--memory", str(folder), "--device", "cpu", "word").stderr

    @pytest.mark.parametrize(
        ("arguments", "typed", "line"),
        [
            ((" ",), None, "a query must say something"),
            (("-",), b"", "a query must say something"),
            (("-",), b"caf\xe9", "what is said must be text: expected UTF-8.*byte 4"),
            (("caf\udce9",), None, "must be text: expected UTF-8, got other bytes at character 4"),
            (("--earlier", "\udce9", "hi"), None, "message 1 must be text"),
            (("--earlier", "", "hi"), None, "message 1 must say something: expected some text"),
            (("--temperature", "-1", "hi"), None, "temperature must be in range"),
            (("--top-p", "2", "hi"), None, "top_p must be in range"),
            (("--min-p", "nan", "hi"), None, "min_p must be in range"),
        ],
    )
    def test_what_cannot_be_asked_is_refused(
        self, arguments: tuple[str, ...], typed: bytes | None, line: str, tmp_path: Path
    ) -> None:
        """Before a memory is looked for."""
        result = invoke("ask", "--memory", str(tmp_path / "none"), *arguments, typed=typed)
        with pytest.raises(ConfigError, match=line):
            raise result.exception or AssertionError(result.output)

    def test_a_base_that_is_nowhere_is_refused(self, folder: Path) -> None:
        """By its name."""
        result = invoke("ask", "--memory", str(folder), "--model", "./nowhere", "hi")
        assert isinstance(result.exception, ModelError)


class TestChat:
    """A conversation, piped."""

    def test_every_line_is_answered_after_those_before(self, folder: Path) -> None:
        """As many of them as a memory is shown."""
        typed = "hi\nhow are you?\n\nand now?\n"
        first, second, third = told(folder, typed, *GREEDY)
        memory = Memory.load(folder)
        said = [str(value) for each in (first, second) for value in each.values()]
        assert first["reply"] == memory.reply("hi")
        assert second["reply"] == memory.reply(with_earlier("how are you?", said[:2]))
        assert third["reply"] == memory.reply(with_earlier("and now?", said))

    def test_commands_are_taken(self, folder: Path) -> None:
        """`/compare` answers the last message twice, `/reset` forgets, `/quit` ends."""
        lines = told(folder, "/compare\nhi\n/compare\n/reset\nhi\n/quit\nnever said\n")
        first, both, again = lines
        assert again == first == {"query": "hi", "reply": first["reply"]}
        assert both["query"] == "hi"
        assert both["replies"] == asked(folder, "--compare", "hi")

    def test_it_is_streamed_as_text_too(self, folder: Path) -> None:
        """The same words; what is typed for help is answered beside."""
        command = ("chat", "--memory", str(folder), "--device", "cpu", *DRAWN)
        shown = invoke(*command, typed="hi\n/help\n/compare\n")
        (reply,) = told(folder, "hi\n", *DRAWN)
        assert shown.stdout.startswith(f"you: hi\nmemory: {printable(str(reply['reply']))}\n")
        assert "without: " in shown.stdout
        assert "/reset" in shown.stderr

    def test_nothing_typed_ends_it(self, folder: Path) -> None:
        """As Ctrl-D does."""
        assert told(folder, "") == []

    def test_bytes_that_are_no_text_are_refused(self, folder: Path) -> None:
        """In one line."""
        result = invoke("chat", "--memory", str(folder), "--device", "cpu", typed=b"caf\xe9\n")
        assert isinstance(result.exception, ConfigError)


def test_what_steers_a_terminal_is_not_printed() -> None:
    """Lines stay."""
    assert printable("a\x1b[2Jb\nc\x07") == "a [2Jb\nc "
