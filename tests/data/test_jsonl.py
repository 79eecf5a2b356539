"""JSONL files: good ones, every way to break one, and the report on a file."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorecall.data.catalog import check, list_users, load_history
from lorecall.data.history import split_history
from lorecall.data.loading import MAX_PROBLEMS
from lorecall.data.samples import unix_seconds
from lorecall.errors import DataError
from lorecall.records import Turn


def row(**fields: object) -> dict[str, object]:
    """Make a line with the needed fields."""
    return {"user": "ann", "query": "How?", "response": "Like so."} | fields


def write(folder: Path, *rows: dict[str, object] | str) -> Path:
    """Write rows, or lines as they are, to a file."""
    lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
    file = folder / "data.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


class TestLoading:
    """Files that can be used."""

    def test_the_smallest_line(self, tmp_path: Path) -> None:
        """Three fields make a sample; the file's name is the dataset."""
        history = load_history(write(tmp_path, row()), user="ann")
        (sample,) = history.samples
        assert (history.dataset, sample.user, sample.query) == ("data.jsonl", "ann", "How?")
        assert (sample.response, sample.authored_by, sample.earlier) == ("Like so.", "user", ())

    def test_without_conversation_each_line_stands_alone(self, tmp_path: Path) -> None:
        """No earlier turns are made up."""
        history = load_history(write(tmp_path, row(), row(query="And?")), user="ann")
        assert len({s.conversation for s in history.samples}) == 2
        assert [s.earlier for s in history.samples] == [(), ()]

    def test_earlier_lines_of_a_conversation_are_the_earlier_turns(self, tmp_path: Path) -> None:
        """Query and response of the line before, though others stand between."""
        rows = (
            row(query="a", response="b", conversation="c"),
            row(user="bob", query="x", response="y", conversation="c"),
            row(query="d", response="e", conversation="c"),
        )
        history = load_history(write(tmp_path, *rows), user="ann")
        assert history.samples[1].earlier == (
            Turn(by_author=False, text="a"),
            Turn(by_author=True, text="b"),
        )

    def test_the_sides_follow_the_author(self, tmp_path: Path) -> None:
        """After a pair answered by the assistant, its response is the other side's."""
        rows = (
            row(query="a", response="b", conversation="c", authored_by="assistant"),
            row(query="d", response="e", conversation="c"),
        )
        history = load_history(write(tmp_path, *rows), user="ann")
        assert [s.own_text for s in history.samples] == ["a", "e"]
        assert [turn.by_author for turn in history.samples[1].earlier] == [True, False]

    def test_lines_are_ordered_by_time(self, tmp_path: Path) -> None:
        """Numbers and ISO strings mix; conversations go by their first line."""
        rows = (
            row(response="late", time="2024-05-02T00:00:00Z", conversation="b"),
            row(response="first", time=5, conversation="a"),
            row(response="second", time="1970-01-01T00:00:06Z", conversation="b"),
            row(response="third", time=7.5, conversation="a"),
        )
        history = load_history(write(tmp_path, *rows), user="ann")
        assert [s.response for s in history.samples] == ["first", "third", "second", "late"]
        assert history.samples[-1].time == unix_seconds("2024-05-02T00:00:00Z")

    def test_one_missing_time_does_not_turn_the_others_round(self, tmp_path: Path) -> None:
        """Its line stays between its neighbours."""
        rows = (row(response="b", time=9), row(response="c"), row(response="a", time=1))
        history = load_history(write(tmp_path, *rows), user="ann")
        assert [s.response for s in history.samples] == ["a", "c", "b"]
        assert check(tmp_path / "data.jsonl").n_untimed == 1
        assert check(write(tmp_path, row())).n_untimed == 0  # nothing has a time: nothing to order

    def test_only_empty_texts_are_dropped(self, tmp_path: Path) -> None:
        """Repeats and short responses stay; what the user wrote is not lost."""
        rows = (
            *(row(response="ok"), row(query="And?", response="ok")),
            *(row(response=" "), row(query="\t")),
        )
        history = load_history(write(tmp_path, *rows), user="ann")
        assert [s.response for s in history.samples] == ["ok", "ok"]
        assert history.dropped == {"empty response": 1, "empty query": 1}
        assert [s.text for s in history.statements] == ["Like so."]

    def test_a_line_given_again_counts_once(self, tmp_path: Path) -> None:
        """In the same file or in another, with or without times; it is said how many were."""
        lines = [row(query=f"{i}?") for i in range(40)]
        once, twice = write(tmp_path, *lines), tmp_path / "twice"
        twice.mkdir()
        for paths in ([once, once], [write(twice, *lines, *lines)]):
            history = load_history("jsonl", user="ann", path=paths)
            assert len(history.samples) == 40
            assert history.dropped == {"pair given before": 40}
            assert check("jsonl", path=paths).dropped == history.dropped
            split_history(history)  # which sees that nothing of the test is learnt

    def test_lines_of_two_files_stand_alone(self, tmp_path: Path) -> None:
        """Though they have the same numbers."""
        (tmp_path / "b").mkdir()
        paths = [write(tmp_path, row()), write(tmp_path / "b", row(query="And?"))]
        history = load_history("jsonl", user="ann", path=paths)
        assert len({sample.conversation for sample in history.samples}) == 2

    @pytest.mark.parametrize("indent", [None, 1])
    def test_a_list_is_read_as_lines_are(self, tmp_path: Path, indent: int | None) -> None:
        """However it is laid out; its places stand for lines."""
        rows = [row(time="2024-05-02T00:00:00Z"), row(respones="x"), row(query="And?", time=7)]
        file = write(tmp_path, json.dumps(rows, indent=indent))
        report = check(file)
        assert [(p.line, p.reason) for p in report.problems] == [(2, "field 'respones' is unknown")]
        assert report.n_replies == 2

    def test_profiles_are_joined_without_repeats(self, tmp_path: Path) -> None:
        """A string or a list, on any line, of this user only."""
        rows = (
            row(profile="likes tea"),
            row(profile=["likes tea", "has a dog", " "]),
            row(user="bob", profile="likes coffee"),
        )
        assert load_history(write(tmp_path, *rows), user="ann").profile == (
            "likes tea",
            "has a dog",
        )

    def test_meta_is_not_read(self, tmp_path: Path) -> None:
        """The one place for fields of one's own."""
        assert load_history(write(tmp_path, row(meta={"source": [1, None]})), user="ann").samples

    def test_a_bom_crlf_and_blank_lines(self, tmp_path: Path) -> None:
        """What other systems write."""
        file = tmp_path / "data.jsonl"
        first, second = (json.dumps(row(query=query)).encode() for query in ("How?", "And?"))
        file.write_bytes(b"\xef\xbb\xbf" + first + b"\r\n\r\n  \r\n" + second)
        assert len(load_history(file, user="ann").samples) == 2

    def test_line_separators_inside_a_text(self, tmp_path: Path) -> None:
        """Only a line feed ends a line, whatever else Unicode calls a line break."""
        text = "one\u2028two\x85three"
        file = write(tmp_path, json.dumps(row(response=text), ensure_ascii=False))
        assert load_history(file, user="ann").samples[0].response == text

    def test_the_user_may_be_given_by_the_start(self, tmp_path: Path) -> None:
        """As in every dataset."""
        assert load_history(write(tmp_path, row(), row(user="bob")), user="b").user == "bob"

    def test_an_unknown_user(self, tmp_path: Path) -> None:
        """The message lists who is there."""
        with pytest.raises(DataError, match="'ann'"):
            load_history(write(tmp_path, row()), user="eve")

    def test_users_are_summed_up(self, tmp_path: Path) -> None:
        """Most samples first."""
        rows = (row(conversation="c"), row(conversation="c", query="And?"))
        file = write(tmp_path, row(user="bob"), *rows)
        found = [(u.user, u.n_samples, u.n_conversations) for u in list_users(file)]
        assert found == [("ann", 2, 1), ("bob", 1, 1)]


_PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff", b"[")

BROKEN = [
    ('{"user": "ann"', r"line 2: Invalid JSON: EOF.*at column"),
    ("[1, 2]", r"line 2: should be an object"),
    ("[" * 10_000, r"line 2: Invalid JSON: recursion limit"),
    (row(response=7), r"line 2: field 'response' should be a valid string"),
    (row(user=7), r"line 2: field 'user' should be a valid string"),
    (row(user=" "), r"line 2: field 'user' must not be blank"),
    (row(conversation=""), r"line 2: field 'conversation' must not be blank"),
    ({"user": "a", "query": "q"}, r"line 2: field 'response' is missing"),
    (row(respones="x"), r"line 2: field 'respones' is unknown"),
    (row(time=True), r"line 2: field 'time' should be a valid number"),
    (row(time="soon"), r"line 2: field 'time' .*'soon' is no ISO-8601 time"),
    (row(time="2024-99-01"), r"line 2: field 'time'"),
    (row(time=1.7e12), r"line 2: field 'time' .*milliseconds"),
    (row(time=float("nan")), r"line 2: field 'time' should be a finite number"),
    (row(profile={}), r"line 2: field 'profile' should be a valid"),
    (row(profile=[1]), r"line 2: field 'profile' should be a valid string"),
    (row(authored_by="bot"), r"line 2: field 'authored_by' should be 'user' or 'assistant'"),
    (row(meta="x"), r"line 2: field 'meta'"),
    (row(response="\ud800"), r"line 2: Invalid JSON"),
]


class TestBrokenFiles:
    """Files that cannot be used; the message says where and why."""

    @pytest.mark.parametrize(("line", "message"), BROKEN)
    def test_a_broken_line(
        self, tmp_path: Path, line: dict[str, object] | str, message: str
    ) -> None:
        """Line number, field and reason."""
        with pytest.raises(DataError, match=message):
            load_history(write(tmp_path, row(), line), user="ann")

    def test_every_wrong_field_is_named(self, tmp_path: Path) -> None:
        """A typo is a missing field and an unknown one."""
        line: dict[str, object] = {"user": "a", "query": "q", "respones": "r"}
        with pytest.raises(DataError, match=r"'response' is missing; field 'respones' is unknown"):
            list_users(write(tmp_path, line))

    def test_a_line_of_another_user_counts_too(self, tmp_path: Path) -> None:
        """Which user a broken line belonged to cannot be known."""
        with pytest.raises(DataError, match="line 2"):
            load_history(write(tmp_path, row(), '{"user": "bob"}'), user="ann")

    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    def test_not_utf8(self, tmp_path: Path, bom: bytes) -> None:
        """The byte is counted from the start of the file, a BOM included."""
        file = tmp_path / "data.jsonl"
        first = bom + json.dumps(row()).encode() + b"\n"
        file.write_bytes(first + b'{"user": "\xe9"}')
        with pytest.raises(DataError, match=rf"line 2: not UTF-8 at byte {len(first) + 10} "):
            load_history(file, user="ann")

    def test_the_byte_in_the_first_line_after_a_bom(self, tmp_path: Path) -> None:
        """The BOM's three bytes are part of the file."""
        file = tmp_path / "data.jsonl"
        file.write_bytes(b"\xef\xbb\xbf\xff")
        assert check("jsonl", path=file).problems[0].reason.startswith("not UTF-8 at byte 3 ")

    @pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
    def test_an_empty_file(self, tmp_path: Path, content: bytes) -> None:
        """Blank lines are no content, nor is a BOM."""
        (tmp_path / "data.jsonl").write_bytes(content)
        with pytest.raises(DataError, match="empty file"):
            load_history(tmp_path / "data.jsonl", user="ann")

    @pytest.mark.parametrize("name", ["none.jsonl", "."])
    def test_no_file(self, tmp_path: Path, name: str) -> None:
        """A missing file and a folder."""
        for read in (check, list_users):
            with pytest.raises(DataError, match="must be a dataset or a file"):
                read(tmp_path / name)


class TestCheckFile:
    """The report on a whole file."""

    def test_a_good_file(self, tmp_path: Path) -> None:
        """Lines, users, drops, no problem."""
        report = check(write(tmp_path, row(), "", row(user="bob", response="")))
        assert (report.n_replies, report.n_problems, report.problems) == (2, 0, ())
        assert [(u.user, u.n_samples) for u in report.users] == [("ann", 1), ("bob", 0)]
        assert report.dropped == {"empty response": 1}

    def test_every_broken_line_is_reported(self, tmp_path: Path) -> None:
        """All at once, each with its number; the good lines are still counted."""
        lines = [line for line, _ in BROKEN]
        report = check(write(tmp_path, row(), *lines, row(query="And?")))
        assert report.n_problems == len(lines)
        assert [p.line for p in report.problems] == list(range(2, 2 + len(lines)))
        assert report.users[0].n_samples == 2

    def test_the_list_of_problems_is_cut_but_all_are_counted(self, tmp_path: Path) -> None:
        """Twenty are enough to see what is wrong."""
        report = check("jsonl", path=write(tmp_path, *["{"] * 50))
        assert (len(report.problems), report.n_problems) == (MAX_PROBLEMS, 50)

    def test_an_empty_file_is_a_problem(self, tmp_path: Path) -> None:
        """A report, not an error, where the format is named: the file could be read."""
        (tmp_path / "data.jsonl").write_bytes(b"")
        report = check("jsonl", path=tmp_path / "data.jsonl")
        assert (report.n_replies, report.n_problems) == (0, 1)

    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
    )
    @given(content=st.binary(max_size=200).filter(lambda it: not it.lstrip().startswith(_PACKED)))
    def test_no_content_breaks_it(self, tmp_path: Path, content: bytes) -> None:
        """Any bytes (but of what is packed, and lists) give a report that points into the file."""
        file = tmp_path / "data.jsonl"
        file.write_bytes(content)
        report = check("jsonl", path=file)
        assert report.n_problems <= max(1, content.count(b"\n") + 1)
        assert all(1 <= p.line <= content.count(b"\n") + 1 for p in report.problems)

    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
    )
    @given(texts=st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5))
    def test_texts_come_back_as_they_were(self, tmp_path: Path, texts: list[str]) -> None:
        """Each response is there but for white space at its ends."""
        file = write(tmp_path, *(row(query=f"{i}?", response=t) for i, t in enumerate(texts)))
        responses = [s.response for s in load_history(file, user="ann").samples]
        assert responses == [text.strip() for text in texts if text.strip()]
