"""WhatsApp's export: the ways phones write dates, and what is no message."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, summarise
from lorecall.data.formats.whatsapp import MAX_TEXT, export_of
from lorecall.errors import DataError


def write(folder: Path, *lines: str) -> Path:
    """Write an export."""
    (folder / "_chat.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "_chat.txt"


class TestDates:
    """One instant in many forms."""

    @pytest.mark.parametrize(
        "head",
        [
            *("[25/12/2023, 19:38:15] ", "25/12/2023, 19:38 - ", "25/12/23, 19:38 - "),
            *("12/25/23, 7:38 PM - ", "[12/25/23, 7:38:15\u202fPM] ", "12/25/2023, 7:38 p.m. - "),
            *("25.12.23, 19:38 - ", "[25.12.23, 19:38:15] ", "2023-12-25, 19:38 - "),
            *(
                "[2023-12-25, 7:38:15 p. m.] ",
                "\u200e[25/12/2023, 19:38:15] ",
                "25-12-2023 19:38 - ",
            ),
            *("2023/12/25, 19:38 - ", "25/12/2023, 19.38 - "),
        ],
    )
    def test_forms(self, tmp_path: Path, head: str) -> None:
        """A day above 12 tells the order."""
        path = write(tmp_path, f"{head}Bob: hi", f"{head}Ann: one two three")
        (sample,) = load_history("whatsapp", user="Ann", path=path).samples
        assert sample.response == "one two three"
        assert sample.time is not None
        assert datetime.fromtimestamp(sample.time, UTC).isoformat()[:16] == "2023-12-25T19:38"

    @pytest.mark.parametrize(
        ("dates", "first"),
        [
            (("01/02/24", "02/02/24", "03/02/24"), True),
            (("01/02/24", "01/03/24", "01/04/24"), True),
            (("01/30/24", "02/01/24"), False),
            (("01/11/24", "01/12/24", "02/01/24", "02/02/24"), False),
            (("05/05/24",), True),
        ],
    )
    def test_which_of_day_and_month_is_first(
        self,
        tmp_path: Path,
        dates: tuple[str, ...],
        first: bool,  # noqa: FBT001
    ) -> None:
        """The reading in which time does not run backwards; the day, if both will do."""
        path = write(tmp_path, *(f"{date}, 10:00 - Ann: hi" for date in dates))
        assert export_of(path).stamps.order == ("dmy" if first else "mdy")

    def test_midnight_and_noon(self, tmp_path: Path) -> None:
        """12 AM is 0, 12 PM is 12."""
        lines = [
            f"1/31/24, 12:05 {half} - {name}: a b c" for half, name in (("AM", "B"), ("PM", "A"))
        ]
        path = write(tmp_path, *lines, "1/31/24, 12:06 PM - B: hello to you")
        (sample,) = load_history("whatsapp", user="B", path=path).samples
        assert datetime.fromtimestamp(sample.time or 0, UTC).hour == 12

    def test_no_such_day_is_counted(self, tmp_path: Path) -> None:
        """The message is lost, and that is said."""
        path = write(tmp_path, "31/02/2024, 10:00 - Ann: hi", "30/01/2024, 10:00 - Ann: hi")
        assert check("whatsapp", path=path).dropped == {"no such date": 1}


class TestMessages:
    """What a message is."""

    def test_lines_that_begin_with_no_date_go_on(self, tmp_path: Path) -> None:
        """Blank ones between them do not count."""
        path = write(
            tmp_path, "1/1/24, 10:00 - Bob: hi", "1/1/24, 10:01 - Ann: one", "two: yes", "", "three"
        )
        (sample,) = load_history("whatsapp", user="Ann", path=path).samples
        assert sample.response == "one\ntwo: yes\nthree"

    def test_a_message_has_an_end(self, tmp_path: Path) -> None:
        """A file without a second date is not one message."""
        path = write(tmp_path, "1/1/24, 10:00 - Ann: one", *["word " * 2000] * 5)
        assert check("whatsapp", path=path).dropped == {
            "line beyond the longest message": 5 - MAX_TEXT // 10_000
        }

    def test_hours_of_silence_end_a_conversation(self, tmp_path: Path) -> None:
        """As in every chat."""
        path = write(
            tmp_path,
            "1/1/24, 10:00 - Bob: hi",
            "1/1/24, 10:01 - Ann: one two three",
            "1/1/24, 20:00 - Bob: still there",
            "1/1/24, 20:01 - Ann: yes I am",
        )
        samples = load_history("whatsapp", user="Ann", path=path).samples
        assert len({s.conversation for s in samples}) == 2
        assert [s.earlier for s in samples] == [(), ()]

    def test_what_is_no_message_is_counted(self, tmp_path: Path) -> None:
        """The application's own lines, pictures, deleted messages, what comes before all."""
        at = "1/1/24, 10:00 - "
        path = write(
            tmp_path,
            "before",
            f"{at}Messages and calls are end-to-end encrypted.",
            *(f"{at}Ann: <Media omitted>", f"{at}Ann: \u200eimage omitted", f"{at}Ann: null"),
            *(f"{at}Ann: This message was deleted", f"{at}Ann: IMG-1.jpg (file attached)"),
            *(f"{at}Bob: hello", f"{at}Ann: I have omitted nothing"),
        )
        summary = check("whatsapp", path=path)
        assert summary.dropped == {
            "line before the first message": 1,
            "line of the application": 1,
            "message without text": 5,
        }
        assert (summary.n_replies, summary.n_problems) == (1, 1)


@pytest.mark.parametrize("content", ["", "hello\n", "1/1/24 - Ann: hi\n", "[]\n", "99:99 - x: y\n"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    """The message says how to export."""
    (tmp_path / "x").write_text(content)
    with pytest.raises(DataError, match="expected a WhatsApp export"):
        summarise("whatsapp", path=tmp_path / "x")
