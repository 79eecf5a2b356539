"""Files of pairs: written, read back, and every way to break one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.core.jsonl import write_records
from lorecall.errors import DataError
from lorecall.judge.pairs import Pair, read_pairs
from lorecall.records import Turn

MakePair = Callable[..., Pair]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LINE = {
    "id": "1",
    "user": "u",
    "query": "q",
    "truth": "t",
    "system_a": "a",
    "system_b": "b",
    "response_a": "x",
    "response_b": "y",
}


def write(path: Path, *lines: dict[str, Any]) -> Path:
    """Write lines to a file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_what_is_written_is_read(tmp_path: Path, make_pair: MakePair) -> None:
    """Every field, in order, whatever the texts hold."""
    pairs = [
        make_pair(
            "p",
            earlier=(Turn(by_author=True, text="é\u2028🙂"), Turn(by_author=False, text="")),
            user_content=("a\nb", "c"),
            authored_by="assistant",
        ),
        make_pair("q"),
    ]
    write_records(tmp_path / "pairs.jsonl", pairs)
    assert read_pairs(tmp_path / "pairs.jsonl") == pairs


@given(texts=st.tuples(TEXT, TEXT, TEXT))
def test_any_text_survives(texts: tuple[str, str, str], tmp_path: Path) -> None:
    """Line separators of every alphabet among them."""
    path = tmp_path / "pairs.jsonl"
    query, response, content = texts
    pair = Pair(**(LINE | {"query": query, "response_a": response}), user_content=(content,))
    write_records(path, [pair])
    assert read_pairs(path) == [pair]


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    """As editors leave them."""
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n\r\n \n")
    (pair,) = read_pairs(path)
    assert (pair.response_a, pair.earlier, pair.authored_by) == ("x", (), "user")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"query": None}, "line 2: field 'query' should be a valid string"),
        ({"queri": "q"}, "line 2: field 'queri' is unknown"),
        ({"user_content": "not a list"}, "field 'user_content'"),
        ({"earlier": [{"text": "no author"}]}, "field 'earlier'"),
        ({"authored_by": "nobody"}, "field 'authored_by'"),
        ({"system_b": "a"}, "one in pair '2'"),
        ({"id": "1"}, "'1' more than once"),
    ],
)
def test_a_broken_line_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """With what is wrong with it."""
    path = write(tmp_path / "pairs.jsonl", LINE, LINE | {"id": "2"} | change)
    with pytest.raises(DataError) as refused:
        read_pairs(path)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"\n\n", "an empty file"),
        (b"{}", "line 1: "),
        (b"[1]", "line 1: "),
        (b'{"id": "\xff"}', "line 1: not UTF-8"),
        (b'{"id"', "Invalid JSON"),
    ],
)
def test_a_file_of_something_else_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    """In one line."""
    (tmp_path / "pairs.jsonl").write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_pairs(tmp_path / "pairs.jsonl")
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(DataError, match=r"nothing\.jsonl"):
        read_pairs(tmp_path / "nothing.jsonl")
