"""Masks what names a person outright: e-mail addresses, phone numbers, handles.

A filter for what is shown or exported, not a guarantee: names, addresses and what a text is about
stay. Masking twice changes nothing.
"""

import re
from collections.abc import Iterable, Iterator

E_MAIL, PHONE, HANDLE = "[e-mail]", "[phone]", "[handle]"

# Each pattern can start only once in a run of its characters: the time is linear in the text.
_LOCAL = r"[^\s@\[\]<>(),;:\"]"
_E_MAIL = re.compile(rf"(?<!{_LOCAL}){_LOCAL}+@[\w-]+(?:\.[\w-]+)+")
_AT_HANDLE = re.compile(r"@\w*[^\W\d]\w*(?:\.\w+)*")

_SERVICE = (
    r"(?:snapchat|snap|instagram|insta|ig|discord|telegram|whatsapp|kik|twitter|tiktok|skype)"
)
_KEYWORD = rf"\b{_SERVICE}(?: (?:name|handle|id|user|username|account))?"
_NAME = r"(?<!\w)\w[\w.#-]+(?<![.#-])"
# After a colon any word is a name; elsewhere ("insta is great") only one that looks like it.
_MARKED = r"(?=[\w.#-]*[^\W\d_])(?=\w*(?:[\d_#]|\.\w))"
_NAMED_HANDLE = re.compile(
    rf"({_KEYWORD}\s?[:=]\s*){_NAME}|({_KEYWORD}(?:\s(?:is|-))?\s){_MARKED}{_NAME}",
    re.IGNORECASE,
)

_PHONE = re.compile(
    r"""(?<![\w$€£.,:/+-])(?:
        (?:\+|00)[1-9](?:[ .()/-]{0,2}[0-9]){6,14}                        # international
        | (?:1[ .-]?)?(?:\([0-9]{3}\)[ ]?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}    # 555-010-4477
        | [0-9]{3}-[0-9]{4}                                               # 010-4477
        | 0[0-9]{2,4}[ /-][0-9]{3,4}[ -]?[0-9]{3,4}                       # 020 7946 0958
        | [0-9]{10,15}                                                    # no separators
    )(?!\w|[.,:/-][0-9])""",
    re.VERBOSE,
)

_UNFINISHED = re.compile(r"[\s\d()+./-]*\S*\Z")  # the last word, and a number before it


def mask(text: str) -> str:
    """Replace e-mail addresses, phone numbers and handles by `[e-mail]`, `[phone]`, `[handle]`.

    Phone numbers are those of seven digits and more in the usual international, US and national
    forms; years, prices, ISO dates and times stay. Handles are `@name`, and names after a service
    (`snapchat: name`, `insta is some.name`).

    Examples:
        >>> from lorecall.data import mask
        >>> mask("write to ann@example.org or call +44 20 7946 0958")
        'write to [e-mail] or call [phone]'
    """
    while (masked := _mask_once(text)) != text:  # a mask can lay open another: `a@b.co@c`
        text = masked
    return text


def mask_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """Mask a text that comes in pieces; what may still become a name or number is held back."""
    text = shown = ""
    for piece in pieces:
        text += piece
        safe = _UNFINISHED.sub("", mask(text))
        if safe.startswith(shown) and safe != shown:
            yield safe[len(shown) :]
            shown = safe
    if rest := mask(text)[len(shown) :]:
        yield rest


def _mask_once(text: str) -> str:
    text = _E_MAIL.sub(E_MAIL, text)
    text = _NAMED_HANDLE.sub(lambda match: f"{match[1] or match[2]}{HANDLE}", text)
    text = _AT_HANDLE.sub(HANDLE, text)
    return _PHONE.sub(PHONE, text)
