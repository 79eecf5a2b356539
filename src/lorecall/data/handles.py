"""Finds handles: `@name`, names after a service, profiles; code and clock times are none."""

import re
from collections.abc import Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_AT = re.compile(r"(?<![A-Za-z0-9_])@\w*[^\W\d]\w*(?:\.\w+)*")
_SERVICE = (
    r"(?:(?<![^\W_])(?:snapchat|snap|instagram|insta|ig|discord|telegram|tg|whatsapp|kik|twitter|tiktok"
    r"|skype|wechat|weixin|viber|bluesky|gamertag|line id|kakao id|steam id|инста\w{0,8}|телега"
    r"|телеграмм?)|微信号?|인스타|카톡|ライン|インスタ|تلگرام|انستا)"
)
_KEYWORD = rf"{_SERVICE}(?: (?:name|handle|id|user|username|account))?"
_NAME = r"(?<!\w)(\w[\w.#-]+)(?<![.#-])(?![\w'’])"  # noqa: RUF001
# After a colon any word is a name; elsewhere ("insta is great") only one that looks like it.
_MARKED = r"(?=[\w.#-]*[^\W\d_])(?=\w*(?:[\d_#]|\.\w))"
_NAMED = re.compile(
    rf"{_KEYWORD}\s?[:=]\s*{_NAME}|{_KEYWORD}(?:\s(?:is|-))?\s{_MARKED}{_NAME}", re.IGNORECASE
)
_MARK = re.compile(r"[:=_#0-9]|\w\.\w")  # without one there is no such name
_QQ = re.compile(r"(?<![A-Za-z])qq号?\s?[:=]?\s?([0-9]{5,11})(?![0-9])", re.IGNORECASE)
_PROFILE = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.|m\.|mobile\.|old\.)?"
    r"(?:instagram\.com|twitter\.com|x\.com|facebook\.com|fb\.com|tiktok\.com|snapchat\.com/add|t\.me"
    r"|telegram\.me|linkedin\.com/in|twitch\.tv|threads\.net|vk\.com|weibo\.com|reddit\.com/u(?:ser)?"
    r"|paypal\.me|venmo\.com|bsky\.app/profile|youtube\.com(?=/@)|medium\.com(?=/@))"
    r"/@?([A-Za-z0-9_.$-]{2,40})(?<![.-])",
    re.IGNORECASE,
)
_PAGES = _words(
    """
    about accounts ads business direct embed events explore feed groups hashtag help home i intent
    joinchat legal login marketplace messages notifications p pages permalink.php photo photos
    policies privacy profile.php reel reels results s search settings share shorts status stories
    tos tv video videos watch
    """
)
_REDDIT = re.compile(r"(?<![\w/.])(?:/?u/)([A-Za-z0-9_-]{3,20})(?![\w-])")
_TAGGED = re.compile(r"(?<![\w#&/@])([^\W\d]\w{1,31})#[0-9]{4}(?!\w)")
_COUNTED = _words(
    """
    apt bug build bus case chapter closes ep episode fix fixes gate gh house id invoice issue issues
    item job line lot no nr number order page part pr ref room run seat see step suite table task
    test ticket trial unit vol
    """
)
# What stands behind an at sign and names nobody: code, everyone, a place, a version.
_NOBODY = _words(
    """
    abstractmethod after all angular app apply around async attribute author autowired babel bean
    before beta binding brief builder cache cached_property channel charset classmethod click code
    column component composable container context contextlib contextmanager controller data
    dataclass dataclasses deprecated discardableresult each else entity escaping everyone example
    extend extends factory field_validator file final fixture font for forward function functools
    getter given graph here home id if import include inheritdoc inherited inject injectable input
    interface jax jit keyframes latest layer link lru_cache main media mixin mock model_validator
    module namespace next njit nonnull nonnullapi notnull nullable numba objc observable output
    overload override page param parameterized patch pipe post private property protocol public
    published pytest register repository requestmapping restcontroller return returns router
    safevarargs school see service setter since skip slf4j spring state staticmethod supports
    suppresswarnings synthesize table test tf throws todo torch transactional type typedef types
    typing unittest use validator value version while work wraps
    """
)
_CLOCK = re.compile(
    r"[0-9]+(?:[ap]m|h|uhr|x|k|p|fps|hz|st|nd|rd|th|each)?(?:\.\w+)?", re.IGNORECASE
)
_HOST = re.compile(r"(?<![A-Za-z0-9])git\Z|(?://|\A)\]+\Z|//\[secret\]\Z")  # what it stands before
_PACKAGE = re.compile(r"@[a-z0-9][a-z0-9-]{0,40}/[a-z]")


def handles(text: str) -> Iterator[tuple[int, int]]:
    """Return where handles are, in order, from and to.

    Args:
        text: One with ASCII signs.

    Examples:
        >>> from lorecall.data.handles import handles
        >>> text = "@ann and insta: bob.b, but @property and @ 5pm"
        >>> [text[start:end] for start, end in handles(text)]
        ['@ann', 'bob.b']
    """
    found = {*_profiles(text), *_named(text), *_at(text)}
    found |= {match.span(1) for match in _QQ.finditer(text)}
    found |= {match.span(1) for match in _REDDIT.finditer(text)}
    found |= {m.span() for m in _TAGGED.finditer(text) if m[1].casefold() not in _COUNTED}
    reached = 0
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if start >= reached:
            yield start, end
            reached = end


def _profiles(text: str) -> Iterator[tuple[int, int]]:
    for match in _PROFILE.finditer(text) if "/" in text else ():  # in few texts is there one
        if match[1].casefold() not in _PAGES:
            yield match.span(1)


def _named(text: str) -> Iterator[tuple[int, int]]:
    found = _NAMED.finditer(text) if _MARK.search(text) else ()  # in few texts is there one
    return (match.span(match.lastindex or 0) for match in found)


def _at(text: str) -> Iterator[tuple[int, int]]:
    for match in _AT.finditer(text):
        start, end = match.span()
        first, *_, last = match[0][1:].casefold().split(".") * 2
        if first in _NOBODY or last in {"setter", "getter", "deleter"} or _CLOCK.fullmatch(first):
            continue
        before = text[max(0, start - 40) : start]
        if _HOST.search(before) or _calls(before, text[end : end + 1]):
            continue
        if _PACKAGE.match(text, start) and not before.endswith("/"):
            continue
        yield start, end


def _calls(before: str, after: str) -> bool:
    """Whether it is a decorator: alone at the start of its line, and called."""
    return after == "(" and not before.rpartition("\n")[2].strip()
