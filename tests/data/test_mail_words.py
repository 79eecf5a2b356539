"""What someone wrote in an e-mail, out of what programs of many languages put around it."""

from pathlib import Path

import pytest

from lorecall.data.mail_body import text_of_html
from lorecall.data.mail_words import is_automatic, last_lines, own_reply, without_tail

REPLY = "Yes, but only after eight.\n\nI will bring the bread:\nthe dark one."
QUOTED = "> Shall we eat tonight?\n>\n> Ann"
PLAIN = "Shall we eat tonight?\n\nAnn"

_FILE = Path(__file__).with_name("mail_heads.txt")
_, *_SECTIONS = _FILE.read_text(encoding="utf-8").split("== ")
INTROS, HEADS, SIGNATURES = (s.partition("\n")[2].rstrip("\n").split("\n~\n") for s in _SECTIONS)
MARKED = ("Ann Lee <ann@example.org> writes:", "Ann Lee wrote:", "")


@pytest.mark.parametrize("intro", [*INTROS, *MARKED])
def test_a_marked_quotation_is_taken_off(intro: str) -> None:
    """Above it, below it, and where answers stand between."""
    block = f"{intro}\n{QUOTED}"
    assert own_reply(f"{REPLY}\n\n{block}\n") == REPLY
    assert own_reply(f"{REPLY}\n{block}\n") == REPLY
    assert own_reply(f"{block}\n\n{REPLY}\n") == REPLY
    assert own_reply(f"{block}\n\nYes.\n\n> And the bread?\n\nThat too.") == "Yes.\n\nThat too."


@pytest.mark.parametrize("intro", INTROS)
def test_an_unmarked_quotation_goes_on_to_the_end(intro: str) -> None:
    """As a page has it whose signs were lost."""
    assert own_reply(f"{REPLY}\n\n{intro}\n\n{PLAIN}") == REPLY


@pytest.mark.parametrize("head", HEADS)
def test_what_is_under_another_head_is_not_the_senders(head: str) -> None:
    """Quoted whole, or forwarded."""
    assert own_reply(f"{REPLY}\n\n{head}\n\n{PLAIN}") == REPLY
    assert own_reply(f"{head}\n\n{PLAIN}") == ""


@pytest.mark.parametrize("signature", SIGNATURES)
def test_signatures_and_footers_are_taken_off(signature: str) -> None:
    """Of programs, phones and lists; also above a quotation."""
    assert own_reply(f"{REPLY}\n\n{signature}\n") == REPLY
    assert own_reply(f"{REPLY}\n\n{signature}\n\n{INTROS[0]}\n{QUOTED}\n") == REPLY


@pytest.mark.parametrize(
    "text",
    [
        *("On Monday I wrote:\n\nthe tea is out.", "She wrote to me in 2024:\nno more tea."),
        *("The list:\n- tea\n- bread", "From: here to there\nIt is far.", "1 < 2 and 3 > 2"),
        *("Date: tomorrow\nPlace: the usual\nBring: bread", "Ich habe es dir gestern gesendet"),
        *(
            "I was sent from my office to yours, twice.",
            "We meet at 19:01:\nbe there.",
            "Gesendet.",
        ),
        "The original message was lost.",
        "----\nA line of dashes, and more\n----",
        "a -- b, and so on",
    ],
)
def test_what_looks_like_it_is_kept(text: str) -> None:
    """People write of times, lists and messages."""
    assert own_reply(text) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree"),
        ("<div>one</div><div><br></div><div>two &amp; <b>b</b></div>", "one\n\ntwo & b"),
        ("<ul><li>tea<li>bread</ul>", "- tea\n- bread"),
        ("one<style>p {}</style><script>x()</script><title>t</title>", "one"),
        ('one<div class="gmail_quote"><div>On</div><blockquote>two</blockquote></div>', "one"),
        ('one<div class="gmail_signature">Bob</div><div>two</div>', "one\ntwo"),
        ('one<div id="appendonsend"></div><hr><div id="divRplyFwdMsg">From: x</div>two', "one"),
        ('one<div style="border:none;border-top:solid #E1E1E1 1.0pt;x">From: x</div>y', "one"),
        ('one<div class="moz-cite-prefix">On</div><blockquote>x</blockquote>', "one"),
        ('one<div class="moz-signature">-- <br>Bob</div>', "one"),
        ('one<div class="yahoo_quoted"><div>x</div></div>', "one"),
        ("<blockquote>x</blockquote>one", "one"),
        ('<span style="display: none">preview</span>one', "one"),
        ("one <p>two", "one\n\ntwo"),
        ("<blockquote>never closed", ""),
        ("a < b &lt; c", "a < b < c"),
    ],
)
def test_html_is_made_text(html: str, text: str) -> None:
    """Without what is quoted or signed, by the names that programs give that."""
    assert text_of_html(html) == text


def test_what_ends_several_mails_can_be_taken_off() -> None:
    """Two lines or more, but never all."""
    text = "Yes.\n\nBest,\nBob\n"
    assert list(last_lines(text)) == ["Best,\nBob"]
    assert without_tail(text, "Best,\nBob") == "Yes."
    assert list(last_lines("Best,\nBob")) == []


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: tea",
        "Automatische Antwort: Tee",
        "R\u00e9ponse automatique : th\u00e9",
        "Declined: tea",
    ],
)
def test_subjects_of_what_nobody_wrote(subject: str) -> None:
    """In the languages of offices."""
    assert is_automatic(subject)
    assert not is_automatic(f"Re: {subject}")
