"""What is said of a memory before it is learnt."""

from lorecall.data.purpose import purpose


def test_whom_a_memory_will_speak_as_is_said() -> None:
    """The person, or an assistant who knows them; what it will not hold, either way."""
    own, limit = purpose("user")
    knowing, same = purpose("assistant")
    assert "speak as the person" in own
    assert "an assistant who knows the person" in knowing
    assert "facts" in limit
    assert limit == same
