"""Dates and times that begin a line, in every language."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from babel import Locale
from babel.dates import format_date, format_time

from lorecall.data.calendars import buddhist, gregorian, islamic, persian
from lorecall.data.cldr import half_of_day, month_of
from lorecall.data.stamps import Stamps, stamps_of

SPOKEN = (  # CLDR's languages of most speakers, in the scripts that they are written in
    *("en", "zh_Hans", "zh_Hant", "hi", "es", "fr", "ar", "bn", "pt", "ru", "ur", "id", "de"),
    *("ja", "mr", "te", "tr", "ta", "vi", "ko", "yue_Hant", "it", "th", "gu", "fa", "pl", "uk"),
    *("ms", "jv", "ml", "kn", "pa", "my", "or", "ro", "nl", "uz_Latn", "uz_Cyrl", "sd", "ps"),
    *("am", "ig", "yo", "ha", "om", "sw", "su", "cs", "el", "hu", "sv", "be", "kk", "si", "km"),
    *("ne", "bg", "sr_Cyrl", "sr_Latn", "he", "da", "fi", "sk", "hr", "nb", "lt", "sl", "lv"),
    *("et", "ca", "eu", "gl", "sq", "mk", "hy", "ka", "mn", "tk", "ky", "zu", "xh", "af", "so"),
    *("fil", "lo", "as", "bs_Latn", "is", "ga", "cy", "mt", "lb", "ti", "az_Latn", "en_GB"),
    *("pt_PT", "es_MX", "fr_CA", "de_AT", "mg", "rw"),
)
DAYS = [
    datetime(2024, 6, 20, 19, 1, tzinfo=UTC) + timedelta(days=9 * i, hours=7 * i) for i in range(9)
]


def in_line(name: str, hours: int, form: str) -> Iterator[str]:
    """Write times as a phone of this language does that shows 12 or 24 hours."""
    locale = Locale.parse(name)
    skeleton = ("Hm" if hours == 24 else "hm") + ("s" if form == "iPhone" else "")
    usual = "HH:mm:ss"[: 2 * len(skeleton)] if hours == 24 else "h:mm a"
    skeletons = locale.datetime_skeletons
    pattern = skeletons[skeleton].pattern if skeleton in skeletons else usual
    for day in DAYS:
        written = format_date(day.date(), locale.date_formats["short"].pattern, locale=locale)
        clock = format_time(day.time(), pattern, locale=locale)
        glue = str(locale.datetime_formats["short"]).replace("'", "")
        for between in (glue, "{1}, {0}"):
            stamp = between.format(clock, written)
            yield f"[{stamp}] Ann: hello" if form == "iPhone" else f"{stamp} - Ann: hello"


def read(lines: list[str]) -> list[str | None]:
    """Return the times that lines begin with."""
    stamps = stamps_of(lines)
    found = [stamps.read(line) for line in lines] if stamps else []
    return [
        stamp and datetime.fromtimestamp(stamp.time or 0, UTC).isoformat()[:16] for stamp in found
    ]


class TestLanguages:
    """What phones write."""

    @pytest.mark.parametrize("form", ["Android", "iPhone"])
    @pytest.mark.parametrize("hours", [12, 24])
    def test_the_most_spoken_hundred(self, hours: int, form: str) -> None:
        """At least 98 of them are read to the minute."""
        assert len(SPOKEN) >= 100
        wanted = [day.isoformat()[:16] for day in DAYS]
        wrong: list[str] = []
        for name in SPOKEN:
            lines = list(in_line(name, hours, form))
            wrong += [name] * (read(lines[::2]) != wanted or read(lines[1::2]) != wanted)
        assert len(wrong) <= 2, wrong

    @pytest.mark.parametrize(
        "stamp",
        [
            *("20/6/24 \u00e0 19:01", "20.6.2024 klo 19.01", "2024/6/20 \u4e0b\u53487:01"),
            *("2024. 6. 20. \uc624\ud6c4 7:01", "20.06.24 \u0433., 19:01", "24. 6. 20. 19:01"),
            *("\u0662\u0660/\u0666/\u0662\u0660\u0662\u0664\u060c \u0661\u0669:\u0660\u0661",),
            *("20/6/2024, 7:01 \u03bc.\u03bc.", "20.06.2024 \u00d6S 7:01", "20 juin 2024 19:01"),
            *(
                "1403/03/31, 19:01",
                "\u06f1\u06f4\u06f0\u06f3/\u06f0\u06f3/\u06f3\u06f1 \u06f1\u06f9:\u06f0\u06f1",
            ),
            *("20/6/2567 19:01", "20/6/67 19:01", "14/12/1445, 19:01", "19:01, 20/6/2024"),
            *("20\u200f/6\u200f/2024, 7:01 PM", "6/20/24, 7:01\u202fPM", "2024-06-20, 7:01 p. m."),
            "2024\u5e746\u670820\u65e5 19:01",
        ],
    )
    @pytest.mark.parametrize("around", ["[{}] ", "{} - ", "{}: "])
    def test_one_minute_in_many_forms(self, stamp: str, around: str) -> None:
        """Native digits, marks, words, other calendars."""
        (found,) = read([f"{around.format(stamp)}Ann: hello"])
        assert found in ("2024-06-20T19:01", "2024-06-21T19:01")  # a table's Hijri is a day off


class TestOneFile:
    """A file has one form."""

    def lines(self, *stamps: str) -> list[str]:
        """Write lines with these."""
        return [f"{stamp} - Ann: hello" for stamp in stamps]

    def test_what_is_pasted_begins_nothing(self) -> None:
        """Other widths, other signs, another order."""
        own = self.lines("20/6/2024, 9:01", "21/6/2024, 10:02", "3/7/2024, 9:05")
        stamps = stamps_of(own)
        assert stamps is not None
        for pasted in ("01/01/2020, 10:00", "1.1.2020, 10:00", "1/1/20, 10:00", "1/1/2020 10:00"):
            (line,) = self.lines(pasted)
            assert stamps.read(line) is None, pasted
        assert stamps.read("[20/6/2024, 9:01] Ann: hello") is None
        assert all(stamps.read(line) for line in own)

    def test_one_pasted_line_does_not_decide_the_order(self) -> None:
        """The most dates do."""
        before = [f"{day}/6/2024, 10:00" for day in range(10, 13)]
        after = [f"{day}/{month}/2024, 10:00" for month in (7, 8) for day in range(1, 6)]
        stamps = stamps_of(self.lines(*before, "6/25/2024, 10:00", *after))
        assert stamps is not None
        assert stamps.order == "dmy"

    def test_what_tells_the_day_may_come_late(self) -> None:
        """It is read on until one does."""
        first = self.lines(*["1/2/2024, 10:00"] * 9)
        others = iter(self.lines("2/2/2024, 10:00", "1/30/2024, 10:00", "x", "31/1/2024, 10:00"))
        stamps = stamps_of(first, others)
        assert isinstance(stamps, Stamps)
        assert stamps.order == "mdy"
        assert next(others).startswith("31")

    def test_two_digits_of_a_year_first(self) -> None:
        """The reading with fewer years."""
        (first, second) = read(self.lines("22-01-20, 19:01", "22-01-21, 19:01"))
        assert (first, second) == ("2022-01-20T19:01", "2022-01-21T19:01")

    @pytest.mark.parametrize(
        "line", ["", "hello", "1 apple 2 pears 3 plums", "99:99 - x: y", "1/1/24 - Ann: hi", "[]"]
    )
    def test_other_lines_begin_with_no_time(self, line: str) -> None:
        """Nothing is made of them."""
        assert stamps_of([line]) is None

    def test_no_such_day_is_none(self) -> None:
        """The line begins a message all the same."""
        lines = self.lines("30/1/2024, 10:00", "31/2/2024, 10:00", "31/3/2024, 25:00")
        stamps = stamps_of(lines)
        assert stamps is not None
        found = [stamps.read(line) for line in lines]
        assert [stamp and stamp.time is None for stamp in found] == [False, True, True]


class TestWords:
    """Names of months and of the parts of the day."""

    @pytest.mark.parametrize(
        ("hour", "before", "after", "found"),
        [
            *((7, "", "PM", 19), (12, "", "a.m.", 0), (12, "", "p. m.", 12), (7, "", "", 7)),
            *((7, "\u665a\u4e0a", "", 19), (1, "\u51cc\u6668", "", 1), (7, " klo ", "", 7)),
            *(
                (7, "", "\u092e.\u0909.", 19),
                (7, "", "\u0985\u09aa\u09b0\u09be\u09b9\u09cd\u09a3", 19),
            ),
            *((19, "", "\u0e19.", 19), (12, "\u4e2d\u5348", "", 12), (7, "du.", "", 19)),
        ],
    )
    def test_the_hour(self, hour: int, before: str, after: str, found: int) -> None:
        """Of 24; a word that names no part of the day means nothing."""
        assert half_of_day(hour, before, after) == found

    @pytest.mark.parametrize(
        ("words", "number"),
        [
            (" juin ", 6),
            (" de junio de ", 6),
            (" Haz ", 6),
            ("Mai", 5),
            (" hello ", None),
            ("", None),
        ],
    )
    def test_the_month(self, words: str, number: int | None) -> None:
        """In any language."""
        assert month_of(words) == number


class TestCalendars:
    """Days by other calendars, as almanacs have them."""

    @pytest.mark.parametrize(
        ("calendar", "there", "here"),
        [
            *((gregorian, (2024, 6, 20), (2024, 6, 20)), (buddhist, (2567, 6, 20), (2024, 6, 20))),
            *((persian, (1403, 1, 1), (2024, 3, 20)), (persian, (1399, 12, 30), (2021, 3, 20))),
            *((persian, (1402, 2, 31), (2023, 5, 21)), (persian, (1404, 1, 1), (2025, 3, 21))),
            *((islamic, (1445, 9, 1), (2024, 3, 11)), (islamic, (1446, 1, 1), (2024, 7, 8))),
        ],
    )
    def test_a_day(self, calendar, there: tuple[int, ...], here: tuple[int, ...]) -> None:  # noqa: ANN001
        """Known from elsewhere."""
        assert calendar(*there) == date(*here).toordinal()

    @pytest.mark.parametrize(
        ("calendar", "there"),
        [
            (persian, (1402, 7, 31)),
            (persian, (1402, 13, 1)),
            (islamic, (1445, 1, 31)),
            (buddhist, (2567, 2, 30)),
        ],
    )
    def test_no_such_day(self, calendar, there: tuple[int, ...]) -> None:  # noqa: ANN001
        """As in one's own."""
        with pytest.raises(ValueError, match=r".+"):
            calendar(*there)
