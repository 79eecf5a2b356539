"""What WhatsApp writes itself, and what people wrote that looks like it."""

import pytest

from lorecall.data.whatsapp_words import is_event, own_words, strings

LRM = "\u200e"


@pytest.mark.parametrize(
    "text",
    [
        *("<Media omitted>", "image omitted", f"{LRM}image omitted", "Bild weggelassen", "null"),
        *("immagine omessa", "kuva j\u00e4tetty pois", "\u56fe\u7247\u5df2\u5ffd\u7565"),
        *("\uc0ac\uc9c4 \uc0dd\ub7b5\ub428", "G\u00f6r\u00fcnt\u00fc dahil edilmedi"),
        *("This message was deleted", "You deleted this message.", "Esta mensagem foi apagada."),
        *("Dit bericht is verwijderd", "Ta wiadomo\u015b\u0107 zosta\u0142a usuni\u0119ta"),
        *(
            "This message was deleted by admin Cleo",
            "Waiting for this message. This may take a while.",
        ),
        *(
            "Missed voice call, Tap to call back",
            "Missed video call",
            f"{LRM}Voice call, {LRM}3 min",
            "Missed voice call at 19:04",
        ),
        *("IMG-20230613-WA0001.jpg (any words)", "notes of May.pdf (file attached)"),
        *("Cleo Roux.vcf (Datei angeh\u00e4ngt)", f"{LRM}plan.pdf (in some language)"),
        *("<attached: 00000004-PHOTO-2023-06-13.jpg>", f"{LRM}<joint : 00000004-AUDIO.opus>"),
        f"April bills.pdf \u2022 {LRM}2 pages {LRM}<attached: 00000004-April bills.pdf>",
        *(
            "Location: https://maps.google.com/?q=48.1,11.5",
            "Standort: https://maps.google.com/?q=1,2",
        ),
        "POLL:\nWhere to eat\nOPTION: Pizza (2 votes)",
        f"{LRM}anything:\nWhere to eat\n{LRM}A: Pizza\n{LRM}B: Noodles",
        f"{LRM}EVENT: Dinner\nDate: tonight",
        "You received a view once message. You can open it on your phone.",
        "Messages and calls are end-to-end encrypted. No one outside of this chat can read them.",
        "Bob changed the group name to \u201cmy family\u201d",
    ],
)
def test_nothing_of_it_was_typed(text: str) -> None:
    """In any language, marked or not."""
    assert own_words(text, sender="Bob") == ""


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("yes but later <This message was edited>", "yes but later"),
        (f"yes but later {LRM}<in some language>", "yes but later"),
        ("ja <Diese Nachricht wurde bearbeitet>", "ja"),
        ("IMG-20230613-WA0001.jpg (file attached)\nlook at this", "look at this"),
        (f"yes @\u2068Ann\u2069 but {LRM}only after eight", "yes @Ann but only after eight"),
        (f"{LRM}OK yes but only after eight", "OK yes but only after eight"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("Jose\u0301 is here", "Jos\u00e9 is here"),
    ],
)
def test_what_was_typed_is_kept(text: str, typed: str) -> None:
    """Without marks and what was added; joiners that a script needs stay."""
    assert own_words(text, sender="Bob") == typed


@pytest.mark.parametrize(
    "text",
    [
        *("I have omitted nothing", "a video call would be nice", "missed voice calls are my fate"),
        *(
            "see notes.txt (the second one)",
            "I love you <3",
            "poll: who is in?",
            "my location is secret",
        ),
        *(
            "Bob left the keys here",
            "this message was deleted, she said",
            "waiting for this message all day",
        ),
        "the answer is a > b",
    ],
)
def test_what_looks_like_it_is_kept(text: str) -> None:
    """People write of messages too."""
    assert own_words(text, sender="Bob") == text


def test_what_a_file_marks_again_and_again_was_typed_by_nobody() -> None:
    """In a language that the table does not know."""
    assert own_words(f"{LRM}foto weg", repeated={f"{LRM}foto weg"}) == ""
    assert own_words(f"{LRM}foto weg") == "foto weg"
    assert own_words("ja <neu geschrieben>", repeated={"<neu geschrieben>"}) == "ja"
    assert own_words("ja <neu geschrieben>") == "ja <neu geschrieben>"


@pytest.mark.parametrize(
    ("sender", "wanted"),
    [
        *(("Ann changed the group description to", True), ("Ann added Bob", True)),
        *(
            ("Ann changed the subject from \u201cTrip", True),
            ("Ann", False),
            ("Bob \u201cthe dog\u201d", False),
        ),
        *(("Ann Added", True), ("Anna Lee", False), ("Cem left", False)),
    ],
)
def test_what_someone_did_is_no_name(sender: str, wanted: bool) -> None:  # noqa: FBT001
    """Before a colon: a phrase that is known, after a name that is known, or half a quotation."""
    assert is_event(sender, {"Ann", "Bob"}) is wanted


def test_the_table_has_no_string_twice_in_a_language() -> None:
    """And every kind has some."""
    found = strings()
    assert len(found.whole) > 500
    assert (
        min(map(len, (found.edited, found.attached, found.polls, found.places, found.events))) > 20
    )
    assert "" not in found.whole
