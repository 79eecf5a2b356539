"""What a memory of a history will do, and what it cannot: said before anyone learns."""

from lorecall.records import Authorship

_SPEAKS_AS = "The responses are the person's own: the memory will speak as the person."
_KNOWS = "The responses are an assistant's: the memory will be an assistant who knows the person."
_LIMIT = (
    "It will hold how they speak and what they often speak of; single facts it mostly will not."
)


def purpose(authored_by: Authorship) -> tuple[str, str]:
    """Return two lines: whom the memory will speak as, and what it will not hold.

    Args:
        authored_by: Who wrote the responses of the history.
    """
    return (_SPEAKS_AS if authored_by == "user" else _KNOWS), _LIMIT
