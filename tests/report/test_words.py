"""Words and numbers shared by the terminal and the page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.core.provenance import without_password
from lorecall.core.text import plain, printable
from lorecall.records import InjectionConfig
from lorecall.report.words import (
    counted,
    duration,
    flat,
    layer_ranges,
    moment,
    short_count,
    split_words,
    theta_words,
)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [((), ""), ((4,), "4"), ((0, 1, 2, 5), "0-2, 5"), ((0, 2, 3), "0, 2-3")],
)
def test_layer_ranges(layers: tuple[int, ...], expected: str) -> None:
    """Neighbours are drawn together."""
    assert layer_ranges(layers) == expected


@given(st.sets(st.integers(0, 60)))
def test_layer_ranges_lose_no_layer(layers: set[int]) -> None:
    """The ranges, read back, are the layers."""
    read: set[int] = set()
    for part in filter(None, layer_ranges(sorted(layers)).split(", ")):
        first, _, last = part.partition("-")
        read |= set(range(int(first), int(last or first) + 1))
    assert read == layers


@pytest.mark.parametrize(
    ("layers", "n", "expected"),
    [
        ((0, 1), 3, "2 of 30 layers, 3 modules of rank 32"),
        ((5,), 1, "1 of 30 layers, 1 module of rank 32"),
        ((0, 1, 2, 3), 2, "2 of 30 layers, 2 modules of rank 32"),  # two are left without
    ],
)
def test_theta_words_count_what_is_there(layers: tuple[int, ...], n: int, expected: str) -> None:
    """Layers are counted that hold a module, not those that might have."""
    assert theta_words(InjectionConfig(layers=layers, n_loras=n, rank=32), 30) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (492, "8 min 12 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds: float, expected: str) -> None:
    """The unit fits the size, and rounding never gives 60 of anything."""
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0 k"),
        (878_592, "878.6 k"),
        (1_230_000, "1.23 M"),
        (7_000_000_000, "7.00 G"),
    ],
)
def test_short_count(n: int, expected: str) -> None:
    """Large numbers fit a narrow column."""
    assert short_count(n) == expected


def test_counted_knows_one() -> None:
    """`1 layers` would be wrong."""
    assert [counted(n, "layer") for n in (0, 1, 2)] == ["0 layers", "1 layer", "2 layers"]


def test_split_words() -> None:
    """The parts keep their order."""
    assert split_words({"train": 3, "test": 1}) == "3 train, 1 test samples"


def test_flat_joins_the_names() -> None:
    """Lists are written as one value, what is not set as `none`."""
    nested = {"seed": 0, "search": {"ranks": (8, 16), "samples": None, "deep": {"x": 1.5}}}
    assert flat(nested) == {
        "seed": "0",
        "search.ranks": "8, 16",
        "search.samples": "none",
        "search.deep.x": "1.5",
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://ann:s3cret@db:5432/trials", "postgresql://ann:***@db:5432/trials"),
        ("mysql+pymysql://ann:p@ss@db/trials", "mysql+pymysql://ann:***@db/trials"),
        ("redis://:s3cret@db:6379/0", "redis://:***@db:6379/0"),
        ("sqlite:////home/ann/study.db", "sqlite:////home/ann/study.db"),
        ("postgresql://db:5432/trials", "postgresql://db:5432/trials"),
    ],
)
def test_no_password_is_shown(url: str, expected: str) -> None:
    """A storage URL may hold one."""
    assert without_password(url) == expected


@given(st.text())
def test_plain_text_steers_no_terminal(text: str) -> None:
    """One line, no control character, and doing it twice changes nothing."""
    shown = plain(text)
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert plain(shown) == shown
    shown.encode()


def test_lines_are_kept_where_they_are_wanted() -> None:
    """A reply of several lines; half a surrogate pair could not be printed at all."""
    assert printable("a\n\tb\x1b[2J\r\ud800\u202ec") == "a\n\tb [2J   c"


def test_plain_keeps_what_is_text() -> None:
    """Emoji made of several characters and other scripts stay whole."""
    assert plain("  a\n\tb\x1b[31m 👩‍🚀 你好 ") == "a b [31m 👩‍🚀 你好"


@pytest.mark.parametrize(
    ("iso", "expected"),
    [
        ("2026-01-02T03:04:05+00:00", "2026-01-02 03:04 UTC"),
        ("2026-01-02T01:30:00+02:00", "2026-01-01 23:30 UTC"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05"),  # where was that?
        ("yesterday", "yesterday"),
    ],
)
def test_moment(iso: str, expected: str) -> None:
    """To the minute, in UTC; what cannot be read is left as it is."""
    assert moment(iso) == expected
