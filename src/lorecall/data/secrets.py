"""Finds passwords and tokens in links, and tokens that services sign so that they can be found."""

import re
from collections.abc import Iterator

# Each ends where a link does; none can start inside another of its kind.
_LOGIN = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://([^\s/?#@\[\]<>\"]+)@")
_FIELD = re.compile(r"(?<=[?&;#])([\w.%\[\]-]{1,60})=([^\s&;#\"'<>\[\]]+)")
_SECRET_FIELD = re.compile(
    r"token|passw|passcode|passphrase|pwd|secret|credential|signature|api.?key|(?:access|auth|private"
    r"|session|secret).?key|sess(?:ion)?.?id|auth(?!or)|jwt|otp|nonce"
    r"|^(?:key|sig|code|hash|pass|pw|pin|sid|ticket|invite|session|state)$|[._-](?:key|sig)$",
    re.IGNORECASE,
)
_OF_SECRET = re.compile(r"[._-]?(?:type|method|expir\w*|expires_in|count|length)$", re.IGNORECASE)
_WORD_FIELD = re.compile(r"^(?:code|hash|key|state|session|invite|auth)$", re.IGNORECASE)
_MIN_CODE = 6  # `?code=de` is none
_PATH = re.compile(
    r"/bot(?P<bot>[0-9]{5,}:[\w-]{10,})"
    r"|/services/(?P<hook>T\w+/B\w+/\w+)|/webhooks/(?P<webhook>[0-9]+/[\w-]+)"
    r"|(?:chat\.whatsapp\.com|discord\.gg|t\.me/joinchat)/(?P<group>[\w-]{6,})|//t\.me/(?P<plus>\+[\w-]{12,})"
    r"|/(?:reset|verify|confirm|activate|invite|magic|login|signin|auth|token|recover|unsubscribe|password)"
    r"(?:[-_][a-z]{1,20})?/(?P<path>[\w.~-]{16,})",
    re.IGNORECASE,
)
_SIGNED = re.compile(
    r"(?<![\w-])(?:eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}|gh[opsu]_\w{20,}|github_pat_\w{20,}"
    r"|(?<=Bearer )(?=\S*[0-9])[\w.~+/-]{16,}=*"
    r"|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|AIza[\w-]{30,}|glpat-[\w-]{16,})"
)


def secrets(text: str) -> Iterator[tuple[int, int]]:
    """Return where secrets are, in order, from and to.

    Args:
        text: One with ASCII signs.

    Examples:
        >>> from lorecall.data.secrets import secrets
        >>> text = "see https://ann:tea@example.org/list?page=2&token=5f2a"
        >>> [text[start:end] for start, end in secrets(text)]
        ['ann:tea', '5f2a']
    """
    spans = sorted({*_logins(text), *_fields(text), *_paths(text), *_signed(text)})
    reached = 0
    for start, end in spans:
        if start >= reached:
            yield start, end
            reached = end


def _logins(text: str) -> Iterator[tuple[int, int]]:
    return (match.span(1) for match in _LOGIN.finditer(text) if match[1] != "git")


def _fields(text: str) -> Iterator[tuple[int, int]]:
    for match in _FIELD.finditer(text):
        name, value = match[1], match[2]
        if _SECRET_FIELD.search(name) and not _OF_SECRET.search(name):
            if _WORD_FIELD.match(name) and len(value) < _MIN_CODE:
                continue
            yield match.span(2)


def _paths(text: str) -> Iterator[tuple[int, int]]:
    found = _PATH.finditer(text) if "/" in text else ()  # in few texts is there one
    return (match.span(match.lastgroup or 0) for match in found)


def _signed(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _SIGNED.finditer(text))
