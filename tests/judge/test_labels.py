"""Raters' CSVs: clean ones, those a spreadsheet has mangled, and wrong ones."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.errors import DataError
from lorecall.judge.labels import RaterLabels, read_labels

CLEAN = "sheet,pair,label\r\ns1,1,1\r\ns1,2,0\r\ns1,3,-1\r\ns1,4,\r\n"
WANTED = {1: 1, 2: 0, 3: -1}


def read(folder: Path, content: str | bytes, name: str = "ann.csv") -> RaterLabels:
    """Write a file and read it."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (labels,) = read_labels([path])
    return labels


class TestGood:
    """What can be read."""

    def test_as_the_page_saves_it(self, tmp_path: Path) -> None:
        """Labels by pair, those without one apart, the rater by the file's name."""
        labels = read(tmp_path, CLEAN)
        assert labels == RaterLabels(rater="ann", sheet="s1", labels=WANTED, unlabelled=(4,))

    @pytest.mark.parametrize(
        "content",
        [
            b"\xef\xbb\xbf" + CLEAN.encode(),
            CLEAN.encode("utf-16"),
            CLEAN.replace(",", ";").encode(),
            CLEAN.replace(",", "\t").encode(),
            b"sep=;\r\n" + CLEAN.replace(",", ";").encode(),
            CLEAN.replace("\r\n", "\n\n,,\n").encode(),
            CLEAN.replace("\r\n", "\r").encode(),
            CLEAN.replace("sheet,pair,label", " Sheet , PAIR,Label ").encode(),
            CLEAN.replace("s1,1,1", '"s1","1","1"').encode(),
            CLEAN.replace(",1\r", ",1.0\r").replace(",-1\r", ",-1.00\r").encode(),
            CLEAN.replace(",", ";").replace(";1\r", ";1,0\r").encode(),
            CLEAN.replace(",-1", ",\N{MINUS SIGN}1").replace(",1\r", ",+1\r").encode(),
            CLEAN.replace(",-1", ",'-1").replace(",0\r", ", -0 \r").encode(),
            b"sheet,pair,label,note\ns1,4\ns1,3,-1,caf\xe9\ns1,1,1\ns1,2,0,\n",
            b"label,first,pair,sheet\n-1,x,3,s1\n1,y,1.0,s1\n0,z,2,s1\n,,4,s1\n",
        ],
    )
    def test_mangled_by_a_spreadsheet(self, content: bytes, tmp_path: Path) -> None:
        """Encodings, separators, blank rows, quotes, numbers, minus signs, columns and rows."""
        labels = read(tmp_path, content)
        assert (labels.sheet, labels.labels, labels.unlabelled) == ("s1", WANTED, (4,))

    def test_texts_may_hold_separators_and_line_breaks(self, tmp_path: Path) -> None:
        """The whole sheet, filled in."""
        content = 'sheet;pair;first;label\ns1;1;"a;b\n""c"", d";-1\n'
        assert read(tmp_path, content).labels == {1: -1}

    def test_a_text_of_any_length_is_read(self, tmp_path: Path) -> None:
        """The csv module's own limit is 128 KiB a cell."""
        assert read(tmp_path, f"sheet,pair,first,label\ns1,1,{'x' * 200_000},0\n").labels == {1: 0}

    def test_raters_are_named_apart(self, tmp_path: Path) -> None:
        """By the folder too, where the files have one name."""
        paths = [tmp_path / who / "labels.csv" for who in ("ann", "bob")]
        for path in paths:
            path.parent.mkdir()
            path.write_text(CLEAN)
        raters = [labels.rater for labels in read_labels(paths)]
        assert [Path(rater).parts[-2:] for rater in raters] == [
            ("ann", "labels"),
            ("bob", "labels"),
        ]


class TestWrong:
    """What cannot: an error that names the row."""

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "an empty file"),
            ("\n\n,,\n", "an empty file"),
            ("sheet,pair\ns1,1\n", "no column label"),
            ("label\n1\n", "no column sheet, pair"),
            (CLEAN.replace("s1,2,0", "s1,2,2"), "the label '2' in row 3"),
            (CLEAN.replace("s1,2,0", "s1,2,first"), "the label 'first' in row 3"),
            (CLEAN.replace("s1,2,0", "s1,2,0.5"), "the label '0.5' in row 3"),
            (CLEAN.replace("s1,2,0", "s1,2,-"), "the label '-' in row 3"),
            (CLEAN.replace("s1,2,0", "s1,1,0"), "pair 1 a second time in row 3"),
            (CLEAN.replace("s1,2,0", "s1,,0"), "'' for a pair's number in row 3"),
            (CLEAN.replace("s1,2,0", "s1,x,0"), "'x' for a pair's number in row 3"),
            (CLEAN.replace("s1,2,0", "s1,²,0"), "for a pair's number in row 3"),
            (CLEAN.replace("s1,2,0", "s2,2,0"), "labels of 2 sheets"),
            ("sheet,pair,label\ns1,1,\ns1,2,\n", "no label at all"),
            ("sheet,pair,label\n", "no label at all"),
        ],
    )
    def test_the_row_is_named(self, content: str, said: str, tmp_path: Path) -> None:
        """As a spreadsheet counts."""
        with pytest.raises(DataError) as refused:
            read(tmp_path, content)
        assert said in str(refused.value)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        """With its path."""
        with pytest.raises(DataError, match=r"nothing\.csv"):
            read_labels([tmp_path / "nothing.csv"])

    def test_one_file_twice(self, tmp_path: Path) -> None:
        """A rater who agrees with himself proves nothing."""
        path = tmp_path / "ann.csv"
        path.write_text(CLEAN)
        with pytest.raises(DataError, match="one of them twice"):
            read_labels([path, tmp_path / "." / "ann.csv"])

    def test_raters_of_different_sheets(self, tmp_path: Path) -> None:
        """Their pairs are not the same."""
        (tmp_path / "ann.csv").write_text(CLEAN)
        (tmp_path / "bob.csv").write_text(CLEAN.replace("s1", "s2"))
        with pytest.raises(DataError, match="labels of sheet s1, got s2"):
            read_labels([tmp_path / "ann.csv", tmp_path / "bob.csv"])

    @given(content=st.binary(max_size=200) | st.text("sheet,pair,label\n;01-", max_size=200))
    def test_no_file_is_a_traceback(self, content: str | bytes, tmp_path: Path) -> None:
        """Read, or refused in a line."""
        with contextlib.suppress(DataError):
            assert set(read(tmp_path, content).labels.values()) <= {1, 0, -1}
