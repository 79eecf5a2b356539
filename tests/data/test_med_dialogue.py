"""MedDia: rounds to pairs, noise, profiles, groupings, and the real files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.data.catalog import DATASETS, check, load_history, summarise
from lorecall.data.formats.med_dialogue import ASSISTANT, CONTRADICTS, USER, clean
from lorecall.data.history import samples_hash, split_history
from lorecall.errors import DataError
from lorecall.records import Turn

NAME = "med_dialogue"


def rounds(*pairs: tuple[str, str], first: int = 0) -> list[object]:
    """Make rounds of (assistant, user) texts."""
    return [
        {str(n): {"Assistant": assistant, "User": user}}
        for n, (assistant, user) in enumerate(pairs, start=first)
    ]


def write(path: Path, value: object) -> Path:
    """Write a file."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


class TestPairs:
    """Which text answers which."""

    def test_the_answer_is_in_the_next_round_but_for_the_last(self, tmp_path: Path) -> None:
        """(U0,A1) (U1,A2) (U2,A3) (U3,A4) (U5,A5)."""
        path = write(tmp_path / "d.json", [rounds(*((f"A{n}", f"U{n}") for n in range(6)))])
        history = load_history(NAME, user="dialogue-0", path=path)
        assert [(s.query, s.response) for s in history.samples] == [
            *(("U0", "A1"), ("U1", "A2"), ("U2", "A3"), ("U3", "A4"), ("U5", "A5"))
        ]
        assert {sample.authored_by for sample in history.samples} == {"assistant"}
        assert [said.text for said in history.statements] == ["U4"]

    def test_earlier_turns(self, tmp_path: Path) -> None:
        """The two before the query, seen by the assistant."""
        path = write(tmp_path / "d.json", [rounds(*((f"A{n}", f"U{n}") for n in range(6)))])
        samples = load_history(NAME, user="dialogue-0", path=path).samples
        assert samples[1].earlier == (
            Turn(by_author=False, text="U0"),
            Turn(by_author=True, text="A1"),
        )
        assert [turn.text for turn in samples[-1].earlier] == ["A4", "U4"]

    def test_a_dialogue_is_a_user(self, tmp_path: Path) -> None:
        """And its conversation."""
        path = write(tmp_path / "d.json", [rounds(("a", "b"), (f"c{n}", "d")) for n in range(2)])
        found = [(u.user, u.n_conversations) for u in summarise(NAME, path=path).users]
        assert found == [("dialogue-0", 1), ("dialogue-1", 1)]

    def test_a_grouping_makes_dialogues_one_persons(self, tmp_path: Path) -> None:
        """Those it does not name stay alone."""
        dialogues = [rounds(("a", "b"), (f"c{n}", "d")) for n in range(3)]
        grouping = {"0": "ann", "2": "ann"}
        paths = [write(tmp_path / "d.json", dialogues), write(tmp_path / "g.json", grouping)]
        found = [(u.user, u.n_conversations) for u in summarise(NAME, path=paths).users]
        assert found == [("ann", 2), ("dialogue-1", 1)]


