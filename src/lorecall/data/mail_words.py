"""What someone wrote themselves in an e-mail: without quotations, forwards and signatures.

A quotation is known by its signs (`>`), by the line before it (a date or an address, and a colon at
its end), or by the head of a mail within the text (lines of labels such as `From:` and `Sent:`).
Words that programs write are in `mail_strings.toml`. What is looked for are lines, each but once:
the time is linear in the text.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from lorecall.data.chatlog import tidy

MAX_CHARS = 20_000  # of a mail; what is longer is no reply
N_TAIL = 8  # lines that may be a signature
_N_HEAD = 12  # lines of a quoted head
_N_WRAPPED = 4  # lines on which the line before a quotation may go on
_N_FOOTER = 8
_MAX_OF_PHONE = 120
_MAX_INTRO = 400
_MAX_LABEL = 30

_QUOTED = re.compile(r"\s{0,3}>")
_SIGNATURE = re.compile(r"--\s?|\u2014")
_RULE = re.compile(r"\s*(?:_{10,}|-{20,}|={20,}|\*{20,})\s*")
_BETWEEN_DASHES = re.compile(
    r"\s*[-_*=\u2014]{2,}\s*(?P<words>[^-_*=\u2014].*?)\s*[-_*=\u2014]{2,}\s*"
)
_LABELLED = re.compile(
    r"[\s*|]{0,4}(?P<label>[^\W\d_][^:\uff1a\n]{0,29}?)[\s*]{0,3}[:\uff1a][\s*]*(?P<value>.*)"
)
_ADDRESS = re.compile(r"[^\s@<>:]@[\w-]+\.\w|<[^<>\s]+@[^<>\s]+>|\[mailto:")
_DAY = re.compile(
    r"\b\d{1,2}[./-]\d{1,2}[./-](?:\d\d)?\d\d\b|\b\d{1,2}[:.h]\d\d\b|\b\d{4}-\d\d-\d\d\b"
)
_DATE = re.compile(rf"\b(?:19|20)\d\d\b|(?:19|20)\d\d[\u5e74\ub144]|{_DAY.pattern}")
_LIST_FOOTER = re.compile(
    r"mailing list|unsubscribe|listinfo|@lists?\.|google groups|/groups/", re.IGNORECASE
)
_COLONS = (":", "\uff1a")
_DEVICE = re.compile(
    r"iphone|ipad|ios\b|android|galaxy|samsung|huawei|xiaomi|pixel|blackberry|windows|phone|t[e\u00e9]l[e\u00e9]fon"
    r"|mobil|m\u00f3vil|celular|handy|tablet|outlook|yahoo|gmail|proton|thunderbird|aol|mail|\bapp\b|http"
    r"|\u0442\u0435\u043b\u0435\u0444\u043e\u043d|\u643a\u5e2f|\u624b\u673a|\u624b\u6a5f|\ud734\ub300|\u0647\u0627\u062a\u0641",
)
_FORWARDED_BY = ("forwarded by ", "original message ")
_LIST_RULE = re.compile(r"_{30,}|-{3,}|={30,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strings:
    """What programs write, by what it stands for, in small letters."""

    wrote: tuple[str, ...]
    senders: frozenset[str]
    labels: frozenset[str]
    forwarded: frozenset[str]
    sent_from: tuple[str, ...]
    sent_from_ends: tuple[str, ...]
    automatic: tuple[str, ...]


@lru_cache(maxsize=1)
def strings() -> Strings:
    """Return the strings of all languages."""
    text = files("lorecall.data").joinpath("mail_strings.toml").read_text(encoding="utf-8")
    known = {
        kind: tuple(tidy(each).casefold() for each in found)
        for kind, found in tomllib.loads(text).items()
    }
    return Strings(
        wrote=known["wrote"],
        senders=frozenset(known["from"]),
        labels=frozenset(known["label"]),
        forwarded=frozenset(known["forwarded"]),
        sent_from=known["sent_from"],
        sent_from_ends=known["sent_from_ends"],
        automatic=known["automatic"],
    )


def own_reply(text: str) -> str:
    r"""Return what the sender of a mail wrote in it; nothing where all is quoted or forwarded.

    Examples:
        >>> from lorecall.data.mail_words import own_reply
        >>> own_reply("Um acht.\n\nAm 20.06.2024 um 19:01 schrieb Ann Lee:\n> Abendessen?")
        'Um acht.'
    """
    lines = [line.rstrip() for line in tidy(text[: 4 * MAX_CHARS]).splitlines()]
    own = list(_unsigned(_unquoted(lines)))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(own)).strip()


def is_automatic(subject: str) -> bool:
    """Whether a subject says that nobody wrote the mail: an absence, an invitation's answer."""
    return tidy(subject).casefold().strip().startswith(strings().automatic)


