"""Inputs that people report of importers, where they are: beside the project, never in it.

Each expectation is what `INDEX.tsv` says of the file. The same kinds are tested on small files of
the project's own in the other modules.
"""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lorecall.cli.app import app
from lorecall.data.catalog import check, load_history
from lorecall.data.history import split_history
from lorecall.errors import DataError
from lorecall.records import History

CASES = Path(__file__).parents[3] / "shared" / "cases" / "importers"
LEEKS = ("what can I cook with leeks", "a leek and potato soup is easy")
LONG = ("how long does it take", "about forty minutes in all")
OUT = ("shall we go out tonight", "yes but only after eight")
PLACE = ("the usual place then", "see you there my friend")
Expected = Callable[[History], object]


def pairs(*wanted: tuple[str, str]) -> Expected:
    """Expect these pairs, in this order."""

    def holds(history: History) -> None:
        assert [(s.query, s.response) for s in history.samples] == list(wanted)

    return holds


def at(*times: str) -> Expected:
    """Expect samples of these times."""

    def holds(history: History) -> None:
        found = [datetime.fromtimestamp(s.time or 0, UTC).isoformat() for s in history.samples]
        assert [each[: len(time)] for each, time in zip(found, times, strict=True)] == list(times)

    return holds


def named(user: str) -> Expected:
    """Expect this user."""

    def holds(history: History) -> None:
        assert history.user == user

    return holds


def no_pair_twice(history: History) -> None:
    """Expect that the split finds nothing of the test in the training part."""
    assert history.dropped["pair given before"] == len(history.samples) == 40
    split_history(history)


def apart(history: History) -> None:
    """Expect two conversations."""
    assert len({sample.conversation for sample in history.samples}) == len(history.samples) == 2


def both(*expected: Expected) -> Expected:
    """Expect all of these."""

    def holds(history: History) -> None:
        for each in expected:
            each(history)

    return holds


