"""Blind sheets: what is drawn, what is written, what is kept from raters."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.errors import ConfigError, DataError, RunError
from lorecall.judge.pairs import Pair
from lorecall.judge.sheet import COLUMNS, make_sheet, read_key, sheet_page, write_sheet
from lorecall.records import Turn

MakePair = Callable[..., Pair]


@pytest.fixture
def pairs(make_pair: MakePair) -> list[Pair]:
    """Give 40 pairs."""
    return [make_pair(f"p{i}", user="zora", user_content=(f"I am {i}",)) for i in range(40)]


def table(folder: Path) -> list[list[str]]:
    """Read the CSV of a sheet."""
    text = (folder / "sheet.csv").read_text(encoding="utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


class TestMakeSheet:
    """What is drawn."""

    def test_sides_and_order_are_random_and_the_key_knows(self, pairs: list[Pair]) -> None:
        """Each pair once; `first` says whose response is shown first."""
        sheet = make_sheet(pairs, n=40)
        assert sorted(entry.id for entry in sheet.key.pairs) == sorted(pair.id for pair in pairs)
        assert [entry.id for entry in sheet.key.pairs] != [pair.id for pair in pairs]
        for entry, shown in zip(sheet.key.pairs, sheet.items, strict=True):
            assert shown.first == f"{entry.first} of {entry.id}"
        assert 8 < sum(entry.first == "a" for entry in sheet.key.pairs) < 32

    def test_it_is_seeded(self, pairs: list[Pair]) -> None:
        """The same seed gives the same sheet; another one another, with another name."""
        one, other = make_sheet(pairs, n=9, seed=1), make_sheet(pairs, n=9, seed=2)
        assert make_sheet(pairs, n=9, seed=1) == one
        assert one.key.sheet != other.key.sheet
        assert [e.pair for e in one.key.pairs] == list(range(1, 10))

    @pytest.mark.parametrize("n", [0, -1, 41])
    def test_more_pairs_than_there_are_cannot_be_drawn(self, n: int, pairs: list[Pair]) -> None:
        """Nor none."""
        with pytest.raises(ConfigError, match="a number from 1 to 40"):
            make_sheet(pairs, n=n)


class TestWriteSheet:
    """The three files."""

    def test_the_csv_holds_what_a_judge_sees(self, pairs: list[Pair], tmp_path: Path) -> None:
        """A row a pair, its label empty."""
        sheet = make_sheet(pairs, n=5)
        write_sheet(sheet, tmp_path / "out")
        header, *rows = table(tmp_path / "out")
        assert tuple(header) == COLUMNS
        for row, shown in zip(rows, sheet.items, strict=True):
            assert row[0] == sheet.key.sheet
            assert shown.query in row[2]
            assert row[3] == shown.user_content[0]
            assert row[5:] == [shown.first, shown.second, ""]

    def test_systems_truth_and_ids_are_in_the_key_alone(
        self, pairs: list[Pair], tmp_path: Path
    ) -> None:
        """And the key is a file of its own."""
        write_sheet(make_sheet(pairs, n=5), tmp_path / "out")
        assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
            "key.json",
            "sheet.csv",
            "sheet.html",
        ]
        for name in ("sheet.csv", "sheet.html"):
            content = (tmp_path / "out" / name).read_text()
            for hidden in ("memory", "vanilla", "truth of", "zora"):
                assert hidden not in content
        assert "vanilla" in (tmp_path / "out" / "key.json").read_text()

    def test_texts_are_masked(self, make_pair: MakePair, tmp_path: Path) -> None:
        """In both."""
        address = "ada@example.org"
        earlier = (Turn(by_author=True, text=address),)
        pair = make_pair(query=address, response_a=address, earlier=earlier)
        write_sheet(make_sheet([pair], n=1), tmp_path / "out")
        for name in ("sheet.csv", "sheet.html"):
            content = (tmp_path / "out" / name).read_text()
            assert address not in content
            assert content.count("[e-mail]") == 3

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
    def test_a_formula_stays_a_text(self, text: str, make_pair: MakePair, tmp_path: Path) -> None:
        """A spreadsheet runs what starts so."""
        write_sheet(make_sheet([make_pair(response_a=text)], n=1), tmp_path / "out")
        cells = table(tmp_path / "out")[1]
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)

    def test_a_folder_with_labels_is_left_alone(self, pairs: list[Pair], tmp_path: Path) -> None:
        """An empty one is taken."""
        sheet = make_sheet(pairs, n=5)
        (tmp_path / "out").mkdir()
        write_sheet(sheet, tmp_path / "out")
        (tmp_path / "out" / "ann.csv").write_text("labels")
        with pytest.raises(RunError, match="folder of its own"):
            write_sheet(sheet, tmp_path / "out")
        assert (tmp_path / "out" / "ann.csv").read_text() == "labels"


class TestPage:
    """The HTML; how it behaves is tested in a browser."""

    def test_nothing_in_a_text_is_markup(self, make_pair: MakePair) -> None:
        """Texts are JSON inside a script element, which they cannot end."""
        evil = "</script><script>alert(1)</script><!-- <b>&amp;"
        page = sheet_page(make_sheet([make_pair(response_a=evil, user_content=(evil,))], n=1))
        assert "<script>alert" not in page
        assert "<!-- <b>" not in page
        start = page.index('id="sheet">') + len('id="sheet">')
        held = json.loads(page[start : page.index("</script>", start)])
        assert evil in held["pairs"][0]["responses"]
        assert held["pairs"][0]["content"] == [evil]

    def test_it_refers_to_nothing_elsewhere(self, pairs: list[Pair]) -> None:
        """One file, offline, and the browser is told to fetch nothing."""
        page = sheet_page(make_sheet(pairs, n=5))
        assert "default-src 'none'" in page
        for reference in ("http://", "https://", " src=", "url(", "@import"):
            assert reference not in page


class TestKey:
    """Reading the key back."""

    def test_what_is_written_is_read(self, pairs: list[Pair], tmp_path: Path) -> None:
        """All of it."""
        sheet = make_sheet(pairs, n=5)
        write_sheet(sheet, tmp_path / "out")
        assert read_key(tmp_path / "out" / "key.json") == sheet.key

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"sheet": "s", "seed": 0, "pairs": [1]}'])
    def test_what_is_no_key_is_refused(self, content: str, tmp_path: Path) -> None:
        """In one line that says where a key comes from."""
        (tmp_path / "key.json").write_text(content)
        with pytest.raises(DataError, match="lorecall judge sheet"):
            read_key(tmp_path / "key.json")
