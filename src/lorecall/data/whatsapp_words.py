"""What WhatsApp writes itself where a message or a sender would stand, in every language.

The strings are in `whatsapp_strings.toml`. They are looked up, not searched for: however many
languages there are, a message costs the same.
"""

import re
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from lorecall.data.chatlog import tidy

_KEY = 3  # characters by which the strings that may begin a text are found
_ALONE = ("omitted", "deleted", "deleted_by", "call", "waiting", "notice", "place")
_MAX_TEXT = 300  # of what the application writes itself, names in it included
_MARK = "\u200e"
_LAST = (">", ")", ":", "")  # what may be a mark, a file or a poll ends with one
_FIRST_OF_CJK = "\u2e80"
_FILE = r"[^\n/<>]{1,200}\.\w{2,5}"
_NAMED = re.compile(rf"{_FILE}(?:\s\u2022[^\n]{{1,40}})?")
_OWN_NAME = re.compile(r"(?:IMG|VID|AUD|PTT|STK|DOC|GIF)-\d{8}-WA\d{3,}\.\w{2,5}")
_IN_ANGLES = re.compile(r"<[^<>\n]{1,80}>")
_ATTACHED = re.compile(
    r"<[^<>:\n]{1,40}:\s?\d{6,}-[^<>\n]{1,200}>|<[^<>:\n]{1,40}:\s?[^<>\n]+\.\w{2,5}>"
)
_IN_BRACKETS = re.compile(rf"({_FILE})\s\(([^()\n]{{1,40}})\)")
_AT_TIME = re.compile(r"\s(?:\w{1,4}\s)?\d{1,2}[:.h]\d{2}.{0,20}")
_IN_END = re.compile(r"\s\u200e?<(?=[^<>\n]*(?:\s|[^\x00-\x7f]))[^<>\n:/]{6,80}>\Z")
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strings:
    """The strings by what they stand for; `starts` by their first characters, `heads` are those.

    `phrases` are the events that nobody would write of themselves: "left" may be what one says.
    """

    whole: frozenset[str]
    edited: frozenset[str]
    attached: frozenset[str]
    polls: frozenset[str]
    places: frozenset[str]
    starts: Mapping[str, tuple[tuple[str, str], ...]]
    events: frozenset[str]
    phrases: frozenset[str]
    heads: frozenset[str]


@lru_cache(maxsize=1)
def strings() -> Strings:
    """Return the strings of all languages."""
    text = files("lorecall.data").joinpath("whatsapp_strings.toml").read_text(encoding="utf-8")
    of_kind: dict[str, set[str]] = {}
    for language in tomllib.loads(text).values():
        for kind, found in language.items():
            of_kind.setdefault(kind, set()).update(map(_plain, found))
    starts: dict[str, tuple[tuple[str, str], ...]] = {}
    for kind in ("call", "waiting", "notice", "deleted_by"):
        for string in sorted(of_kind[kind], key=len, reverse=True):
            starts[string[:_KEY]] = (*starts.get(string[:_KEY], ()), (string, kind))
    return Strings(
        whole=frozenset(of_kind["omitted"] | of_kind["deleted"]),
        edited=frozenset(of_kind["edited"]),
        attached=frozenset(of_kind["attached"]),
        polls=frozenset(of_kind["poll"]),
        places=frozenset(of_kind["place"]),
        starts=starts,
        events=frozenset(of_kind["event"]),
        phrases=frozenset(e for e in of_kind["event"] if " " in e or max(e) > _FIRST_OF_CJK),
        heads=frozenset(string[:_KEY] for kind in _ALONE for string in of_kind[kind]),
    )


def own_words(text: str, *, sender: str = "", repeated: Container[str] = ()) -> str:
    """Return what the sender typed of a message, nothing where all of it is the application's.

    Args:
        text: The message, marks of writing direction included: the application begins with one.
        sender: Whose it is, for "Ann changed the group's name".
        repeated: Marked texts, and ends in brackets, that a file has again and again: nobody typed
            them.
    """
    if "\n" not in text and _MARK not in text:  # nearly always
        bare = tidy(text).strip()
        if bare[-1:] not in _LAST and not _begins_alike(bare, sender):
            return bare
    return _typed(text, sender, repeated)