TWO = pairs(OUT, PLACE)
HEBREW = (
    "\u05dc\u05d0\u05df \u05d4\u05d5\u05dc\u05db\u05d9\u05dd \u05d4\u05e2\u05e8\u05d1",
    "\u05e8\u05e7 \u05d0\u05d7\u05e8\u05d9 \u05e9\u05de\u05d5\u05e0\u05d4 \u05d1\u05d1\u05e7\u05e9\u05d4",  # noqa: E501
)
MINUTES = ("2024-06-20T19:02", "2024-06-20T19:04")
HOLDS: dict[str, Expected] = {
    **dict.fromkeys(
        (
            *("wa04-fr-a", "wa13-legacy-colon", "wa14-viewer-semicolon", "wa77-isolates"),
            *("tg03-int-from-id", "tg15-utf16", "tg20-name-markup", "tg22-blockquote"),
            *("tg24-null-id", "wa32-utf16", "wa79-name-brackets"),
        ),
        TWO,
    ),
    **dict.fromkeys(
        (
            *("wa06-zh-android-xiawu", "wa07-zh-ios-xiawu", "wa08-ko", "wa09-fi-klo"),
            *("wa10-hu-spaces", "wa11-bg", "wa24-tr-oo", "wa25-el-mm"),
        ),
        both(TWO, at(*MINUTES)),
    ),
    **dict.fromkeys(
        ("wa21-fa-jalali31", "wa22-fa-jalali31-ascii"), both(TWO, at(*["2023-05-21"] * 2))
    ),
    "wa23-yy-first": at("2022-01-20", "2022-02-03"),
    "wa34-quoted-export": pairs(
        ("what did he say", "look what he wrote\n01/01/2020, 10:00 - Zed: I never said that")
    ),
    **dict.fromkeys(
        ("wa40-edited", "wa71-system-colon-mid", "wa73-group-as-sender-nolrm"), pairs(OUT)
    ),
    "wa61-lrm-inside": pairs((OUT[0], "yes @Ann but only after eight")),
    "wa62-lrm-real-text": pairs((OUT[0], "OK yes but only after eight")),
    "wa74-name-colon": both(TWO, named("Bob: work")),
    "wa78-nfd-name": both(TWO, named("Jos\u00e9")),
    "wa90-zh": lambda history: len(history.samples) == 2 or pytest.fail("no two replies"),
    "tg18-chinese": lambda history: len(history.samples) == 2 or pytest.fail("no two replies"),
    **dict.fromkeys(("tg04-forwarded", "tg10-via-bot"), pairs(PLACE)),
    "tg11-topics": pairs(("does anyone have a drill", "yes I have a drill at home")),
    **dict.fromkeys(
        ("gp07-toolcall", "om07-roles-human-gpt", "om12-ms", "om15-think", "om16-user-int"),
        pairs(LEEKS, LONG),
    ),
    **dict.fromkeys(("gp13-null-content", "om03-weight0", "om14-first-line-broken"), pairs(LONG)),
    **dict.fromkeys(("om05-sharegpt", "om06-conversations-role"), pairs(LEEKS, LONG)),
    "gp14-order-null-time": pairs(LEEKS, LONG),
    "gp17-two-accounts": both(pairs(LEEKS, LONG), apart),
    **dict.fromkeys(("gp18-reexport", "om18-assistants-api", "jl04-array"), pairs(LEEKS)),
    "am02-meta2018": pairs(("does it fit on induction", "yes it works very well on mine")),
    "wa2x-two-chats": apart,
    **dict.fromkeys(("wb01-media-between", "wb02-tg-voice-between"), pairs(OUT)),
    "wb04-hebrew": pairs(HEBREW),
    "jl13-one-time-missing": pairs(
        *(("q", f"{which} here") for which in ("the old one",)),
        ("q", "between the two"),
        ("q", "the new one here"),
    ),
    "jl15-brackets": named("bob [/b]"),
    "jl16-duplicates": no_pair_twice,
}
TEXTLESS = (
    *("wa43-attached-es", "wa44-attached-de", "wa45-attached-fr", "wa46-deleted-de"),
    *("wa47-deleted-es", "wa48-deleted-pt", "wa49-omitted-it-ios-nolrm", "wa51-waiting"),
    *("wa52-admin-deleted", "wa53-call", "wa54-contact", "wa55-document-space", "wa56-location"),
    *("wa58-caption-ios", "wa60-poll-android"),
)
REFUSED = {
    "wa33-cp1252": "cp1252",
    "ot01-messenger": "fields messages, participants, title",
    "ot02-discord-openai": "fields channel, guild, messages",
    "ot03-slack": "fields text, ts, type, user",
    "ot06-zip": "Unpack it",
    "ot07-zip-openai": "Unpack it",
    "om08-listoflists": "fields content, role",
    "om09-alpaca": "fields history, input, instruction, output",
    "om10-prompt-completion": "fields completion, prompt",
    "om11-claude": "fields chat_messages",
    "lm04-personamem": "no reply in JSON objects",
    "am01-reviews2023": "no reply in",
    "tg27-error-shows-text": "no JSON",
    "jl17-field-markup": "field '[/note]' is unknown",
}


def cases() -> list[dict[str, str]]:
    """Return the rows of the index; none where it is not there."""
    if not (CASES / "INDEX.tsv").is_file():
        return []
    with (CASES / "INDEX.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_cases_are_there() -> None:
    """Each with something that is expected of it."""
    if not cases():
        pytest.skip("the cases are not beside the project")
    assert {row["id"] for row in cases()} == {*HOLDS, *TEXTLESS, *REFUSED}


@pytest.mark.parametrize("row", cases(), ids=lambda row: row["id"])
def test_a_case(row: dict[str, str]) -> None:
    """As the index expects, and a check of it ends without a traceback."""
    name, user = row["id"], row["user"]
    paths = [CASES / file for file in row["files"].split(",")]
    options = [part for path in paths for part in ("--path", str(path))]
    for command in ("check", "show"):
        done = CliRunner().invoke(app, ["data", command, row["dataset"], *options])
        assert done.exception is None or isinstance(done.exception, SystemExit | DataError)
        assert "example.org" not in f"{done.output}{done.exception}"
    if name in HOLDS:
        HOLDS[name](load_history(row["dataset"], path=paths, user=user))
        return
    with pytest.raises(DataError) as error:
        load_history(row["dataset"], path=paths, user=user)
    if name in REFUSED:
        assert REFUSED[name] in str(error.value)
    else:
        summary = check(row["dataset"], path=paths)
        assert summary.dropped == {"message without text": 1}
        assert json.dumps(summary.as_json())
