"""LaMP's questions and outputs."""

import json
from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, recognised
from lorecall.errors import DataError

HEADLINE = "Generate a headline for the following article: "
TITLE = "Generate a title for the following abstract of a paper: "
MOVIE = "Which tag does this movie relate to among the following tags? tags: [a, b] description: "
NEWS = "Which category does this article relate to? categories: [women, religion] article: "
REVIEW = "What is the score of the following review on a scale of 1 to 5? review: "
TWEET = "Paraphrase the following tweet without any explanation before or after it: "
CITED = 'For an author who has written the paper with the title "x", which reference is related?'


def write(path: Path, value: object) -> Path:
    """Write JSON."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def given(folder: Path, ask: str, *profile: object, output: str = "as it was") -> list[Path]:
    """Write a question of a user, and its output."""
    question = {"id": "110", "input": f"{ask}the last one", "profile": profile}
    golds = [{"id": "110", "output": output}]
    return [
        write(folder / "dev_questions.json", [question]),
        write(folder / "dev_outputs.json", {"task": "LaMP_4", "golds": golds}),
    ]


@pytest.mark.parametrize(
    ("ask", "item", "pair"),
    [
        (HEADLINE, {"text": "one", "title": "One!"}, ("one", "One!")),
        (TITLE, {"abstract": "one", "title": "One!"}, ("one", "One!")),
        (MOVIE, {"description": "one", "tag": "a"}, ("one", "a")),
        (NEWS, {"text": "one", "title": "One!", "category": "women"}, ("one", "women")),
        (REVIEW, {"text": "one", "score": "4"}, ("one", "4")),
        (REVIEW, {"text": "one", "score": 4}, ("one", "4")),
    ],
)
def test_items_are_asked_of_as_the_question_asks(
    tmp_path: Path, ask: str, item: dict[str, object], pair: tuple[str, str]
) -> None:
    """And the question itself is the last pair."""
    paths = given(tmp_path, ask, {"id": "1100", **item})
    assert {recognised(path).name for path in paths} == {"lamp"}
    history = load_history("lamp", path=paths, user="110")
    assert [(s.query, s.response) for s in history.samples] == [
        (ask + pair[0], pair[1]),
        (f"{ask}the last one", "as it was"),
    ]
    assert len({sample.conversation for sample in history.samples}) == 2
    assert not any(sample.earlier for sample in history.samples)


@pytest.mark.parametrize(
    ("ask", "item", "said"),
    [
        (TWEET, {"text": "just a tweet"}, "just a tweet"),
        (CITED, {"title": "One!", "abstract": "one"}, "One!\none"),
    ],
)
def test_items_of_no_one_thing_are_statements(
    tmp_path: Path, ask: str, item: dict[str, object], said: str
) -> None:
    """Of these the question alone is a pair."""
    history = load_history("lamp", path=given(tmp_path, ask, {"id": "1100", **item}))
    assert [sample.response for sample in history.samples] == ["as it was"]
    assert [each.text for each in history.statements] == [said]


def test_dates_order_what_has_them(tmp_path: Path) -> None:
    """A day, or a year; the question comes last."""
    items = (
        {"id": 1, "text": "b", "title": "2013", "date": "2013-05-02"},
        {"id": 2, "text": "a", "title": "2012", "date": 2012},
        {"id": 3, "text": "c", "title": "2014", "date": "2014-1"},
    )
    samples = load_history("lamp", path=given(tmp_path, HEADLINE, *items)).samples
    assert [sample.response for sample in samples] == ["2012", "2013", "2014", "as it was"]


def test_questions_that_hold_their_outputs(tmp_path: Path) -> None:
    """One file is enough, a question a line too; several of one user are one history."""
    rows = [
        {"id": i, "user_id": 7, "input": f"{REVIEW}{i}", "profile": [], "output": str(i)}
        for i in range(3)
    ]
    path = tmp_path / "merged.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    history = load_history(path, user="7")
    assert [sample.response for sample in history.samples] == ["0", "1", "2"]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """Outputs that are not there, items without text, what has another type."""
    paths = given(tmp_path, HEADLINE, {"id": 1}, {"text": 5}, "x")
    write(paths[1], {"task": "LaMP_4", "golds": [{"id": "111", "output": "x"}, 5]})
    summary = check("lamp", path=paths)
    assert summary.n_problems == 3
    assert summary.dropped["question without an output"] == 1
    assert summary.dropped["item without text"] == 1
    with pytest.raises(DataError, match="Give the file of questions too"):
        check("lamp", path=paths[1])
