"""How the commands print: texts as they are, and JSON for programs."""

import json

import pytest
from rich.text import Text

from lorecall.cli.output import print_result

HOSTILE = "Bob [/work] [bold]x[/bold] :smile:\x1b[2J\x1b]0;title\x07\nsecond line\u202e"


def test_a_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """No markup, no emoji codes, nothing that steers the terminal; its lines stay."""
    print_result({}, HOSTILE, as_json=False)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Bob [/work] [bold]x[/bold] :smile:")
    assert second.strip() == "second line"
    assert not {"\x1b", "\x07", "\u202e"} & set(first + second)


def test_a_view_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """One after another."""
    print_result({}, Text("[b]one"), "two", as_json=False)
    assert capsys.readouterr().out.split() == ["[b]one", "two"]


def test_json_holds_the_text_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Escaped as JSON does."""
    print_result({"reply": HOSTILE}, "not this", as_json=True)
    out = capsys.readouterr().out
    assert json.loads(out) == {"reply": HOSTILE}
    assert "\x1b" not in out
