"""What is remembered: the importers' events as they come, before anything is derived of them.

What an event repeats of its neighbours is left out: the turns before a pair, its place in the
conversation, when the conversation began. They are derived when a memory is built, of what is there
then; so nothing of a record that was forgotten is left in another.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import rfc8785
from pydantic import TypeAdapter

from lorecall.data.catalog import LOADERS, Files, loader_for
from lorecall.data.events import Event, Known, Reply, Said
from lorecall.data.formats.jsonl import BY_LINE
from lorecall.data.loading import load_events
from lorecall.data.privacy import mask
from lorecall.records import Authorship

Kind = Literal["reply", "said", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One event of a person, as it is kept (encrypted).

    Args:
        format: Which format it came in: its rules say whether it is usable.
        kind: A pair, something that answers nobody, or a sentence of a profile.
        text: The response, what was said, or the sentence.
        query: What was answered; empty where nothing was.
        conversation: Its name; None for one of its own.
        time: In Unix seconds; None where it is not known.
        started: When the conversation began, where that alone is known.
        authored_by: Who wrote the response.
        partner: Who said the query, where that is a person who is known.
    """

    format: str
    kind: Kind
    text: str
    query: str = ""
    conversation: str | None = None
    time: float | None = None
    started: float | None = None
    authored_by: Authorship = "user"
    partner: str | None = None

    def content(self) -> bytes:
        """Return it as it is encrypted: canonical JSON (RFC 8785)."""
        return rfc8785.dumps({name: getattr(self, name) for name in _FIELDS})

    @classmethod
    def of_content(cls, content: bytes) -> Self:
        """Return what `content` made bytes of."""
        return TypeAdapter(cls).validate_json(content)

    def redacted(self) -> Self:
        """Return it with placeholders for what names someone outright."""
        return replace(self, text=mask(self.text), query=mask(self.query))

    def event(self, user: str, conversation: str) -> Reply | Said | Known:
        """Return the event that it is, for a user."""
        if self.kind == "known":
            return Known(user, self.text)
        if self.kind == "said":
            return Said(user, conversation, self.text, self.time, self.started)
        return Reply(
            user=user,
            conversation=conversation,
            query=self.query,
            response=self.text,
            time=self.time,
            authored_by=self.authored_by,
            started=self.started,
            partner=self.partner,
        )


_FIELDS = (*Row.__dataclass_fields__,)


def rows_of(
    source: str | Path, *, path: Files = None, user: str | None = None, redact: bool = False
) -> list[Row]:
    """Return what files hold of one person, in their order.

    Args:
        source: A format's name, or the path of a file.
        path: With a name: its files.
        user: Who of those in it; None for the only one.
        redact: Whether placeholders stand for what names someone outright.

    Raises:
        DataError: The source cannot be used, or the user is not in it.
    """
    loader, paths = loader_for(source, path)
    name = next(name for name, each in LOADERS.items() if each.read is loader.read)
    full_id, wanted = load_events(loader, paths, user=user)
    rows = list(_rows(wanted.events_of(full_id), name))
    return [row.redacted() for row in rows] if redact else rows


def told_apart(contents: Iterable[bytes]) -> Iterator[bytes]:
    """Return what each of some rows is known again by: its content, and which of those alike it is.

    The same file gives the same again, however often it is read; what is in it twice is two.
    """
    seen: Counter[bytes] = Counter()
    for content in contents:
        known = [content.decode(), seen[content]]
        yield json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode()
        seen[content] += 1


def folded(text: str) -> str:
    """Return what texts have in common that differ in case and blanks alone."""
    return " ".join(text.casefold().split())


def _rows(events: Iterable[Event], name: str) -> Iterator[Row]:
    once: set[tuple[str, str]] = set()
    for event in events:
        match event:
            case Known(_, sentence):
                key, row = ("known", sentence), Row(format=name, kind="known", text=sentence)
            case Said():
                key = ("said", event.text) if event.again else None
                row = Row(
                    format=name,
                    kind="said",
                    text=event.text,
                    conversation=_named(event.conversation, name),
                    time=event.time,
                    started=event.started if event.time is None else None,
                )
            case Reply():
                key = None
                row = Row(
                    format=name,
                    kind="reply",
                    text=event.response,
                    query=event.query,
                    conversation=_named(event.conversation, name),
                    time=event.time,
                    started=event.started if event.time is None else None,
                    authored_by=event.authored_by,
                    partner=event.partner,
                )
            case _:
                continue
        if key is None or key not in once:
            yield row
        if key is not None:
            once.add(key)


def _named(conversation: str, format_name: str) -> str | None:
    """Return a conversation's name; None for one that is named by its line, which moves."""
    is_line = format_name == "jsonl" and conversation.startswith(BY_LINE)
    return None if is_line else conversation
