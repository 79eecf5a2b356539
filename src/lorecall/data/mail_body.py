"""The text of an e-mail, whatever it is in: its parts, its encodings, HTML.

Of a mail with a plain and an HTML form the plain one is read. Attachments and forwarded mails are
left out. HTML is made text without what its classes and names say is quoted, or is a signature.
"""

import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from html.parser import HTMLParser

_MAX_HTML = 2_000_000  # characters
_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()  # noqa: SIM905
)
_UNSEEN = frozenset(("head", "script", "style", "title", "blockquote", "template"))
_BLOCKS = frozenset(
    "p div tr table ul ol h1 h2 h3 h4 h5 h6 section article header footer pre center".split()  # noqa: SIM905
)
_OF_OTHERS = re.compile(
    r"gmail_(?:quote|signature|extra|attr)|moz-(?:cite-prefix|signature|forward-container)|yahoo_quoted"
    r"|protonmail_(?:quote|signature)|ms-outlook-mobile-signature|AppleMailSignature|Signature\b"
    r"|zmail_extra|tutanota_quote|iCloud-quote|WordSection-quoted|cite_prefix|quoted-text",
    re.IGNORECASE,
)
_ENDS = re.compile(r"divRplyFwdMsg|appendonsend|stopSpelling|OLK_SRC_BODY_SECTION|reply-intro")
_BORDER = re.compile(r"border:\s*none;\s*border-top:\s*solid\s+#?\w+\s+1\.0pt", re.IGNORECASE)


def body_of(mail: Message) -> str:
    """Return the text of a mail; nothing where it has none.

    Args:
        mail: As `email` parses it under `compat32`.
    """
    plain, html = "", ""
    for part in _texts(mail):
        if part.get_content_type() == "text/html":
            html = html or _decoded(part)[:_MAX_HTML]
        else:
            plain = f"{plain}\n{_unwrapped(part)}" if plain else _unwrapped(part)
    return plain if plain.strip() else text_of_html(html)


def header(mail: Message, name: str) -> str:
    """Return a header, decoded, on one line; nothing where there is none."""
    value = str(mail.get(name) or "")
    if "=?" not in value:
        return " ".join(value.split())
    try:
        parts = decode_header(value)
    except ValueError:
        return " ".join(value.split())
    text = "".join(
        part if isinstance(part, str) else _in(part, charset or "ascii") for part, charset in parts
    )
    return " ".join(text.split())


def is_invitation(mail: Message) -> bool:
    """Whether a part of a mail is of a calendar."""
    return any(part.get_content_type() == "text/calendar" for part in mail.walk())


def text_of_html(html: str) -> str:
    """Return the text of a page without quotations and signatures.

    Examples:
        >>> from lorecall.data.mail_body import text_of_html
        >>> text_of_html("<p>Yes, at <b>eight</b>.</p><blockquote>Dinner?</blockquote>")
        'Yes, at eight.'
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _texts(mail: Message) -> Iterator[Message]:
    """Return the parts of a mail that are text of its own."""
    left: list[Message] = [mail]
    while left:
        part = left.pop()
        kind = part.get_content_type()
        if part.is_multipart():
            if not kind.startswith("message/"):
                inside = [each for each in part.get_payload() if isinstance(each, Message)]
                left += reversed(inside)
        elif kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
            yield part


def _unwrapped(part: Message) -> str:
    """Return a plain part, lines in one that were wrapped when it was sent (RFC 3676)."""
    text = _decoded(part).replace("\r\n", "\n")
    if str(part.get_param("format") or "").lower() != "flowed":
        return text
    is_blank_sent = str(part.get_param("delsp") or "").lower() == "yes"
    lines: list[str] = []
    goes_on = False
    for line in text.split("\n"):
        is_own = not line.startswith(">") and line != "-- "
        if goes_on and is_own:
            lines[-1] += line
        else:
            lines.append(line)
        goes_on = is_own and line.endswith(" ")
        if goes_on and is_blank_sent:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


def _decoded(part: Message) -> str:
    content = part.get_payload(decode=True)
    return _in(content, part.get_content_charset() or "utf-8") if isinstance(content, bytes) else ""


def _in(content: bytes, charset: str) -> str:
    """Decode what is said to be in a charset, and often is not."""
    for each in (charset, "utf-8", "cp1252"):
        try:
            return content.decode(each)
        except (LookupError, UnicodeError):
            continue
    return content.decode("latin-1")


class _Reader(HTMLParser):
    """Collects the text that is seen and is nobody else's."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: tuple[str, int] | None = None  # by which tag, and how many of it are open
        self._is_over = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element: it may hide what is in it, or end what is the sender's."""
        if self._is_over or tag in _VOID:
            self._void(tag, attrs)
            return
        if self._hidden is not None:
            name, n = self._hidden
            self._hidden = (name, n + (tag == name))
            return
        marks = " ".join(
            value for name, value in attrs if value and name in ("class", "id", "type")
        )
        style = next((value for name, value in attrs if value and name == "style"), "")
        if _ENDS.search(marks) or _BORDER.match(style):
            self._is_over = True
        elif tag in _UNSEEN or _OF_OTHERS.search(marks) or "display:none" in style.replace(" ", ""):
            self._hidden = (tag, 1)
        if tag in _BLOCKS:
            self._break(tag)
        elif tag == "li":
            self.parts.append("\n- ")

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if self._hidden is not None:
            name, n = self._hidden
            if tag == name:
                self._hidden = (name, n - 1) if n > 1 else None
            return
        if tag in _BLOCKS and not self._is_over:
            self._break(tag)

    def handle_data(self, data: str) -> None:
        """Take a text that is seen."""
        if self._hidden is None and not self._is_over:
            self.parts.append(re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        """End the line, where that was not done already; around a paragraph with a blank one."""
        before = "".join(self.parts[-2:])
        if before and not before.endswith("\n\n" if tag == "p" else "\n"):
            self.parts.append("\n\n" if tag == "p" and not before.endswith("\n") else "\n")

    def _void(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden is not None or self._is_over:
            return
        if tag == "br":
            self.parts.append("\n")
        elif tag == "hr" and any(value and _ENDS.search(value) for _, value in attrs):
            self._is_over = True
