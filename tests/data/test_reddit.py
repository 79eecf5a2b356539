"""Reddit's two formats, and a real file of the first."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.data.catalog import DATASETS, check, load_history, summarise
from lorecall.data.history import split_history
from lorecall.errors import DataError


def write(folder: Path, *lines: str) -> Path:
    """Write lines."""
    (folder / "file.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "file.txt"


class TestSamples:
    """`post###response###history`."""

    def test_equal_histories_are_one_user(self, tmp_path: Path) -> None:
        """Whose texts are said once, and the lines are conversations of their own."""
        path = write(tmp_path, "p1###r1###old\tnewer", "p2###r2###other", "p3###r3###old\tnewer")
        summary = summarise("reddit", path=path)
        assert [user.n_samples for user in summary.users] == [2, 1]
        history = load_history("reddit", user=summary.users[0].user, path=path)
        assert [(s.query, s.response, s.conversation) for s in history.samples] == [
            ("p1", "r1", "line 1"),
            ("p3", "r3", "line 3"),
        ]
        assert [said.text for said in history.statements] == ["old", "newer"]

    def test_lines_without_a_history_are_users_of_their_own(self, tmp_path: Path) -> None:
        """Nothing says that they are one person's."""
        users = summarise("reddit", path=write(tmp_path, "p1###r1###", "p2###r2### ")).users
        assert [user.user for user in users] == ["line 1", "line 2"]

    def test_other_lines_are_counted(self, tmp_path: Path) -> None:
        """Too few parts, and too many."""
        path = write(tmp_path, "p###r###h", "p###r", "p###r###h###x", "nothing")
        summary = check("reddit", path=path)
        assert summary.dropped == {"not post###response###history": 3}
        assert [problem.line for problem in summary.problems] == [2, 3, 4]
        assert summary.problems[0].reason == "2 parts by ###"


class TestResponses:
    """8 fields joined by TABs."""

    def test_the_author_is_the_user(self, tmp_path: Path) -> None:
        """Responses in time order, to a post as a conversation."""
        lines = (
            "post two\tbob\t5\tlater\tann\t20\tx\ty",
            "post one\tbob\t5\tsooner\tann\t1970-01-01T00:00:10\t\t",
            "post one\tbob\t5\tanother's\teve\t7\t\t",
        )
        history = load_history("reddit", user="ann", path=write(tmp_path, *lines))
        assert [(s.query, s.response, s.time) for s in history.samples] == [
            ("post one", "sooner", 10.0),
            ("post two", "later", 20.0),
        ]
        assert len({s.conversation for s in history.samples}) == 2

    def test_a_folder_of_users(self, tmp_path: Path) -> None:
        """A file each."""
        for user in ("ann", "bob"):
            line = f"post\tx\t1\tanswer of {user}\t{user}\t2\t\t\n"
            (tmp_path / f"{user}.txt").write_text(line, encoding="utf-8")
        assert [u.user for u in summarise("reddit", path=tmp_path).users] == ["ann", "bob"]

    def test_other_lines_are_counted(self, tmp_path: Path) -> None:
        """Fields that are missing, and an author."""
        good = "post\tx\t1\tanswer\tann\t2\t\t"
        summary = check("reddit", path=write(tmp_path, good, "post\tx", "p\tx\t1\tr\t \t2\t\t"))
        assert summary.dropped == {"not 8 fields": 1, "no author": 1}


@pytest.mark.parametrize("content", ["", "\n", "one###two\n", "a\tb\n", "text\n"])
def test_a_file_of_neither_format_is_refused(tmp_path: Path, content: str) -> None:
    """The first line decides."""
    (tmp_path / "x").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="expected lines of post###response###history, or of 8"):
        summarise("reddit", path=tmp_path / "x")


def test_the_real_file(real_file: Callable[[str], Path]) -> None:
    """1,498 lines, each with a history of its own; first and last record by their hashes."""
    path = real_file("msp_sample_1498.txt")
    entry, summary = DATASETS["reddit"], check("reddit", path=path)
    assert (
        (summary.n_replies, summary.n_users) == (entry.n_replies, entry.n_users) == (1_498, 1_498)
    )
    assert (summary.n_problems, dict(summary.dropped)) == (0, {})
    pool = load_history("reddit", user="pooled", path=path)
    ends = {
        s.user: s.id
        for s in pool.samples
        if s.user in ("history-e89ed65d6217", "history-65521f873664")
    }
    assert ends == {
        "history-e89ed65d6217": "25e16093bf6c51e5",
        "history-65521f873664": "4b317d4d3289eb36",
    }
    split = split_history(pool)
    assert [len(part) for part in (split.train, split.valid, split.test)] == [1_049, 149, 300]
