"""Masking addresses, numbers, handles and secrets; `test_masking` measures it on 300 texts."""

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.data import handles
from lorecall.data.privacy import Found, found, mask, mask_pieces

WORD = st.text(string.ascii_lowercase + string.digits + "_", min_size=3, max_size=12)
NAME = WORD.filter(lambda name: not name[0].isdigit() and name not in handles._NOBODY)
PLAIN = st.text(st.characters(exclude_characters="@:", codec="utf-8"), max_size=20)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to jo.doe+x@mail.example.co.uk.", "write to [e-mail]."),
        ("(jo@example.com), <al@b.io>", "([e-mail]), <[e-mail]>"),
        ("call 555-010-4477 now", "call [phone] now"),
        ("call (555) 010-4477", "call [phone]"),
        ("1-555-010-4477 or 555.010.4477", "[phone] or [phone]"),
        ("+44 20 7946 0958, +4915112345678", "[phone], [phone]"),
        ("it is 0044 20 7946 0958 there", "it is [phone] there"),
        ("020 7946 0958", "[phone]"),
        ("my number is 5550104477.", "my number is [phone]."),
        ("text me: 010-4477", "text me: [phone]"),
        ("I am @some_one.else!", "I am [handle]!"),
        ("my snapchat: foo_bar", "my snapchat: [handle]"),
        ("Snap:foobar, ok?", "Snap:[handle], ok?"),
        ("my insta is foo.bar", "my insta is [handle]"),
        ("discord foo#1234", "discord [handle]"),
        ("ig name = foobar", "ig name = [handle]"),
        ("insta @foo and a@b.co@c", "insta [handle] and [e-mail][handle]"),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    """Worked examples."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "in 2018, or 2018-2019, since 1999",
        "it cost $1,200,000 or 1 200 000, about 12.50",
        "$1000000000 is a lot, so is 10,000,000.00",
        "on 2018-05-02 at 19:38:15, 2018-05-02T19:38:15Z, 02/05/2018",
        "meet @ 5pm, or @5",
        "insta is great and snapchat is fun",
        "discord since 2018, instagram 100 times",
        "I have 3 cats, 25 fish and 365 days",
        "version 1.2.3.4, chapter 10.20.30.40",
        "01101010101 01000101010 10010",
    ],
)
def test_what_stays(text: str) -> None:
    """Years, prices, dates, times and ordinary talk of services."""
    assert mask(text) == text


@given(st.text())
def test_masking_twice_changes_nothing(text: str) -> None:
    """Whatever the text."""
    assert mask(mask(text)) == mask(text)


@given(st.text("ab1 @.:-_#+()/5[]", max_size=40))
def test_masking_twice_changes_nothing_in_texts_made_to_break_it(text: str) -> None:
    """Made of the characters that matter."""
    assert mask(mask(text)) == mask(text)


@given(PLAIN, st.emails(domains=st.sampled_from(["example.com", "mail.example.org"])), PLAIN)
def test_no_address_leaks(before: str, address: str, after: str) -> None:
    """Between any two texts."""
    assert address not in mask(f"{before} {address} {after}")


@given(PLAIN, NAME, PLAIN)
def test_no_handle_leaks(before: str, name: str, after: str) -> None:
    """With an at sign before it."""
    assert f"@{name}" not in mask(f"{before} @{name} {after}")


@given(
    st.sampled_from(["snapchat", "Insta", "discord name"]), st.sampled_from([": ", ":", "="]), NAME
)
def test_no_name_after_a_service_leaks(service: str, sign: str, name: str) -> None:
    """After a colon, any word is a name."""
    assert mask(f"my {service}{sign}{name} ok") == f"my {service}{sign}[handle] ok"


@given(st.from_regex(r"\A(\+[1-9][0-9] )?[1-9][0-9]{2}[ .-][0-9]{3}[ .-][0-9]{4}\Z"))
def test_no_number_leaks(number: str) -> None:
    """With and without a country code."""
    assert mask(f"call {number} now") == "call [phone] now"


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a",
            "a.",
            "@",
            "@1",
            "a@",
            "1",
            "1-",
            "+1 ",
            "ig: ",
            "snap.",
            "@a.",
            "1 ",
            "12 34 ",
            "1.",
        ),
        *(
            "12345678 ",
            "612 345 678, ",
            "4111 1111 ",
            "DE89 ",
            "de12",
            "a:",
            "1:",
            "::1",
            "0a:",
            "00-",
        ),
        *(
            "http://",
            "http://a:b@",
            "?token=",
            "&a=",
            "x.com/",
            "u/",
            "a#1",
            "eyJ",
            "/reset/",
            "٣",
            "\u2060",
        ),
    ],
)
def test_a_long_text_takes_no_long_time(unit: str) -> None:
    """The time is linear: no text blocks whoever masks it."""
    mask(unit * 10)  # what is read once, is read
    start = time.process_time()
    mask(unit * 20_000)
    assert time.process_time() - start < 2.0


def test_what_is_found_says_what_and_where() -> None:
    """In order, in the text as it was given, whatever its digits."""
    text = "٠٥٠ ١٢٣ ٤٥٦٧, 10.0.0.7 and @ann"  # noqa: RUF001
    assert found(text) == [Found("phone", 0, 12), Found("ip", 14, 22), Found("handle", 27, 31)]
    assert found("nothing") == []


@given(st.text())
def test_what_is_found_is_in_the_text(text: str) -> None:
    """And nothing overlaps."""
    at = 0
    for _, start, end in found(text):
        assert at <= start < end <= len(text)
        at = end


@pytest.mark.parametrize(
    "text",
    [
        "write to ann.lee@mail.example.org, or call 555 010 4477 now",
        "+49 170 1234567 is mine, @ann too",
        "my snapchat username: ann_99 ok",
        "10 12 14 nothing here 2024",
        " leading and trailing ",
        "",
    ],
)
def test_a_text_in_pieces_is_masked_as_a_whole_one(text: str) -> None:
    """Whatever the pieces, and nothing of a name or number is shown before it is known."""
    for size in (1, 2, 3, 7, 100):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        shown = list(mask_pieces(pieces))
        assert "".join(shown) == mask(text)
        assert not any(part in "".join(shown) for part in ("ann.lee", "010", "170", "ann_99"))
