"""What was seen before."""

import pytest

from lorecall.data import seen
from lorecall.data.seen import Seen


def test_each_thing_is_new_once() -> None:
    """Things are told apart by all of their parts."""
    known = Seen()
    asked = [("a",), ("a", "b"), ("a",), ("b", "a"), ("a", "b"), ("a", None)]
    assert [known.is_new(*what) for what in asked] == [True, True, False, True, False, True]


def test_more_than_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went to the table, which grew, and to disk is still known."""
    monkeypatch.setattr(seen, "_N_IN_SET", 50)
    monkeypatch.setattr(seen, "_N_IN_MEMORY", 500)
    known = Seen()
    assert all(known.is_new(n) for n in range(1_000))
    assert not any(known.is_new(n) for n in range(1_000))
    known.close()


def test_nothing_to_close() -> None:
    """Few things need no database."""
    Seen().close()
