"""Parallel files: which belong together, and whose they are."""

from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, summarise
from lorecall.errors import DataError
from lorecall.records import Turn

NAME = "amazon_qa_processed"


def write(folder: Path, part: str, *rows: tuple[str, str, str, str]) -> Path:
    """Write (src, tgt, fact, pers) rows."""
    folder.mkdir(exist_ok=True)
    for side, column in zip(("src", "tgt", "fact", "pers"), zip(*rows, strict=True), strict=True):
        (folder / f"{part}.{side}").write_text("\n".join(column) + "\n", encoding="utf-8")
    return folder


ANN, BOB = "['I like tea.', 'mine is red']", '["it\'s cold"]'


class TestRows:
    """Lines of one number are a pair."""

    def test_a_folder_is_all_its_parts(self, tmp_path: Path) -> None:
        """Training part first; other files in it do not matter."""
        write(tmp_path, "test", ("q3", "a3", "[]", ANN))
        write(tmp_path, "train", ("q1", "a1", "['of tin', 'small']", ANN), ("q2", "a2", "[]", BOB))
        (tmp_path / "README.md").touch()
        summary = summarise(NAME, path=tmp_path)
        assert [user.n_samples for user in summary.users] == [2, 1]
        history = load_history(NAME, user=summary.users[0].user, path=tmp_path)
        assert [sample.conversation for sample in history.samples] == ["train 1", "test 1"]

    def test_facts_come_before_the_question(self, tmp_path: Path) -> None:
        """As one turn of the other side."""
        write(tmp_path, "train", ("q1", "a1", "['of tin', 'small']", ANN))
        (sample,) = load_history(NAME, user="pers-", path=tmp_path).samples
        assert sample.earlier == (Turn(by_author=False, text="of tin small"),)

    def test_what_the_user_wrote_is_said_once(self, tmp_path: Path) -> None:
        """However many pairs it comes with."""
        write(tmp_path, "train", ("q1", "a1", "[]", ANN), ("q2", "a2", "[]", ANN))
        history = load_history(NAME, user="pers-", path=tmp_path)
        assert [said.text for said in history.statements] == ["I like tea.", "mine is red"]
        assert summarise(NAME, path=tmp_path).users[0].n_texts == 4

    def test_rows_of_unknown_authors_are_users_of_their_own(self, tmp_path: Path) -> None:
        """An empty list says nothing about who it is."""
        write(tmp_path, "train", ("q1", "a1", "[]", "[]"), ("q2", "a2", "[]", "[]"))
        users = summarise(NAME, path=tmp_path).users
        assert [user.user for user in users] == ["train 1", "train 2"]

    def test_facts_may_be_missing(self, tmp_path: Path) -> None:
        """The other three must be there."""
        write(tmp_path, "train", ("q1", "a1", "[]", ANN))
        (tmp_path / "train.fact").unlink()
        assert summarise(NAME, path=tmp_path).n_replies == 1

    def test_blank_lines_are_rows(self, tmp_path: Path) -> None:
        """They keep the others in line; an empty answer is no sample."""
        write(tmp_path, "train", ("q1", "", "[]", ANN), ("q2", "a2", "[]", ANN))
        history = load_history(NAME, user="pers-", path=tmp_path)
        assert [sample.query for sample in history.samples] == ["q2"]
        assert history.dropped == {"empty response": 1}

    @pytest.mark.parametrize(
        "pers", ["", "[", "{}", "'text'", "[1]", "[['x']]", "print('x')", r"['\ud800']", "None"]
    )
    def test_what_is_no_list_of_texts_is_a_drop(self, tmp_path: Path, pers: str) -> None:
        """The row is counted; nothing is evaluated."""
        write(tmp_path, "train", ("q1", "a1", "[]", pers), ("q2", "a2", "[]", ANN))
        summary = check(NAME, path=tmp_path)
        assert summary.dropped == {"pers is no list of texts": 1}
        assert (summary.n_replies, summary.problems[0].line) == (1, 1)


class TestRefusals:
    """Files that do not belong together."""

    def test_line_counts_must_agree(self, tmp_path: Path) -> None:
        """The message gives them."""
        write(tmp_path, "train", ("q1", "a1", "[]", ANN), ("q2", "a2", "[]", ANN))
        (tmp_path / "train.tgt").write_text("a1\n", encoding="utf-8")
        with pytest.raises(DataError, match="got 2 in src, 1 in tgt, 2 in pers, 2 in fact"):
            summarise(NAME, path=tmp_path)

    def test_a_missing_side_is_named(self, tmp_path: Path) -> None:
        """It may be elsewhere."""
        write(tmp_path, "train", ("q1", "a1", "[]", ANN))
        with pytest.raises(DataError, match=r"got no train\.tgt, train\.pers"):
            summarise(NAME, path=tmp_path / "train.src")

    def test_two_of_one_name(self, tmp_path: Path) -> None:
        """Which belongs to the others cannot be known."""
        for name in ("a", "b"):
            write(tmp_path / name, "train", ("q1", "a1", "[]", ANN))
        with pytest.raises(DataError, match=r"got another train\.fact"):
            summarise(NAME, path=[tmp_path / "a", tmp_path / "b"])

    def test_other_names(self, tmp_path: Path) -> None:
        """A file, and a folder of others."""
        (tmp_path / "train.txt").touch()
        for path in (tmp_path / "train.txt", tmp_path):
            with pytest.raises(DataError, match=r"expected \{train,valid,test\}"):
                summarise(NAME, path=path)
