"""The beginning of a file tells what it is."""

import json
from pathlib import Path

import pytest

from lorecall.core.unpack import BLOCK
from lorecall.data.catalog import check, load_history, recognised
from lorecall.data.head import head_of, looks_like
from lorecall.errors import DataError

CHAT = "02/05/2024, 19:38 - Ann: shall we go\n02/05/2024, 19:39 - Bob: yes to the sea\n"


def write(folder: Path, content: bytes | str) -> Path:
    """Write a file that has no telling name."""
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestHead:
    """Lines and places of fields."""

    @pytest.mark.parametrize(
        "content",
        [
            '{"a": {"b.c": 1}, "d": [{"e": 2}]}',
            '{\n "a": {\n "b.c": 1}, "d": [{"e": 2}]\n}',
            "{'a': {'b.c': 1}, 'd': [{'e': u'2'}]}",
            '{"a": {"b.c": 1}}\n{"d": [{"e": 2}]}\n',
            '{"a": {"b.c": 1}, "d": [{"e": 2},',
        ],
        ids=["one line", "several", "Python", "lines", "cut"],
    )
    def test_places_are_the_same_in_every_form(self, tmp_path: Path, content: str) -> None:
        """JSON, a value a line, Python literals, and JSON that ends anywhere."""
        head = head_of(write(tmp_path, content))
        assert head.places == {"a", "a.b.c", "d", "d.[].e"}
        assert head.fields() == {"a", "d"}
        assert head.has(r"d\.\[\]\..")
        assert not head.has("d.")

    def test_members_of_a_list_are_none_of_its_fields(self, tmp_path: Path) -> None:
        """The list is no object."""
        head = head_of(write(tmp_path, '[{"a": 1}, [{"b": 2}]]'))
        assert head.places == {"[].a", "[].[].b"}
        assert head.fields() == frozenset()

    def test_only_the_beginning_is_read(self, tmp_path: Path) -> None:
        """A line that is cut off there is no line."""
        head = head_of(write(tmp_path, "one\n\ntwo\n" + "x" * BLOCK))
        assert head.lines == ("one", "two")
        assert len(head.content) == BLOCK

    @pytest.mark.parametrize("opener", ["[", '{"a":', "(", "-"])
    def test_depth_is_no_danger(self, tmp_path: Path, opener: str) -> None:
        """Nor is a megabyte of brackets."""
        assert len(head_of(write(tmp_path, opener * 100_000)).places) <= 6


class TestUnknown:
    """What is no known format is called by what it is."""

    @pytest.mark.parametrize(
        ("content", "got", "next_step"),
        [
            (b" \n", "an empty file", "Check the path"),
            (
                "caf\u00e9 \u00e0 huit heures".encode("cp1252"),
                "not in UTF-8 but in cp1252",
                "UTF-8",
            ),
            ("\u043f\u0440\u0438".encode("koi8-r"), "not in UTF-8", "UTF-8"),
            (b"\x7fELF\0\1", "no text file", "text or JSON file"),
            ("<!DOCTYPE html><p>hi", "an HTML page", "as JSON"),
            ("2024/5/2/7/38 Ann: hi", "dates and times are written in a way", "English"),
            ("a,b,c\n1,2,3\n", "a CSV table with the columns a, b, c", "--data NAME"),
            ("just words\n", "plain text", "NAME --path FILE, learn --data NAME --history FILE"),
            ("[[1, 2]]", "JSON without fields", "as JSONL"),
            ('[{"prompt": "", "@ann_b": 1}]', "fields [handle], prompt", "as JSONL"),
            ('{"prompt": ""}\n' * 3, "JSON objects with the fields prompt", "as JSONL"),
            (json.dumps({f"k{i}": 0 for i in range(20)}), "k0, k1, k10, k11, ", "as JSONL"),
        ],
    )
    def test_what_it_looks_like(
        self, tmp_path: Path, content: bytes | str, got: str, next_step: str
    ) -> None:
        """And what can be done about it."""
        path = write(tmp_path, content)
        looks, step = looks_like(head_of(path))
        assert got in looks
        assert next_step in step
        with pytest.raises(DataError, match=r"of a known format: expected amazon_qa, .*whatsapp"):
            recognised(path)

    def test_what_may_be_two_is_neither(self, tmp_path: Path) -> None:
        """The message names both and how to say which."""
        both = '{"user": "a", "query": "q", "response": "r", "messages": [{"role": "user"}]}'
        with pytest.raises(
            DataError, match=r"may be jsonl and openai\. Name the format: learn --data"
        ):
            recognised(write(tmp_path, both))


class TestEverywhere:
    """A file is taken for what it is wherever one is taken."""

    def test_a_chat_is_a_chat(self, tmp_path: Path) -> None:
        """Not JSONL with as many problems as it has lines."""
        path = write(tmp_path, CHAT)
        summary = check(path)
        assert (summary.n_replies, summary.n_problems) == (1, 0)
        assert load_history(path, user="Bob") == load_history("whatsapp", path=path, user="Bob")

    def test_quoted_rows_are_still_json(self, tmp_path: Path) -> None:
        """Marks of other formats inside a text are no format."""
        said = "### Instruction: go\n### Response: " + CHAT
        messages = [{"role": "user", "content": said}, {"role": "assistant", "content": said}]
        assert recognised(write(tmp_path, json.dumps({"messages": messages}))).name == "openai"

    def test_a_broken_first_line_does_not_hide_the_others(self, tmp_path: Path) -> None:
        """The rows are told, and the broken one is a problem."""
        path = write(tmp_path, '{"user"\n{"user": "a", "query": "q", "response": "r"}\n')
        assert [problem.line for problem in check(path).problems] == [1]

    def test_an_account_of_telegram(self, tmp_path: Path) -> None:
        """Its chats may come after a megabyte of contacts."""
        account = {"about": "Here is", "personal_information": {}, "contacts": {"list": ["x"] * 9}}
        assert recognised(write(tmp_path, json.dumps(account))).name == "telegram"
