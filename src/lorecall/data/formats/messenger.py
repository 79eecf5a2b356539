"""Messenger and Instagram: `message_1.json` of one's information, or the ZIP with all chats.

`{"participants", "messages": [{"sender_name", "timestamp_ms", "content"}]}`, newest first; texts
are UTF-8 that was written as Latin-1. The export of encrypted chats has `senderName`, `timestamp`
and `text`. Every sender is a user. Dropped are reactions, and messages without text: pictures,
links, calls, what was taken back, and what the application says of them, which begins with the
sender's name.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import category

from pydantic import AliasChoices, Field

from lorecall.data.chatlog import (
    Message,
    called,
    dialogues,
    of_nobody,
    said,
    text_of,
    values_of_chat,
    with_drop,
)
from lorecall.data.events import TEXTLESS, Dropped, Event, located, of_people
from lorecall.data.head import Head
from lorecall.data.lines import unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Record, Text, checked
from lorecall.data.samples import CHAT, seconds

_refused = partial(
    unreadable,
    expected="a chat of Messenger or Instagram as JSON: an object with messages",
    next_step="Download your information in the format JSON, and give the ZIP or a message_1.json.",
)
_SENDERS = ("sender_name", "senderName")
_REACTION = re.compile(r"Reacted .{1,20} to your message\s*|Liked a message")
_REACTED = re.compile(
    r"reacc|r[eé]ag|reageer|gereageerd|bereag|reaz|zareagowa|отреагир|tepki", re.IGNORECASE
)
_A_MESSAGE = re.compile(
    r"message|mensaje|mensagem|nachricht|messaggio|bericht|meddelande|beskjed|besked|melding"
    r"|wiadomoś|сообщени|mesaj",
    re.IGNORECASE,
)
_MAX_REACTION = 80
_YOU_SENT = re.compile(
    r"(?:You sent|Du hast|Sie haben|Vous avez envoyé|Tu as envoyé|Has enviado|Enviaste|Hai inviato"
    r"|Você enviou|Je hebt|Du skickade|Du har skickat|Du sendte|Du har sendt|Wysłał[ae]ś"
    r"|Вы отправили|Gönderdin|Lähetit)\b.{0,40}"
    r"(?:attachment|photos?|video|voice message|GIF|sticker|link|post|reel|location|Anhang|Fotos?"
    r"|Bild|Sprachnachricht|Standort|pièce jointe|vidéo|message vocal|lien|adjunto|vídeo|enlace"
    r"|mensaje de voz|allegato|messaggio vocale|anexo|mensagem de voz|bijlage|spraakbericht|bilaga"
    r"|vedhæft\w+|vedlegg|załącznik|zdjęci\w|вложение|фото|видео|ссылку|fotoğraf|liite\w*|kuva\w*"
    r")\b.{0,20}\.",
    re.IGNORECASE,
)
_OWN_EVENT = re.compile(
    r"You (called .+|missed an? .*call.*|unsent a message|set .+ nickname .+|named the group .+"
    r"|are now connected on .+|(changed|created|started|joined|left|added|removed) the .+)\.?"
    r"|The (video|audio) (chat|call) ended\.|This poll is no longer available\."
)
_DID = re.compile(
    r" (?:liked|unsent|reacted|created|shared|sent|set|changed|named|started|missed|joined|left"
    r"|removed|added|waved|is waving|voted|pinned|unpinned) "
)


class Sent(Record):
    """One message of the export."""

    sender: Name = Field(validation_alias=AliasChoices(*_SENDERS))
    content: Text | None = Field(validation_alias=AliasChoices("content", "text"), default=None)
    time: Any = Field(validation_alias=AliasChoices("timestamp_ms", "timestamp"), default=None)
    is_unsent: Any = Field(validation_alias=AliasChoices("is_unsent", "isUnsent"), default=None)
    call_duration: Any = None


def read(paths: Paths) -> Iterator[Event]:
    """Return every sender's replies and openers."""
    for path in paths:
        yield from of_people(dialogues(located(_messages(path), path), newest_first=True))


def recognises(head: Head) -> bool:
    """Whether there are messages with names of senders as these applications write them."""
    return head.has(rf"messages\.\[\]\.({'|'.join(_SENDERS)})")


LOADER = Loader(
    dataset=Dataset(
        name="messenger", title="Messenger, Instagram: message_1.json", licence=YOURS, origin=EXPORT
    ),
    record="a message with a sender's name, a time and content",
    rules=CHAT,
    read=read,
    recognises=recognises,
)


def _messages(path: Path) -> Iterator[Message | Dropped]:
    found = values_of_chat(path, wanted=lambda at: at == ("messages", None), refused=_refused)
    for _, value, number in found:
        yield from _message(str(path), value, number)


def _message(chat: str, value: object, number: int) -> Sequence[Message | Dropped]:
    """Return a message, or why there is none; one without text after its drop."""
    sent = checked(Sent, value, what="message", place=number)
    if isinstance(sent, Dropped):
        return of_nobody(chat, sent)
    sender, content = called(_decoded(sent.sender)), _decoded(sent.content or "")
    if _is_reaction(content):
        return [Dropped("service message", number, broken=False)]
    text: str | Dropped = Dropped(TEXTLESS, number, broken=False)
    if not (_is_event(content, sender) or sent.is_unsent or sent.call_duration is not None):
        text = text_of(content, between="", place=number)
    return with_drop(Message(chat, "", sender, said(text), seconds(sent.time)), text)


def _is_reaction(text: str) -> bool:
    """Whether a message says, in some language, that a sign was put to another."""
    if _REACTION.fullmatch(text):
        return True
    if text.isascii() and not ("^" in text or "`" in text):  # the only signs of this kind in it
        return False
    if len(text) > _MAX_REACTION or not any(category(sign) in ("So", "Sk") for sign in text):
        return False
    return _REACTED.search(text) is not None and _A_MESSAGE.search(text) is not None


def _is_event(text: str, sender: str) -> bool:
    """Whether a message is what the application says of a picture, a call or the chat."""
    if text.startswith(f"{sender} "):
        return text.endswith(".") or _DID.match(text, len(sender)) is not None
    return (_OWN_EVENT.fullmatch(text) or _YOU_SENT.fullmatch(text)) is not None


def _decoded(text: str) -> str:
    """Return a text as it was before its bytes of UTF-8 were taken for Latin-1."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
