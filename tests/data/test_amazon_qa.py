"""AmazonQA: made-up files of every kind, and the real ones where they are."""

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lorecall.data.catalog import DATASETS, check, load_history, summarise
from lorecall.data.formats.amazon_qa import ITEM_WORDS, day
from lorecall.data.history import samples_hash, split_history
from lorecall.errors import DataError

ANN, BOB = "A1ANN", "A2BOB"


def product(asin: str, *answers: tuple[str, str, str], asker: str = "A9") -> dict[str, object]:
    """Make a product of one question with (user, text, day) answers."""
    found = [
        {"answererID": user, "answerText": text, "answerTime": f"June {when}, 2014"}
        for user, text, when in answers
    ]
    question = {
        "questionText": f"what of {asin}",
        "askerID": asker,
        "questionTime": "May 1, 2014",
        "answers": found,
    }
    return {"asin": asin, "questions": [question]}


def write(path: Path, *rows: Mapping[str, object] | str, literal: bool = True) -> Path:
    """Write rows as Python literals or as JSON, or lines as they are."""
    as_text = repr if literal else json.dumps
    lines = [row if isinstance(row, str) else as_text(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestQuestions:
    """The multi-answer file."""

    @pytest.mark.parametrize("literal", [True, False])
    def test_an_answer_is_a_pair(self, tmp_path: Path, literal: bool) -> None:  # noqa: FBT001
        """The answerer's, in the product, at its day; no other question comes before."""
        rows = (product("B1", (ANN, "it's fine", "2")), product("B2", (BOB, "no", "3")))
        path = write(tmp_path / "QA.json", *rows, literal=literal)
        (sample,) = load_history("amazon_qa", user=ANN, path=path).samples
        assert (sample.query, sample.response) == ("what of B1", "it's fine")
        assert (sample.conversation, sample.authored_by, sample.earlier) == ("B1", "user", ())
        assert sample.time == day("June 2, 2014")

    def test_answers_are_in_time_order(self, tmp_path: Path) -> None:
        """Products by the user's first answer."""
        rows = [product(f"B{n}", (ANN, f"a{n}", str(n))) for n in (9, 2, 5)]
        history = load_history("amazon_qa", user=ANN, path=write(tmp_path / "QA.json", *rows))
        assert [sample.conversation for sample in history.samples] == ["B2", "B5", "B9"]

    def test_a_question_is_what_its_asker_said(self, tmp_path: Path) -> None:
        """A statement of a user who answered elsewhere; no user by itself."""
        rows = (product("B1", (ANN, "yes", "1")), product("B2", (BOB, "no", "1"), asker=ANN))
        path = write(tmp_path / "QA.json", *rows)
        history = load_history("amazon_qa", user=ANN, path=path)
        assert [said.text for said in history.statements] == ["what of B2"]
        assert summarise("amazon_qa", path=path).n_users == 2

    def test_an_answer_given_twice_counts_once(self, tmp_path: Path) -> None:
        """By the same user, to whatever question; another case is another answer."""
        answers = [(ANN, text, "1") for text in ("Yes", "Yes", "yes")]
        rows = (product("B1", *answers, (BOB, "Yes", "1")), product("B2", (ANN, "Yes", "2")))
        summary = summarise("amazon_qa", path=write(tmp_path / "QA.json", *rows))
        assert summary.dropped == {"repeated response": 2}
        assert summary.totals.n_samples == 3

    def test_nobody_in_particular_is_no_user(self, tmp_path: Path) -> None:
        """One id stands for many people; it is no history."""
        rows = (product("B1", ("1", "yes", "1"), (ANN, "no", "1"), asker="1"),)
        summary = summarise("amazon_qa", path=write(tmp_path / "QA.json", *rows))
        assert [user.user for user in summary.users] == [ANN]
        assert summary.dropped == {"answer of nobody in particular": 1}

    def test_broken_parts_are_counted_and_the_rest_is_kept(self, tmp_path: Path) -> None:
        """A line, a product, a question, an answer: each alone."""
        good = product("B1", (ANN, "yes", "1"))
        questions = [
            {
                "questionText": "q",
                "answers": [5, {"answererID": ANN}, {"answererID": ANN, "answerText": "a"}],
            },
            {"questionText": 5, "answers": []},
            None,
        ]
        rows = (good, "{'asin': ", {"questions": []}, {"asin": "B2", "questions": questions}, "7")
        summary = check("amazon_qa", path=write(tmp_path / "QA.json", *rows))
        assert summary.dropped == {
            "neither JSON nor a Python literal": 1,
            "broken product": 2,
            "broken answer": 2,
            "broken question": 2,
        }
        assert summary.totals.n_samples == 2
        assert {problem.line for problem in summary.problems} == {2, 3, 4, 5}
        assert "'answerText' is missing" in " ".join(p.reason for p in summary.problems)


class TestJoin:
    """Reviews and items beside the questions."""

    @pytest.fixture
    def paths(self, tmp_path: Path) -> list[Path]:
        """Return the three files, questions last."""
        reviews = (
            {
                "reviewerID": ANN,
                "asin": "B7",
                "reviewText": "Great",
                "summary": "Five",
                "unixReviewTime": 5,
            },
            {"reviewerID": BOB, "asin": "B7", "reviewText": "Bad"},
            {"reviewerID": "A3EVE", "asin": "B7", "reviewText": "Never answered"},
            {"asin": "B7"},
        )
        words = " ".join(f"w{n}" for n in range(100))
        items = (
            {"asin": "B1", "title": "A lamp", "description": words},
            {"asin": 5},
            {"asin": "B2"},
        )
        return [
            write(tmp_path / "a.json", *items),
            write(tmp_path / "b.json", *reviews, literal=False),
            write(
                tmp_path / "c.json",
                product("B1", (ANN, "yes", "1")),
                product("B2", (ANN, "no", "2")),
            ),
        ]

    def test_reviews_are_the_users_statements(self, paths: list[Path]) -> None:
        """Only of the user, with the time; a broken one is counted."""
        history = load_history("amazon_qa", user=ANN, path=paths)
        (review,) = history.statements
        assert (review.text, review.conversation, review.time) == ("Five Great", "B7", 5.0)
        assert history.dropped == {"broken review": 1, "broken item": 1}

    def test_the_item_comes_before_the_question(self, paths: list[Path]) -> None:
        """Title and the beginning of the description, as a turn of the other side."""
        first, second = load_history("amazon_qa", user=ANN, path=paths).samples
        (turn,) = first.earlier
        assert turn.text.startswith("A lamp. w0 w1 ")
        assert len(turn.text.split()) == ITEM_WORDS
        assert not turn.by_author
        assert second.earlier == ()

    def test_a_pool_has_them_too(self, paths: list[Path]) -> None:
        """Reviewers who never answered are not in it."""
        pool = load_history("amazon_qa", user="pooled", path=paths)
        assert [said.text for said in pool.statements] == ["Five Great"]
        assert pool.samples[0].earlier[0].text.startswith("A lamp.")


class TestRefusals:
    """Files that cannot be used say why."""

    def test_single_answers(self, tmp_path: Path) -> None:
        """Nobody knows whose they are."""
        path = write(tmp_path / "qa.json", {"asin": "B", "question": "q", "answer": "a"})
        with pytest.raises(DataError, match=r"single-answer file .*, which has no user ids"):
            summarise("amazon_qa", path=path)

    def test_a_table_in_gzip(self, tmp_path: Path) -> None:
        """Whatever its name says."""
        path = tmp_path / "reviews_Things_5.json.gz"
        path.write_bytes(gzip.compress(b"reviewerID,asin,reviewText\nA1,B1,fine\n"))
        with pytest.raises(
            DataError, match="a CSV table with the columns reviewerID, asin, review"
        ):
            summarise("amazon_qa", path=path)

    @pytest.mark.parametrize("content", ["", "hello, world\n", "[1, 2]\n", "{}\n"])
    def test_anything_else(self, tmp_path: Path, content: str) -> None:
        """The message says what is expected."""
        (tmp_path / "x").write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match="expected multi-answer questions"):
            summarise("amazon_qa", path=tmp_path / "x")


class TestDay:
    """Dates as Amazon writes them."""

    @pytest.mark.parametrize("text", ["June 2, 2014", "Jun 2, 2014", "jun. 02, 2014 "])
    def test_one_day(self, text: str) -> None:
        """At midnight UTC, in whatever locale."""
        assert day(text) == 1401667200.0

    @pytest.mark.parametrize(
        "text", [None, "", "Juno 31, 2014", "June 31, 2014", "2014", "Foo 1, 2014"]
    )
    def test_no_day(self, text: str | None) -> None:
        """Unknown, not an error."""
        assert day(text) is None


class TestRealFiles:
    """The facts of SPEC section 5."""

    @pytest.fixture
    def path(self, real_file: Callable[[str], Path]) -> Path:
        """Return the questions on video games."""
        return real_file("QA_Video_Games.json.gz")

    def test_counts_and_drops(self, path: Path) -> None:
        """28,893 answers of 23,825 ids, one of which is nobody's; 458 given before."""
        entry = DATASETS["amazon_qa"]
        summary = check("amazon_qa", path=path)
        assert summary.dropped == {"repeated response": 458, "answer of nobody in particular": 11}
        assert summary.n_replies + 11 == entry.n_replies == 28_893
        assert summary.n_users + 1 == entry.n_users == 23_825
        assert (summary.n_problems, summary.totals.n_samples) == (0, 28_424)
        assert [(u.user, u.n_samples) for u in summary.users[:2]] == [
            ("A1NXTWYS0Y6VAQ", 46),
            ("A2O51DY7OGM8QD", 21),
        ]

    def test_the_pool(self, path: Path) -> None:
        """Parts near 70/10/20, of different users, the same for a seed on every machine."""
        pool = load_history("amazon_qa", user="pooled", path=path)
        split = split_history(pool)
        sizes = [len(part) for part in (split.train, split.valid, split.test)]
        assert sizes == [19_228, 2_748, 5_494]
        parts = [
            {sample.user for sample in part} for part in (split.train, split.valid, split.test)
        ]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 23_122
        assert samples_hash(split.test)[:16] == "b903d373aa965bd1"
        assert pool.dropped["pair that another user has"] == 954

    def test_first_and_last_record(self, path: Path) -> None:
        """The first answer of the file and its last, by whose they are and by their hash."""
        first = load_history("amazon_qa", user="AH14F9TYDABNH", path=path).samples[0]
        last = load_history("amazon_qa", user="ARR5TN6Y7R824", path=path).samples[-1]
        assert (first.conversation, first.id) == ("B0000512IE", "fe2d566d056fbcdf")
        assert (last.conversation, last.id) == ("B00K4S9C9I", "81ef3c3bd60db894")

    def test_what_is_refused(self, real_file: Callable[[str], Path]) -> None:
        """Single answers, and reviews that are a table."""
        with pytest.raises(DataError, match="no user ids"):
            summarise("amazon_qa", path=real_file("qa_Appliances.json.gz"))
        with pytest.raises(DataError, match="a CSV table with the columns reviewerID, asin"):
            summarise("amazon_qa", path=real_file("reviews_Video_Games_5.json.gz"))
