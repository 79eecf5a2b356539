"""Alpaca, and prompts with completions."""

import json
from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, recognised
from lorecall.errors import DataError


def write(folder: Path, *rows: object, lines: bool = True) -> Path:
    """Write rows, one a line or as a list."""
    text = "".join(json.dumps(row) + "\n" for row in rows) if lines else json.dumps(rows, indent=1)
    (folder / "rows").write_text(text, encoding="utf-8")
    return folder / "rows"


def pairs(path: Path) -> list[tuple[str, str]]:
    """Return what the only user there was told."""
    return [(sample.query, sample.response) for sample in load_history(path).samples]


@pytest.mark.parametrize("lines", [True, False])
def test_alpaca(tmp_path: Path, *, lines: bool) -> None:
    """An input stands below the instruction; rounds of a history are pairs before it."""
    path = write(
        tmp_path,
        {"instruction": "Translate.", "input": "ja", "output": "yes", "history": []},
        {"instruction": "again?", "input": "", "output": "no", "history": [["once?", "yes"]]},
        lines=lines,
    )
    assert recognised(path).name == "instructions"
    assert pairs(path) == [("Translate.\nja", "yes"), ("once?", "yes"), ("again?", "no")]
    assert {s.authored_by for s in load_history(path).samples} == {"assistant"}


def test_prompt_and_completion(tmp_path: Path) -> None:
    """Texts, or messages with roles; a row may name its user."""
    path = write(
        tmp_path,
        {"prompt": "leeks?", "completion": " soup", "user": 7},
        {
            "prompt": [{"role": "system", "content": "brief"}, {"role": "user", "content": "pie?"}],
            "completion": [{"role": "assistant", "content": "<think>no</think>yes"}],
            "user": 7,
        },
    )
    assert pairs(path) == [("leeks?", "soup"), ("pie?", "yes")]
    assert load_history(path).user == "7"


def test_what_is_marked_as_no_good_is_not_learnt(tmp_path: Path) -> None:
    """The question stays one that was asked."""
    good = {"prompt": "leeks?", "completion": "soup", "label": True}
    path = write(tmp_path, good, {"prompt": "pie?", "completion": "no", "label": False})
    history = load_history(path)
    assert [(s.query, s.response) for s in history.samples] == [("leeks?", "soup")]
    assert [said.text for said in history.statements] == ["pie?"]


def test_a_history_that_comes_again_counts_once(tmp_path: Path) -> None:
    """Each row may hold all rounds before its own."""
    told = ["what goes with leeks and butter in a soup?", "potatoes go with it"]
    path = write(
        tmp_path,
        {"instruction": told[0], "output": told[1]},
        {"instruction": "else?", "output": "bread", "history": [told]},
    )
    assert pairs(path) == [tuple(told), ("else?", "bread")]
    assert load_history(path).dropped["pair given before"] == 1


def test_what_is_broken_is_counted(tmp_path: Path) -> None:
    """A row that lacks a side, one of another type, a line that is none, an empty answer."""
    path = write(tmp_path, {"prompt": "x"}, {"prompt": 5, "completion": "y"}, 7)
    path.write_text(path.read_text() + '{"prompt": "x", "completion": ""}\n{"prompt"\n')
    found = check("instructions", path=path)
    assert (found.n_problems, found.n_replies) == (4, 0)
    assert found.dropped["message without text"] == 1


def test_no_rows(tmp_path: Path) -> None:
    """The message says what is read."""
    with pytest.raises(DataError, match="pairs of prompt and completion"):
        load_history("instructions", path=write(tmp_path))
