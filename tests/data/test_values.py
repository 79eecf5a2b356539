"""Values inside big JSON files."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.data import scanner
from lorecall.data.values import MAX_DEPTH, Place, _parsed, members, values
from lorecall.errors import DataError

_LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"))
)
JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


def write(folder: Path, content: str) -> Path:
    """Write a file."""
    (folder / "file.json").write_text(content, encoding="utf-8")
    return folder / "file.json"


def outcome(found: Iterator[tuple[Place, object]]) -> list[object]:
    """Return what is found, up to an error."""
    each: list[object] = []
    try:
        each.extend(found)
    except DataError as reason:
        each.append(str(reason))
    return each


class TestValues:
    """Where a value is, and what it is."""

    @given(value=JSON)
    def test_the_whole_file_is_what_json_says(self, tmp_path: Path, value: object) -> None:
        """The reference is the standard library."""
        path = write(tmp_path, json.dumps(value))
        assert list(values(path, wanted=lambda place: place == ())) == [((), value)]

    @given(value=st.lists(JSON) | st.dictionaries(st.text(st.characters(codec="utf-8")), JSON))
    def test_members_are_those_json_finds(self, tmp_path: Path, value: object) -> None:
        """Of a list and of an object, in their order."""
        path = write(tmp_path, json.dumps(value))
        expected = list(value.items()) if isinstance(value, dict) else [(None, v) for v in value]
        assert [(place[0], member) for place, member in members(path)] == expected

    @pytest.mark.parametrize(
        "content",
        [
            *('[{"a": [1, 2.5, {}]}, "x", null]', '{"a": {}, "b": [], "": 1}', " 5 ", '"x"', "[]"),
            *(
                '["a\\ud83d\\ude00", "\\ud800"]',
                "[1,\v2]",
                "[1, 2",
                "[1 2]",
                '[{"a": 1,}]',
                "[1e5]",
            ),
            *(
                '{"a" 1}',
                '{"a": 1]',
                "[1.5.2]",
                "[12e]",
                "[tru]",
                '["a\tb"]',
                "[-0, 01]",
                '{"a": [}',
            ),
            *(f"[{'[' * 99}{']' * 99}]", f"[{'[' * 130}{']' * 130}]", '["\\\\ud83d", 2]', "[NaN]"),
        ],
    )
    def test_both_ways_find_the_same(
        self, tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Wherever what was read so far ends, and whatever is wanted."""
        path = write(tmp_path, content)
        for depth in range(3):
            plain = outcome(_parsed(path, lambda place, n=depth: len(place) == n))
            for block in (1, 2, 3, 7, 1 << 18):
                monkeypatch.setattr(scanner, "_BLOCK", block)
                assert outcome(values(path, wanted=lambda place, n=depth: len(place) == n)) == plain

    def test_places_inside_others(self, tmp_path: Path) -> None:
        """Wanted values come in the order of the file, others are passed over."""
        path = write(tmp_path, '{"a": [{"b": 1, "c": [2]}, {"b": {"b": 3}}], "b": [[4]]}')
        found = list(values(path, wanted=lambda place: place[-1:] == ("b",)))
        assert found == [
            (("a", None, "b"), 1),
            (("a", None, "b"), {"b": 3}),
            (("b",), [[4]]),
        ]

    @pytest.mark.parametrize(
        "content",
        ["", "[", "[1,]", "[1] 2", "{'a': 1}", "[NaN]", "[1e999]", "[" + "9" * 5000, "\0"],
    )
    def test_no_json(self, tmp_path: Path, content: str) -> None:
        """One line, whatever the parser's own message."""
        with pytest.raises(DataError, match="no JSON") as raised:
            list(members(write(tmp_path, content)))
        assert "\n" not in str(raised.value)

    def test_the_error_shows_nothing_of_the_text(self, tmp_path: Path) -> None:
        """The parser quotes what stands around the fault, cut anywhere."""
        path = write(tmp_path, '[{"text": "write to ada.lane@example.org \\x0C"}]')
        with pytest.raises(DataError, match="no JSON") as raised:
            list(members(path))
        assert not any(word in str(raised.value) for word in ("write", "lane", "example"))

    @pytest.mark.parametrize("opener", ["[", '{"a":'])
    @pytest.mark.parametrize("depth", [0, 1, 10**9])
    def test_too_deep(self, tmp_path: Path, opener: str, depth: int) -> None:
        """A wanted value or the way to it: in little memory, and no recursion."""
        path = write(tmp_path, opener * 100_000)
        tracemalloc.start()
        with pytest.raises(DataError, match="nested deeper"):
            list(values(path, wanted=lambda place: len(place) == depth))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5_000_000

    def test_deep_enough(self, tmp_path: Path) -> None:
        """No format needs more than a few."""
        depth = MAX_DEPTH - 1
        (found,) = members(write(tmp_path, "[" * depth + "]" * depth))
        assert found[0] == (None,)
