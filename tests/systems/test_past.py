"""What is a note, in which order, and which of them a training sample may be shown."""

from collections.abc import Callable

from lorecall.systems.contract import PersonData
from lorecall.systems.past import Past

MakePerson = Callable[..., PersonData]


def shown(past: Past, sample: str | None) -> set[str]:
    """Return the texts that may go with a sample."""
    return {n.text for n, fits in zip(past.notes, past.visible(sample), strict=True) if fits}


def test_notes_are_the_training_part(make_person: MakePerson) -> None:
    """Profile, responses and statements, in lines; nothing of the other parts."""
    person = make_person(
        [
            ("a", "who are  you?", "ann\nof course", 1.0),
            ("a", "", "a word of mine", 2.0),
            ("valid", "v", "secret v", 3.0),
            ("valid", "", "beside v", 3.0),
            ("test", "t", "secret t", 4.0),
            ("test", "", "beside t", 4.0),
        ],
        profile=("likes tea",),
    )
    past = Past(person)
    assert [(n.query, n.text) for n in past.notes] == [
        ("", "likes tea"),
        ("who are you?", "ann of course"),
        ("", "a word of mine"),
    ]
    assert [n.key for n in past.notes] == ["likes tea", "who are you?", "a word of mine"]
    assert past.notes[1].whole == "who are you? -> ann of course"
    assert [n.text for n in Past(person, statements=False).notes] == ["likes tea", "ann of course"]


def test_dialogues_are_in_the_order_of_their_first_note(make_person: MakePerson) -> None:
    """One without a usable reply has its place too; inside, the time counts."""
    past = Past(
        make_person(
            [
                ("a", "q1", "r1", 1.0),
                ("a", "q3", "r3", 30.0),
                ("c", "q4", "r4", 40.0),
                ("b", "", "opener", 20.0),
                ("a", "", "between", 10.0),
                ("test", "t", "t", 99.0),
            ]
        )
    )
    texts = [[past.notes[i].text for i in places] for places in past.dialogues]
    assert texts == [[], ["r1", "between", "r3"], ["opener"], ["r4"]]
    assert past.dialogue_of("s2") == 3
    assert past.dialogue_of("s5") is None
    assert past.dialogue_of(None) is None


def test_without_times_the_order_given_counts(make_person: MakePerson) -> None:
    """A statement of the same conversation may be later, so it is not shown."""
    past = Past(
        make_person(
            [("a", "q0", "r0"), ("a", "", "of a"), ("b", "q2", "r2"), ("b", "q3", "r3")],
            profile=("p",),
        )
    )
    assert shown(past, "s0") == {"p"}
    assert shown(past, "s2") == {"p", "r0", "of a"}
    assert shown(past, "s3") == {"p", "r0", "of a", "r2"}
    assert shown(past, None) == shown(past, "another") == {"p", "r0", "of a", "r2", "r3"}


def test_where_times_are_known_they_count_too(make_person: MakePerson) -> None:
    """Conversations at the same time: what was written later is not shown, whichever is first."""
    past = Past(
        make_person(
            [
                ("a", "q0", "r0", 1.0),
                ("a", "q1", "r1", 50.0),
                ("a", "", "late in a", 60.0),
                ("b", "q3", "r3", 20.0),
                ("b", "", "early in b", 10.0),
                ("b", "", "at once", 20.0),
                ("b", "", "no time"),
            ]
        )
    )
    assert shown(past, "s3") == {"r0", "early in b"}
    assert shown(past, "s1") == {"r0", "early in b", "at once"}  # r3 is later in the order
