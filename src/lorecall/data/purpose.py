"""What a memory of a history will be, told before anyone learns it."""

from collections.abc import Collection

from lorecall.records import Authorship, History

LIMITS = (
    "It holds tone, habits and topics. It cannot be relied on for facts, least of all those said"
    " once, nor for anything outside this history."
)


def purpose_of(history: History) -> str:
    """Return whether a memory of a history speaks as its user or knows them, and what it lacks.

    Args:
        history: One user's history, or many users' as one.

    Returns:
        Two lines in plain words; the user's id is in them as the file has it.

    Examples:
        >>> from lorecall.data import load_history, purpose_of
        >>> print(purpose_of(load_history("history.jsonl", user="ann")).splitlines()[0])
        The memory will speak as ann: it learns from responses that ann wrote.
    """
    who = f"{history.pooled.n_users} people in one" if history.pooled else history.user
    return purpose({sample.authored_by for sample in history.samples}, who=who)


def purpose(authors: Collection[Authorship], *, who: str) -> str:
    """Return the same for responses of these authors."""
    user, assistant = "user" in authors, "assistant" in authors
    if user and assistant:
        first = (
            f"The memory will mix two voices: some responses are by {who}, others by an assistant."
        )
    elif user:
        first = f"The memory will speak as {who}: it learns from responses that {who} wrote."
    elif assistant:
        first = (
            f"The memory will know {who}, not speak as {who}: it learns from responses that an"
            f" assistant wrote to {who}."
        )
    else:
        first = f"There is nothing to learn of {who}: no usable response."
    return f"{first}\n{LIMITS}"
