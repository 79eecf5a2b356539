"""MedDia: dialogues between a patient and an assistant that acts as the doctor.

- Dialogues: a list, each one a list of rounds `{"0": {"Assistant": text, "User": text}}`. In a
  round the assistant speaks first, so what it says answers the round before: (U0,A1) (U1,A2)
  (U2,A3) (U3,A4). The round numbered 5 closes the dialogue and goes the other way: (U5,A5).
- Profiles: a list of JSON objects, each inside a string; the n-th is that of the n-th dialogue.
- A grouping, for whoever knows which dialogues are one person's: `{"0": "ann", "1": "ann"}`, by the
  number of the dialogue from 0. Without it each dialogue is a user, `dialogue-0` and so on.

The responses are the assistant's. Speakers' names and quotes around a text are taken off, however
often they are repeated. What cannot be used is counted by reason: a name that contradicts whose
turn it is, a network error or a disclaimer in place of a text, an empty text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from lorecall.data.events import Dialogue, Dropped, Event, Known, Spoken, located, with_assistant
from lorecall.data.head import Head
from lorecall.data.lines import first_byte, unreadable
from lorecall.data.loader import Dataset, Loader, Paths
from lorecall.data.rows import Record, Text, checked, texts_in, whole
from lorecall.data.samples import Rules
from lorecall.data.values import members

ASSISTANT, USER = "Assistant", "User"
LAST_ROUND = "5"
"""The round in which the user speaks first."""

_NAMES = {
    ASSISTANT: re.compile(r"(?:doctor|dr\.?|assistant|interviewer)(?: \w+)?\s*:", re.IGNORECASE),
    USER: re.compile(r"(?:patient|user|interviewee)(?: \w+)?\s*:", re.IGNORECASE),
}
_EITHER = re.compile(r"(?:me)?\s*:", re.IGNORECASE)  # names nobody
_QUOTES = '"\u201c\u201d\u00ab\u00bb'
_DEFECTS = {
    "error of the API in place of a text": re.compile(
        r"\s*error\b[^.]{0,40}(?:network|api|openai)|error communicating with openai"
        r"|model is currently overloaded|rate limit reached",
        re.IGNORECASE,
    ),
    "disclaimer of an AI": re.compile(
        r"\bas an? (?:ai|artificial intelligence|(?:\w+ )?language model)\b"
        r"|\bi(?:'m| am) (?:just |only )?an? (?:ai|artificial intelligence|language model)\b",
        re.IGNORECASE,
    ),
}
CONTRADICTS = "speaker's name contradicts the turn"
_refused = partial(
    unreadable,
    expected="a JSON list of dialogues, one of profiles, or a grouping of dialogues by user,",
    next_step="Check that this is a file of the MedDia dataset.",
)


class Round(Record):
    """What the two say in a round."""

    Assistant: Text
    User: Text


class Files(NamedTuple):
    """The files given, by what they hold."""

    dialogues: Path | None
    profiles: Path | None
    grouping: Mapping[str, str]


def read(paths: Paths) -> Iterator[Event]:
    """Return the pairs and profiles of each dialogue."""
    files = files_of(paths)
    dialogues = members(files.dialogues) if files.dialogues else iter(())
    profiles = members(files.profiles) if files.profiles else iter(())
    n_dialogues = n_profiles = 0
    for number, (dialogue, profile) in enumerate(zip_longest(dialogues, profiles)):
        user = files.grouping.get(str(number), f"dialogue-{number}")
        if profile is not None and files.profiles:
            n_profiles += 1
            found = _profile(profile[1], user=user, place=number + 1)
            yield from located(found, files.profiles)
        if dialogue is not None and files.dialogues:
            n_dialogues += 1
            found = _dialogue(dialogue[1], user=user, number=number)
            yield from located(found, files.dialogues)
    if files.dialogues and files.profiles and n_dialogues != n_profiles:
        raise unreadable(
            files.profiles,
            got=str(n_profiles),
            expected=f"{n_dialogues} profiles, one for each dialogue of {files.dialogues},",
            next_step="Give the profiles of these dialogues, or none.",
        )


def recognises(head: Head) -> bool:
    """Whether it holds rounds of dialogues; profiles and groupings tell nothing by themselves."""
    return head.has(r"\[\]\.\[\]\.\d+\.Assistant")


LOADER = Loader(
    dataset=Dataset(
        name="med_dialogue",
        title="MedDia: patients and an assistant as their doctor",
        licence="MIT",
        origin="K. Zhang et al. 2023 (MaLP): dialogues_3_cleaned, profiles_3",
        file="dialogues_3_cleaned.json",
        sha256="53b825fc987acbaeb508ec088f3eebe6d98937ec8967c9a0c8692f5ee52e4379",
        n_conversations=555,
        n_replies=2_775,
        n_users=555,
    ),
    record="a dialogue: a list of rounds",
    rules=Rules(),
    read=read,
    recognises=recognises,
)


def clean(text: str, *, side: str) -> tuple[str, str | None]:
    """Take quotes and speakers' names off a text, and say why it cannot be used, if so.

    Args:
        text: What is said.
        side: Who says it, `ASSISTANT` or `USER`.
    """
    other = _NAMES[USER if side == ASSISTANT else ASSISTANT]
    defect = None
    while True:
        bare = _unquoted(text.strip()).strip()
        if other.match(bare):
            defect = CONTRADICTS
        for name in (other, _NAMES[side], _EITHER):
            bare = name.sub("", bare, count=1) if name.match(bare) else bare
        if bare == text:
            break
        text = bare
    found = (reason for reason, pattern in _DEFECTS.items() if pattern.search(text))
    return text, defect or next(found, None)


def _unquoted(text: str) -> str:
    """Take off the quotes around a text, and one at an end that has no other."""
    first, last = text[:1] in _QUOTES and bool(text), text[-1:] in _QUOTES and len(text) > 1
    if first and last:
        return text[1:-1]
    odd = sum(text.count(quote) for quote in _QUOTES) % 2 == 1
    return text[first and odd : len(text) - (last and odd)]


def files_of(paths: Paths) -> Files:
    """Tell dialogues, profiles and a grouping apart by how they begin.

    Raises:
        DataError: A file is none of them, or two are the same.
    """
    found: dict[str, Any] = {}
    for path in paths:
        kind = _kind(path)
        if kind in found:
            raise _refused(path, got=f"a second file of {kind}")
        found[kind] = _grouping(path) if kind == "grouping" else path
    return Files(found.get("dialogues"), found.get("profiles"), found.get("grouping", {}))


def _kind(path: Path) -> Literal["dialogues", "profiles", "grouping"]:
    root = first_byte(path)
    if root == b"{":
        return "grouping"
    if root == b"[":
        for _, value in members(path):
            return "profiles" if isinstance(value, str) else "dialogues"
        raise _refused(path, got="an empty list")
    raise _refused(path, got="no list and no object")


def _grouping(path: Path) -> dict[str, str]:
    grouping: dict[str, str] = {}
    for (number,), user in members(path):
        if not isinstance(user, str) or not user.strip():
            raise _refused(path, got=f"no user id for dialogue {str(number)[:60]!r}")
        grouping[str(number)] = user
    return grouping


def _dialogue(value: object, *, user: str, number: int) -> Iterator[Event]:
    if not isinstance(value, list):
        yield Dropped("broken dialogue", number + 1, detail="no list of rounds", user=user)
        return
    turns: list[Spoken] = []
    for found in cast("list[object]", value):
        name, content = _only(found)
        spoken = checked(Round, content, what="round", place=number + 1)
        if isinstance(spoken, Dropped):
            yield spoken._replace(user=user)
            turns.append(Spoken(ASSISTANT, "", defect="answer in a broken round"))
            continue
        said = {ASSISTANT: spoken.Assistant, USER: spoken.User}
        for side in (USER, ASSISTANT) if name == LAST_ROUND else (ASSISTANT, USER):
            text, defect = clean(said[side], side=side)
            turns.append(Spoken(side, text, defect=defect))
    dialogue = Dialogue(f"dialogue-{number}", tuple(turns))
    yield from with_assistant(dialogue, user=user, assistant=ASSISTANT, place=number + 1)


def _only(value: object) -> tuple[str, object]:
    """Return the one key of a round and what is under it; an empty round of anything else."""
    if isinstance(value, dict) and len(cast("dict[str, object]", value)) == 1:
        return next(iter(cast("dict[str, object]", value).items()))
    return "", None


def _profile(value: object, *, user: str, place: int) -> Iterator[Event]:
    """Return the sentences of a profile: the texts under its keys."""
    try:
        # Whoever wrote it may have said something before and after it.
        text = value[value.find("{") : value.rfind("}") + 1] if isinstance(value, str) else ""
        found: object = json.loads(text)
        sentences = [whole(text) for text in texts_in(found)] if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        sentences = None
    if sentences is None:
        yield Dropped("profile that does not parse", place, user=user)
        return
    for sentence in sentences:
        yield Known(user, sentence)
