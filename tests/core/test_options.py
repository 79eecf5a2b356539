"""Options: declared once, read from text and from TOML, checked, found by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from lorecall.core.options import check_options, find_option, make, option, options_of, read_options
from lorecall.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kettle:
    """A kettle."""

    litres: float = option(1.5, "How much it holds.", low=0, high=3, camp=0.5)
    cups: int | None = option(None, "How many it fills.", low=1)
    heat: Literal["gas", "coal"] = option("gas", "What it stands on.", camp="coal")
    marks: tuple[int, ...] = option((1, 2), "Where its marks are.", low=1)
    sings: bool = option(default=False, says="Whether it is heard.")
    names: tuple[str, ...] = option((), "What it is called.")
    colour: str = "red"

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lid:
    """A lid, which has a name of the kettle's, too."""

    cups: int = option(1, "How many lie under it.")
    knob: bool = option(default=True, says="Whether it has one.")


SECTIONS = {"": Kettle, "lid": Lid}


def test_what_is_no_option_is_left_alone() -> None:
    """Only declared fields are."""
    assert "colour" not in [each.name for each in options_of(Kettle)]
    assert [each.full_name for each in options_of(Lid, "lid")] == ["lid.cups", "lid.knob"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("litres=2", 2.0),
        ("litres = 1e-1", 0.1),
        ("cups=none", None),
        ("cups=4", 4),
        ("heat=coal", "coal"),
        ("marks=1,3, 5", (1, 3, 5)),
        ("marks=[2]", (2,)),
        ("sings=true", True),
        ("sings=False", False),
        ("names=a,b=c", ("a", "b=c")),
        ("lid.knob=false", False),
        ("knob=false", False),
    ],
)
def test_a_text_is_read_as_the_options_type(text: str, value: object) -> None:
    """Numbers, words, several, yes or no, and nothing."""
    (read,) = read_options(SECTIONS, texts=[text]).values()
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("litres", "an option is set by its name and a value.*got 'litres'"),
        ("litres=many", "litres must be of its type: expected a number, 0 to 3, got 'many'"),
        ("litres=4", "litres must be in range: expected 0 to 3, got 4"),
        ("litres=nan", "litres must be in range"),
        ("cups=1.5", "cups must be of its type: expected a whole number, 1 or more; or none"),
        ("heat=wood", "heat must be known: expected gas or coal, got 'wood'"),
        ("marks=3,1", "marks must be in ascending order"),
        ("marks=", "marks must be of its type"),
        ("sings=perhaps", "sings must be of its type: expected true or false"),
        ("liters=1", "an option must be known: expected litres, got 'liters'"),
        ("lid.nob=true", "expected lid.knob, got 'lid.nob'"),
        ("xyz=1", "expected one that `lorecall options` lists"),
    ],
)
def test_a_text_that_cannot_be_is_refused(text: str, line: str) -> None:
    """By name, with what it may be."""
    with pytest.raises(ConfigError, match=line):
        read_options(SECTIONS, texts=[text])


def test_a_file_is_read_and_texts_win(tmp_path: Path) -> None:
    """Sections are tables; lists, numbers, words and truth are TOML's own."""
    file = tmp_path / "kettle.toml"
    file.write_text("litres = 1\nmarks = [2, 4]\nsings = true\n[lid]\ncups = 3\n")
    assert read_options(SECTIONS, file=file, texts=["lid.cups=4", "sings=false"]) == {
        "litres": 1.0,
        "marks": (2, 4),
        "sings": False,
        "lid.cups": 4,
    }


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"litres = \ncups = 1", "a file of options must be TOML.*line 1"),
        (b"heat = '\xff'", "must be TOML"),
        (b"[lit]\ncups = 1", "expected lid.cups, got 'lit.cups'"),
        (b"litres = true", "litres must be of its type"),
        (b"cups = '4'", "cups must be of its type"),
        (b"[lid.knob]\nx = 1", "lid.knob must be of its type"),
    ],
)
def test_a_file_that_cannot_be_is_refused(content: bytes, line: str, tmp_path: Path) -> None:
    """The line, or the option, is named."""
    file = tmp_path / "kettle.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=line):
        read_options(SECTIONS, file=file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        read_options(SECTIONS, file=tmp_path / "none.toml")


def test_a_name_that_two_have_is_refused() -> None:
    """Both are named; the one without a section is meant by its own."""
    with pytest.raises(ConfigError, match=r"expected cup\.cups or lid\.cups, got 'cups'"):
        find_option({"cup": Lid, "lid": Lid}, "cups")
    assert find_option(SECTIONS, "cups").section == ""


def test_a_group_is_made_of_values_presets_and_defaults() -> None:
    """In this order; what belongs to others is not looked at."""
    made = make(
        Kettle, {"litres": 2, "lid.cups": 9}, presets=("boat", "camp"), parts={"colour": "blue"}
    )
    assert (made.litres, made.heat, made.cups, made.colour) == (2.0, "coal", None, "blue")
    assert type(made.litres) is float
    with pytest.raises(ConfigError, match="heat must be known"):
        make(Kettle, {"heat": "wood"})


def test_a_group_made_by_hand_is_checked() -> None:
    """As one that was read."""
    with pytest.raises(ConfigError, match="cups must be in range: expected 1 or more, got 0"):
        Kettle(cups=0)


def test_what_an_option_may_be_is_said_in_words() -> None:
    """For errors and for the list of options."""
    allowed = {each.name: each.allowed for each in options_of(Kettle)}
    assert allowed == {
        "litres": "a number, 0 to 3",
        "cups": "a whole number, 1 or more; or none",
        "heat": "gas or coal",
        "marks": "a whole number, 1 or more; one or more",
        "sings": "true or false",
        "names": "a text; any number",
    }
