"""Masks what names a person outright, or opens a door: addresses, numbers, handles, secrets.

A filter for what is shown or exported, not a guarantee: names, postal addresses and what a text is
about stay. Masking twice changes nothing, and the time is linear in the text: each pattern can
start only once in a run of its characters.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple
from unicodedata import category, decimal

from lorecall.data.handles import handles
from lorecall.data.phones import phones
from lorecall.data.secrets import secrets

KINDS = ("e-mail", "phone", "card", "iban", "ip", "mac", "handle", "secret")
"""What is masked, as the placeholders are called."""


class Found(NamedTuple):
    """Where something to mask is in a text, from and to, and its kind."""

    kind: str
    start: int
    end: int


Spans = Iterator[tuple[int, int]]


def mask(text: str) -> str:
    """Replace what names someone by its kind: `[e-mail]`, `[phone]`, `[card]` and so on.

    E-mail addresses, telephone numbers of all countries, card numbers (Luhn) and IBANs (checksum),
    IP and MAC addresses, handles (`@name`, `snapchat: name`, profiles), and tokens and passwords in
    links. Dates, times, prices, years and versions stay.

    Examples:
        >>> from lorecall.data import mask
        >>> mask("write to ann@example.org or call +44 20 7946 0958")
        'write to [e-mail] or call [phone]'
    """
    while spans := found(text):  # a mask can lay open another: `a@b.co@c`
        text = _replaced(text, spans)
    return text


def found(text: str) -> list[Found]:
    """Return what of a text is masked, in order; nothing overlaps.

    Examples:
        >>> from lorecall.data.privacy import found
        >>> found("it is 10.0.0.7, ask @ann")
        [Found(kind='ip', start=6, end=14), Found(kind='handle', start=20, end=24)]
    """
    spans: list[Found] = []
    seen = _as_ascii(text)
    for kind, places in _RULES:
        new = [Found(kind, start, end) for start, end in places(seen)]
        seen = _replaced(seen, new, blank=True)
        spans += new
    return sorted(spans, key=lambda span: span.start)


def mask_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """Mask a text that comes in pieces; what may still become a name or number is held back."""
    text = shown = ""
    for piece in pieces:
        text += piece
        safe = mask(text[: _finished(text)])
        if safe.startswith(shown) and safe != shown:
            yield safe[len(shown) :]
            shown = safe
    if rest := mask(text)[len(shown) :]:
        yield rest


_LOCAL = r"[^\s@\[\]<>(),;:\"]"
_LABEL = r"(?:[A-Za-z0-9-]+(?=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af])|[\w-]+)"  # Kana end one
_E_MAIL = re.compile(
    rf"(?<!{_LOCAL})(?!git@){_LOCAL}+@(?![0-9]x\.)[\w-]+(?:\.{_LABEL})+"
    r"|(?<![\w.+-])[\w.+-]+[\[({]at[\])}][\w-]+(?:[\[({]dot[\])}]|\.)[A-Za-z]+",
    re.IGNORECASE,
)
_CARD = re.compile(
    r"(?<![0-9A-Za-z_+])(?<![0-9][.,-])(?:"
    r"[2-6][0-9]{3}([ .-]?)[0-9]{4}\1[0-9]{4}\1[0-9]{2,7}|3[0-9]{3}([ -]?)[0-9]{6}\2[0-9]{4,5}"
    r")(?![0-9A-Za-z_]|[.,-][0-9])"
)
_IBAN = re.compile(r"(?<![0-9A-Za-z])(?=([A-Za-z]{2}[0-9]{2}(?:[ -]?[0-9A-Za-z]){11,30}))")
_IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29"
        "ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20"
        "LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29"
        "PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20"
        "YE30",
    )
}
_MAC = re.compile(
    r"(?<![0-9A-Za-z:.-])(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}"
    r"|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})(?![0-9A-Za-z]|[:.-][0-9A-Za-z])",
    re.IGNORECASE,
)
_IPV4 = re.compile(r"(?<![0-9A-Za-z_.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z_]|\.[0-9])")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f:.]{2,64}(?![0-9A-Za-z:])")
_VERSION = re.compile(
    r"(?:\bv(?:er(?:sion)?s?)?|versi[oó]n|versione?|release|build|firmware|chapter|section|clause|§"
    r"|kernel|верси[яи]|версию|版本|バージョン|버전)[\s.:]*\Z",
    re.IGNORECASE,
)
_NETWORK = re.compile(r"\b(?:ip|ipv4|host|server|dns|ping|address|gateway|router)\b", re.IGNORECASE)
_NEAR = 20


def _e_mails(text: str) -> Spans:
    for match in _E_MAIL.finditer(text):
        if not re.search(r"@[0-9.-]*\Z|@[0-9][\w.-]*\.[0-9]+\Z", match[0]):  # `name@1.26.4`
            yield match.span()


def _cards(text: str) -> Spans:
    for match in _CARD.finditer(text):
        digits = [int(digit) for digit in match[0] if digit.isdigit()]
        doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
        if (sum(digits[-1::-2]) + doubled) % 10 == 0 and len(set(digits)) > 1:  # Luhn
            yield match.span()


def _ibans(text: str) -> Spans:
    end = 0
    for match in _IBAN.finditer(text):
        number = match[1].upper()
        length = _IBAN_LENGTHS.get(number[:2], 0)
        places = [i for i, character in enumerate(number) if character.isalnum()]
        if not length or len(places) < length or match.start() < end:
            continue
        last = places[length - 1] + 1
        if number[last : last + 1].isalnum():
            continue
        bare = "".join(number[i] for i in places[:length])
        if int("".join(str(int(each, 36)) for each in bare[4:] + bare[:4])) % 97 == 1:
            end = match.start() + last
            yield match.start(), end


def _macs(text: str) -> Spans:
    return (match.span() for match in _MAC.finditer(text))


def _ipv4s(text: str) -> Spans:
    for match in _IPV4.finditer(text):
        before = text[max(0, match.start() - _NEAR) : match.start()]
        parts = match[0].split(".")
        outline = all(len(part) == 1 for part in parts) and not _NETWORK.search(before)
        fits = all(str(int(part)) == part and int(part) < 256 for part in parts)  # noqa: PLR2004
        if fits and not outline and not _VERSION.search(before):
            yield match.span()


def _ipv6s(text: str) -> Spans:
    for match in _IPV6.finditer(text):
        address = match[0].rstrip(".")
        address = address if address.endswith("::") else address.rstrip(":")
        if address.count(":") > 1 and re.search(r"[0-9]", address) and _is_ipv6(address):
            yield match.start(), match.start() + len(address)


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True


_RULES: tuple[tuple[str, Callable[[str], Spans]], ...] = (
    ("secret", secrets),  # before the addresses that they look like
    ("e-mail", _e_mails),
    ("iban", _ibans),
    ("mac", _macs),
    ("card", _cards),
    ("ip", _ipv6s),  # one may end like one of the others
    ("ip", _ipv4s),
    ("phone", phones),
    ("handle", handles),
)

_OTHERS = re.compile(
    r"(?![0-9])\d|[\u00a0\u00ad\u061c\u2000-\u2015\u2028-\u202f\u205f-\u206f\u2212\u3000\ufeff]"
    r"|[\uff01-\uff5e]"
)


def _as_ascii(text: str) -> str:
    """Return a text with its digits, blanks, dashes and wide signs as ASCII, each in its place."""
    return text if text.isascii() else _OTHERS.sub(lambda match: _plain(match[0]), text)


@lru_cache(maxsize=1024)
def _plain(character: str) -> str:
    if character.isdecimal():
        return str(decimal(character))
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - 0xFEE0)
    return "-" if category(character) in ("Pd", "Sm") else " "


def _replaced(text: str, spans: list[Found], *, blank: bool = False) -> str:
    """Put the kind in each place; or, with blank, as many signs as before that no pattern takes."""
    parts: list[str] = []
    at = 0
    for kind, start, end in spans:
        parts += text[at:start], "]" * (end - start) if blank else f"[{kind}]"
        at = end
    return "".join((*parts, text[at:]))


_LAST_WORD = re.compile(r"\A\S+")
_WORD_BEFORE = re.compile(r"\s+(\S+)")
_NUMBER = re.compile(r"[\d()+./:-]+")
_IBAN_BEGUN = re.compile(r"[0-9]{2}[A-Za-z]{2}(?![0-9A-Za-z])")
_GROUP = re.compile(r"[0-9A-Za-z]{1,4}")
_MAX_GROUPS = 9  # of an IBAN, as many as may be said before the last one


def _finished(text: str) -> int:
    """Return up to where a text is known: its last word may go on, and so may a number before it.

    So may an IBAN that begins a few words before.
    """
    backwards = _as_ascii(text)[::-1]
    end = held = len(backwards) - len(_LAST_WORD.sub("", backwards, count=1))
    of_number = of_iban = True
    for _ in range(_MAX_GROUPS):
        if not (word := _WORD_BEFORE.match(backwards, held)):
            break
        held = word.end()
        if (of_number and _NUMBER.match(word[1])) or (of_iban and _IBAN_BEGUN.match(word[1])):
            end = held
        of_number = of_number and _NUMBER.fullmatch(word[1]) is not None
        of_iban = of_iban and _GROUP.fullmatch(word[1]) is not None
        if not (of_number or of_iban):
            break
    return len(text) - end
