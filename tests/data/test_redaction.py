"""A history in which placeholders stand for what names someone."""

from dataclasses import replace

import pytest

from lorecall.data.history import split_history
from lorecall.data.redaction import by_kind, redact
from lorecall.records import History, Statement, Turn
from made_up import a_history

NUMBER = "555-010-4477"


@pytest.fixture
def telling() -> History:
    """Return a history with a number in every place that a text can have."""
    history = a_history()
    first, second, *others = history.samples
    first = replace(first, response=f"call {NUMBER}", earlier=(Turn(by_author=True, text=NUMBER),))
    second = replace(second, query=f"{NUMBER} or ann@example.org?")
    said = Statement(conversation="c0", text=f"I am @ann, {NUMBER}")
    return replace(
        history,
        samples=(first, second, *others),
        statements=(said,),
        profile=("I live at 10.0.0.7",),
    )


def test_no_text_keeps_what_names_someone(telling: History) -> None:
    """Replies, queries, earlier turns, statements, the profile; the kind stands there."""
    safe = redact(telling)
    assert NUMBER not in repr(safe)
    assert safe.samples[0].response == "call [phone]"
    assert safe.samples[0].earlier == (Turn(by_author=True, text="[phone]"),)
    assert safe.samples[1].query == "[phone] or [e-mail]?"
    assert safe.statements[0].text == "I am [handle], [phone]"
    assert safe.profile == ("I live at [ip]",)
    assert safe.redacted == {"phone": 4, "e-mail": 1, "handle": 1, "ip": 1}


def test_a_sample_is_named_by_what_it_holds_now(telling: History) -> None:
    """The id of one that changed is another, and no two are alike; others keep theirs."""
    safe = redact(telling)
    changed = [a.id != b.id for a, b in zip(safe.samples, telling.samples, strict=True)]
    assert changed == [True, True, *[False] * (len(changed) - 2)]
    assert len({sample.id for sample in safe.samples}) == len(safe.samples)


def test_it_is_done_once(telling: History) -> None:
    """The same history comes back, with the same count."""
    safe = redact(telling)
    assert redact(safe) is safe


def test_nothing_to_redact() -> None:
    """That too is said."""
    history = a_history()
    safe = redact(history)
    assert safe.samples == history.samples
    assert safe.redacted == {}
    assert history.redacted is None


def test_the_split_remembers(telling: History) -> None:
    """What is trained says of itself that it is redacted."""
    assert split_history(redact(telling)).redacted == {
        "phone": 4,
        "e-mail": 1,
        "handle": 1,
        "ip": 1,
    }
    assert split_history(telling).redacted is None


@pytest.mark.parametrize(
    ("counts", "words"),
    [({}, "nothing"), ({"ip": 1, "phone": 1200}, "1,200 phone, 1 ip")],
)
def test_counts_in_words(counts: dict[str, int], words: str) -> None:
    """The most first."""
    assert by_kind(counts) == words
