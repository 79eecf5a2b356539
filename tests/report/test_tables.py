"""Tables on narrow and wide terminals, and what `lorecall data` prints."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from lorecall.data import DATASETS, Problem, Summary, UserSummary
from lorecall.data.users import Totals
from lorecall.report.tables import (
    Column,
    FittingTable,
    check_view,
    dataset_table,
    description_table,
    drop_table,
    facts,
    save_picture,
    user_table,
)

WIDTHS = (40, 80, 120)
HOSTILE = "Bob [/work] [bold]x[/bold]\x1b[2J\x9b31m\u202egnp.exe"
SEEN = "Bob [/work] [bold]x[/bold]"
USERS = [
    {"user": f"user-{i}", "n_samples": 12_345 + i, "n_conversations": 678, "response_words": 11.25}
    for i in range(3)
]


def printed(view: RenderableType, *, width: int = 80) -> str:
    """Print as the command line does."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(view, highlight=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def a_summary(text: str = "plain") -> Summary:
    """Make a summary with a text wherever one may come from outside."""
    user = UserSummary(
        user=text,
        n_samples=12_345,
        n_conversations=678,
        query_words=8.5,
        response_words=9.5,
        n_texts=1,
        text_words=7.5,
    )
    return Summary(
        dataset=replace(DATASETS["jsonl"], title=text),
        strict=False,
        n_replies=131_569,
        n_users=1_113,
        n_learnable=1,
        authored_by=frozenset({"user"}),
        users=(user,),
        totals=Totals(n_users=1, n_samples=2, n_texts=3, text_words=4.0, response_words=5.0),
        dropped={text: 98_765},
        problems=(Problem(line=31_415, reason=text, file=text),),
        n_problems=27_182,
    )


class TestFittingTable:
    """One table, any terminal."""

    COLUMNS: Sequence[Column] = (
        Column(heading="system"),
        Column(heading="loss", is_right=True),
        Column(heading="said", folds_at=10),
    )
    ROWS: Sequence[Sequence[str]] = (
        ("vanilla", "4.386", "a b c d e f g h i"),
        ("memory", "3.1", ""),
    )

    def test_it_is_a_table_where_there_is_room(self) -> None:
        """Numbers to the right, texts in one line."""
        table = FittingTable(columns=self.COLUMNS, rows=self.ROWS)
        assert [line.rstrip() for line in printed(table).splitlines()] == [
            "system    loss  said",
            "vanilla  4.386  a b c d e f g h i",
            "memory     3.1",
        ]

    def test_texts_are_folded_first(self) -> None:
        """A table with lines that are folded is a table still."""
        table = FittingTable(columns=self.COLUMNS, rows=self.ROWS)
        lines = printed(table, width=27).splitlines()
        assert lines[0].split() == ["system", "loss", "said"]
        assert "4.386" in lines[1]
        assert len(lines) == 4

    def test_rows_are_stacked_where_there_is_not(self) -> None:
        """A row's name, then its cells; an empty one is left out."""
        table = FittingTable(columns=self.COLUMNS, rows=self.ROWS, title="systems")
        assert [line.rstrip() for line in printed(table, width=22).splitlines()] == [
            "systems",
            "system vanilla",
            "  loss  4.386",
            "  said  a b c d e f g",
            "        h i",
            "system memory",
            "  loss  3.1",
        ]

    def test_no_row_is_no_error(self) -> None:
        """The headings alone."""
        assert printed(FittingTable(columns=self.COLUMNS, rows=())).split() == [
            "system",
            "loss",
            "said",
        ]

    @pytest.mark.parametrize("width", WIDTHS)
    def test_a_text_is_shown_as_it_is(self, width: int) -> None:
        """In a heading of a row, a cell and a title."""
        table = FittingTable(columns=self.COLUMNS, rows=[(HOSTILE, "1", HOSTILE)], title=HOSTILE)
        text = printed(table, width=width)
        assert " ".join(text.split()).count(SEEN) >= 2
        assert not {"\x1b", "\x9b", "\u202e"} & set(text)


def test_facts_fold_names_before_numbers() -> None:
    """A long name leaves room for a number."""
    text = printed(facts([("fitting the length of replies, all", "12,345,678")]), width=30)
    assert "12,345,678" in text
    assert all(word in text.split() for word in ("fitting", "length", "replies,"))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_number_of_data_is_whole(width: int) -> None:
    """Of users, of a dataset, and of a file that was checked."""
    described = {
        "name": "chitchat",
        "n_replies": 131_569,
        "Avg. Len(Response)": 12.34,
        "none": None,
    }
    summary = a_summary()
    views = (
        user_table(USERS),
        description_table(described),
        drop_table(summary),
        check_view(summary),
    )
    text = "\n".join(printed(view, width=width) for view in views)
    for number in (
        "12,345",
        "12,347",
        "678",
        "11.2",
        "131,569",
        "12.3",
        "98,765",
        "31415",
        "27182",
    ):
        assert number in text
    assert "none" not in text
    assert max(map(cell_len, text.splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_catalogue_fits(width: int) -> None:
    """Titles are folded at words, names are not."""
    entry = {"name": "amazon_qa_processed", "title": "questions " * 9, "licence": "MIT"}
    text = printed(dataset_table([entry | {"origin": "somewhere"}]), width=width)
    assert text.count("questions") == 9
    assert "amazon_qa_processed" in text
    assert max(map(cell_len, text.splitlines())) <= width


def test_texts_of_data_steer_nothing() -> None:
    """Users, reasons, file names, whatever a file holds."""
    summary = a_summary(HOSTILE)
    user = USERS[0] | {"user": HOSTILE}
    entry = dict.fromkeys(("name", "title", "licence", "origin"), HOSTILE)
    views = {
        "users": user_table([user]),
        "dropped": drop_table(summary),
        "check": check_view(summary),
        "described": description_table({HOSTILE: HOSTILE}),
        "catalogue": dataset_table([entry]),
    }
    for name, view in views.items():
        text = printed(view, width=300)
        assert SEEN in text, name
        assert not {"\x1b", "\x9b", "\u202e"} & set(text), name


def test_nothing_dropped_is_said() -> None:
    """Not an empty table."""
    whole = replace(a_summary(), dropped={}, problems=(), n_problems=0, n_users=1)
    assert printed(drop_table(whole)).strip() == "nothing dropped"
    assert "more" not in printed(check_view(whole))


def test_a_picture_fetches_nothing(tmp_path: Path) -> None:
    """An SVG without fonts from elsewhere; a title is a text."""
    save_picture(Text("seen"), tmp_path / "view.svg", title="<script>run</script>")
    picture = (tmp_path / "view.svg").read_text()
    assert "seen" in picture
    assert "@font-face" not in picture
    assert "<script>" not in picture