class TestNoise:
    """What is taken off a text, and what makes it unusable."""

    @pytest.mark.parametrize(
        "text",
        [
            *("Hello there", ' "Hello there" ', "Doctor: Hello there", 'Doctor: "Hello there"'),
            *(
                '"Doctor: Hello there"',
                'doctor : Doctor: ""Hello there""',
                "\u201cHello there\u201d",
            ),
            *('Hello there"', ": Hello there", "Assistant:\nHello there", "Me: Hello there"),
        ],
    )
    def test_names_and_quotes_are_taken_off(self, text: str) -> None:
        """However often they come, on either side of each other."""
        assert clean(text, side=ASSISTANT) == ("Hello there", None)

    @pytest.mark.parametrize("text", ['He said "no"', "It's 9:30", "Note: rest", 'A "b" c "d"'])
    def test_what_belongs_to_the_text_stays(self, text: str) -> None:
        """Quotes inside it, and colons that follow no speaker's name."""
        assert clean(text, side=USER) == (text, None)

    @pytest.mark.parametrize(
        ("text", "side", "defect"),
        [
            ("Patient: hi", ASSISTANT, CONTRADICTS),
            ('Doctor: "Patient: hi"', ASSISTANT, CONTRADICTS),
            ("Doctor: hi", USER, CONTRADICTS),
            ("Assistant: hi", USER, CONTRADICTS),
            ("Error Networking, check your network", USER, "error of the API in place of a text"),
            (
                "Error Networking, check your network: Hi",
                USER,
                "error of the API in place of a text",
            ),
            ("As an AI language model, I cannot", ASSISTANT, "disclaimer of an AI"),
            ("Sorry, I'm an AI and cannot", ASSISTANT, "disclaimer of an AI"),
            ("It was an error to stop", ASSISTANT, None),
            ("I have an aid at home", USER, None),
            ("My network of friends", USER, None),
        ],
    )
    def test_defects(self, text: str, side: str, defect: str | None) -> None:
        """A name of the other side, an error, a disclaimer."""
        assert clean(text, side=side)[1] == defect

    def test_a_pair_with_a_defect_is_counted(self, tmp_path: Path) -> None:
        """What the user said stays a statement; a defective turn is nobody's earlier turn."""
        pairs = (
            *(
                ("A0", "U0"),
                ("Patient: A1", "U1"),
                ("A2", "Doctor: U2"),
                ("A3", "U3"),
                ("A4", "U4"),
            ),
        )
        history = load_history(
            NAME, user="dialogue-0", path=write(tmp_path / "d.json", [rounds(*pairs)])
        )
        assert [(s.query, s.response) for s in history.samples] == [("U1", "A2"), ("U3", "A4")]
        assert history.dropped == {CONTRADICTS: 2}
        assert [said.text for said in history.statements] == ["U0", "U4"]
        assert [turn.text for turn in history.samples[0].earlier] == ["U0"]

    def test_empty_texts_are_dropped(self, tmp_path: Path) -> None:
        """Once names and quotes are off."""
        pairs = (("A0", "U0"), ('Doctor: ""', ""), ("A2", "U2"))
        summary = summarise(NAME, path=write(tmp_path / "d.json", [rounds(*pairs)]))
        assert summary.dropped == {"empty response": 1, "empty query": 1}

    def test_broken_parts_are_counted_and_the_rest_is_kept(self, tmp_path: Path) -> None:
        """A dialogue, a round, a field; answers are not put together across them."""
        whole = rounds(("A0", "U0"), ("A1", "U1"))
        halves: list[object] = [
            *whole,
            {"2": {"Assistant": 5, "User": "U2"}},
            *rounds(("A3", "U3"), first=3),
        ]
        path = write(tmp_path / "d.json", [whole, None, {"0": 1}, halves, [5, []], []])
        summary = check(NAME, path=path)
        assert summary.dropped == {
            "broken dialogue": 2,
            "broken round": 3,
            "answer in a broken round": 1,
        }
        assert (summary.n_replies, summary.totals.n_samples) == (2, 2)