def _typed(text: str, sender: str, repeated: Container[str]) -> str:
    is_marked = text.lstrip().startswith(_MARK)
    if is_marked and text.strip() in repeated:
        return ""
    first, newline, rest = text.partition("\n")
    bare = tidy(first).strip()
    if bare.endswith((">", ")")) and _is_attachment(bare, is_marked=is_marked):
        return tidy(_unedited(rest, repeated)).strip()  # what was typed under it
    if text.rstrip().endswith(">"):
        first, newline, rest = _unedited(text, repeated).partition("\n")
        bare = tidy(first).strip()
    if newline and _begins_form(bare, is_marked=is_marked):
        return ""
    if f"\n{rest}".count(f"\n{_MARK}") > 1:  # the options of a poll
        return ""
    if not newline and len(bare) <= _MAX_TEXT and _is_applications(bare, sender):
        return ""
    return tidy(f"{first}{newline}{rest}").strip()


def is_event(sender: str, senders: Container[str]) -> bool:
    """Whether what stands before a colon is no name but what someone did to the group.

    Args:
        sender: It.
        senders: Who wrote messages.
    """
    opening, closing = "\u201c\u201e\u00ab", "\u201d\u00bb"
    n_open, n_closed = (sum(map(sender.count, quotes)) for quotes in (opening, closing))
    if n_open > n_closed or _tells_event(sender):  # a colon within a quoted name of a group
        return True
    blanks = (match.start() for match in re.finditer(" ", sender))
    return any(sender[:i] in senders and _did(_plain(sender[i:])) for i in blanks)


def _tells_event(sender: str) -> bool:
    if sender.isascii() and " " not in sender:
        return False
    plain = _plain(sender)
    return any(phrase in plain for phrase in strings().phrases)


def _plain(text: str) -> str:
    """Return a string without case, marks and full stops at the end."""
    return tidy(text).casefold().strip().rstrip(".\u3002!\u0964").rstrip()


def _begins_form(first: str, *, is_marked: bool) -> bool:
    """Whether the first of several lines begins a poll or an event."""
    label, colon, rest = first.partition(":")
    if is_marked and colon and label.strip().isupper() and len(label) >= _KEY:
        return True
    return bool(colon) and not rest and _plain(label) in strings().polls


def ending(text: str) -> str:
    """Return what may be the mark of an edited text at its end: words in angle brackets."""
    bare = text.rstrip()
    return bare[bare.rfind("<") :] if _IN_END.search(bare) else ""


def _unedited(text: str, repeated: Container[str]) -> str:
    """Return a text without the mark of one that was edited."""
    bare = text.rstrip()
    start = bare.rfind("<")
    is_applications = (
        bare.endswith(">")
        and start > 0
        and (
            bare[start - 1] == _MARK
            or _plain(bare[start + 1 : -1]) in strings().edited
            or bare[start:] in repeated
        )
    )
    return bare[:start].rstrip(f"{_MARK} ") if is_applications else text


def _is_attachment(first: str, *, is_marked: bool) -> bool:
    """Whether the first line of a message stands for a file, with what the application adds."""
    if first.endswith(">"):
        start = first.rfind("<")
        before = first[:start].strip()
        if start >= 0 and _ATTACHED.fullmatch(first[start:]):
            return not before or _NAMED.fullmatch(before) is not None
        return start == 0 and _IN_ANGLES.fullmatch(first) is not None
    if not first.endswith(")"):
        return False
    found = _IN_BRACKETS.fullmatch(first)
    return found is not None and (
        is_marked
        or _OWN_NAME.fullmatch(found[1]) is not None
        or _plain(found[2]) in strings().attached
    )


def _begins_alike(bare: str, sender: str) -> bool:
    """Whether a line begins as one that the application writes may."""
    return bare[:_KEY].casefold()[:_KEY] in strings().heads or _is_of(bare, sender)


def _is_of(bare: str, sender: str) -> bool:
    """Whether a line begins with who sent it, as what someone did to the group does."""
    return bool(sender) and bare.startswith(f"{sender} ")


def _is_applications(bare: str, sender: str) -> bool:
    """Whether a line is one that the application writes."""
    if not _begins_alike(bare, sender):
        return False
    known = strings()
    plain = _plain(bare)
    if plain in known.whole or plain in known.places:
        return True
    for string, kind in known.starts.get(plain[:_KEY], ()):
        if plain.startswith(string):
            after = plain[len(string) :]
            if (
                not after
                or after[0] in ".,:;(\u3001\u3002\uff0c\u200e"
                or kind in ("deleted_by", "notice")
                or (kind == "call" and _AT_TIME.fullmatch(after))
            ):
                return True
    place, colon, link = bare.partition(":")
    if colon and _plain(place) in known.places and _LINK.fullmatch(link.strip()):
        return True
    return _is_of(bare, sender) and _did(_plain(bare[len(sender) :]), is_sure=True)


def _did(plain: str, *, is_sure: bool = False) -> bool:
    """Whether a line, after a name, says what that one did to the group."""
    known = strings().phrases if is_sure else strings().events
    return any(plain.strip().startswith(event) for event in known)