def last_lines(text: str) -> Iterator[str]:
    """Return the last two lines of a text, the last three and so on, never all of it."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    for n in range(2, min(N_TAIL, len(lines) - 1) + 1):
        yield "\n".join(lines[-n:])


def without_tail(text: str, tail: str) -> str:
    """Return a text without the lines that end it."""
    lines = text.split("\n")
    for _ in tail.split("\n"):
        while lines and not lines[-1].strip():
            lines.pop()
        lines.pop()
    return "\n".join(lines).strip()


def _unquoted(lines: Sequence[str]) -> Iterator[str]:
    """Return the lines that are no quotation, up to one that has no end."""
    at = 0
    while at < len(lines):
        line = lines[at]
        if _QUOTED.match(line):
            at += 1
            continue
        if _begins_whole(lines, at):
            return
        if n := _introduces(lines, at):
            if not _is_quoted(lines, at + n):
                return  # nothing marks where the quotation ends
            at += n
            continue
        yield line
        at += 1


def _begins_whole(lines: Sequence[str], at: int) -> bool:
    """Whether a mail stands here as a whole: what was forwarded, or quoted without signs."""
    line = lines[at]
    if not line.strip():
        return False
    between = _BETWEEN_DASHES.fullmatch(line)
    words = _plain(between["words"] if between else line)
    is_marked = between is not None or line.rstrip().endswith(_COLONS)
    if is_marked and (words in strings().forwarded or words.startswith(_FORWARDED_BY)):
        return True
    if _RULE.fullmatch(line) or between:
        following = next(
            (i for i in range(at + 1, min(at + 3, len(lines))) if lines[i].strip()), None
        )
        return following is not None and _is_head(lines, following)
    return _is_head(lines, at)


def _is_head(lines: Sequence[str], at: int) -> bool:
    """Whether lines are the head of a mail: who it is from, and two more with a date or address."""
    first = _LABELLED.fullmatch(lines[at])
    known = strings()
    names = known.labels | known.senders
    if first is None or _plain(first["label"]) not in names:
        return False
    labels: list[str] = []
    values: list[str] = []
    for line in lines[at : at + _N_HEAD]:
        match = _LABELLED.fullmatch(line)
        if match is not None and len(match["label"]) <= _MAX_LABEL:
            labels.append(_plain(match["label"]))
            values.append(match["value"])
        elif line.strip() and labels and not values[-1].strip():
            values[-1] = line  # the value stands below its label
        elif labels and (line.strip() or len(labels) > 2):  # noqa: PLR2004
            break
    n_known = sum(label in names for label in labels)
    is_from = any(label in known.senders for label in labels)
    told = "\n".join(values)
    is_told = _ADDRESS.search(told) is not None or _DATE.search(told) is not None
    return is_from and n_known > 2 and is_told  # noqa: PLR2004


def _introduces(lines: Sequence[str], at: int) -> int:
    """Return on how many lines what comes before a quotation goes on: 0 where none stands here."""
    if not lines[at].strip():
        return 0
    joined = later = ""  # later: without the first line, which may be the sender's
    for n, line in enumerate(lines[at : at + _N_WRAPPED], start=1):
        bare = line.strip()
        if not bare or len(joined) > _MAX_INTRO or _QUOTED.match(line):
            return 0
        if n == 1 and not (bare.endswith(_COLONS) or _DATE.search(bare) or _ADDRESS.search(bare)):
            return 0  # what comes before was not wrapped
        later, joined = f"{later} {bare}".strip() if n > 1 else "", f"{joined} {bare}".strip()
        if joined.endswith(_COLONS):
            is_whole = _DATE.search(later) is not None and _is_intro(later, is_quoted=False)
            is_one = _is_intro(joined, is_quoted=_is_quoted(lines, at + n))
            return n if is_one and not is_whole else 0
    return 0


def _is_intro(line: str, *, is_quoted: bool) -> bool:
    """Whether a line with a colon at its end says who wrote what follows, and when."""
    has_date, has_address = _DATE.search(line) is not None, _ADDRESS.search(line) is not None
    plain = _plain(line)
    wrote = any(verb in plain for verb in strings().wrote)
    if is_quoted:
        return wrote or (has_date and has_address) or (has_address and line.count(" ") < 8)  # noqa: PLR2004
    return (has_date and has_address) or (wrote and _DAY.search(line) is not None)


def _is_quoted(lines: Sequence[str], at: int) -> bool:
    """Whether the next line that is not blank is marked as a quotation."""
    following = next((line for line in lines[at : at + 3] if line.strip()), "")
    return _QUOTED.match(following) is not None


def _unsigned(lines: Iterable[str]) -> Iterator[str]:
    """Return the lines up to a signature or a list's footer."""
    found = list(lines)
    for at, line in enumerate(found):
        bare = line.strip()
        if _SIGNATURE.fullmatch(bare) or (bare and _is_of_phone(found, at)):
            return
        if _LIST_RULE.fullmatch(bare) and _LIST_FOOTER.search(
            "\n".join(found[at + 1 :][:_N_FOOTER])
        ):
            return
        yield line


def _is_of_phone(lines: Sequence[str], at: int) -> bool:
    """Whether a line is what phones add, with little after it."""
    plain = _plain(lines[at])
    is_one = plain.startswith(strings().sent_from) or plain.endswith(strings().sent_from_ends)
    if not is_one or len(plain) > _MAX_OF_PHONE or _DEVICE.search(plain) is None:
        return False
    return sum(bool(line.strip()) for line in lines[at + 1 :]) <= 1


def _plain(text: str) -> str:
    return text.casefold().strip().strip("*<>: \uff1a\u00a0\u202f.").strip()