class TestProfiles:
    """JSON inside strings, one a dialogue."""

    def test_the_nth_profile_is_of_the_nth_dialogue(self, tmp_path: Path) -> None:
        """Texts at any depth, in order; what is said around the object is passed over."""
        dialogues = [rounds(("a", "b"), ("c", "d"))] * 2
        profiles = [
            'Here it is: {"a": "is 30", "b": {"c": ["has a dog", null, 5]}} Good?',
            '{"a": "is 40", "b": "is 40"}',
        ]
        paths = [write(tmp_path / "p.json", profiles), write(tmp_path / "d.json", dialogues)]
        found = [load_history(NAME, user=f"dialogue-{n}", path=paths).profile for n in range(2)]
        assert found == [("is 30", "has a dog"), ("is 40",)]

    @pytest.mark.parametrize(
        "profile", ["", "no", "{", "[1]", '{"a": "\\ud800"}', 5, None, "{" * 5000]
    )
    def test_what_does_not_parse_is_counted(self, tmp_path: Path, profile: object) -> None:
        """The dialogue is not lost for it."""
        dialogues = [rounds(("a", "b"), ("c", "d"))] * 2
        paths = [
            write(tmp_path / "p.json", ["{}", profile]),
            write(tmp_path / "d.json", dialogues),
        ]
        summary = check(NAME, path=paths)
        assert summary.dropped == {"profile that does not parse": 1}
        assert summary.n_replies == 2

    @pytest.mark.parametrize("n", [1, 3])
    def test_profiles_of_other_dialogues_are_refused(self, tmp_path: Path, n: int) -> None:
        """Too few or too many: they would be joined to the wrong ones."""
        dialogues = [rounds(("a", "b"), ("c", "d"))] * 2
        paths = [write(tmp_path / "p.json", ["{}"] * n), write(tmp_path / "d.json", dialogues)]
        with pytest.raises(DataError, match=f"expected 2 profiles, .* got {n}"):
            summarise(NAME, path=paths)


class TestRefusals:
    """Files that are none of the three."""

    @pytest.mark.parametrize("content", ["", "5", "[]", "text", '{"0": 5}', '{"0": " "}'])
    def test_other_files(self, tmp_path: Path, content: str) -> None:
        """The message says what is expected."""
        (tmp_path / "x").write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match="expected a JSON list of dialogues"):
            summarise(NAME, path=tmp_path / "x")

    def test_two_files_of_dialogues(self, tmp_path: Path) -> None:
        """Their numbers would clash."""
        paths = [write(tmp_path / name, [rounds(("a", "b"))]) for name in ("x", "y")]
        with pytest.raises(DataError, match="a second file of dialogues"):
            summarise(NAME, path=paths)


class TestRealFiles:
    """The facts of SPEC section 5."""

    def test_dialogues(self, real_file: Callable[[str], Path]) -> None:
        """555 of five pairs each; every pair is a sample or counted."""
        path = real_file("dialogues_3_cleaned.json")
        entry, summary = DATASETS[NAME], check(NAME, path=path)
        pairs = {key: n for key, n in summary.dropped.items() if "unanswered" not in key}
        assert summary.totals.n_samples + sum(pairs.values()) == entry.n_replies == 5 * 555
        assert summary.n_problems == 0
        assert pairs == {
            "speaker's name contradicts the turn": 139,
            "error of the API in place of a text": 27,
            "disclaimer of an AI": 33,
            "empty response": 9,
            "empty query": 4,
            "pair given before": 1,
        }
        assert load_history(NAME, user="dialogue-554", path=path).user == "dialogue-554"

    def test_first_and_last_record(self, real_file: Callable[[str], Path]) -> None:
        """By their hashes."""
        path = real_file("dialogues_3_cleaned.json")
        ends = [load_history(NAME, user=f"dialogue-{n}", path=path) for n in (0, 554)]
        assert [(len(h.samples), samples_hash(h.samples)[:16]) for h in ends] == [
            (5, "3955fc3d9b8dbf5d"),
            (5, "3b07f20cfe3a77a9"),
        ]

    def test_the_pool(self, real_file: Callable[[str], Path]) -> None:
        """A dialogue is in one part."""
        pool = load_history(NAME, user="pooled", path=real_file("dialogues_3_cleaned.json"))
        split = split_history(pool)
        assert [len(part) for part in (split.train, split.valid, split.test)] == [1_767, 254, 504]

    def test_profiles(self, real_file: Callable[[str], Path]) -> None:
        """170 of 3,283 do not parse; they belong to other dialogues."""
        profiles = real_file("profiles_4.json")
        assert check(NAME, path=profiles).dropped == {"profile that does not parse": 170}
        with pytest.raises(DataError, match=r"expected 555 profiles, .* got 3283"):
            check(NAME, path=[profiles, real_file("dialogues_3_cleaned.json")])
