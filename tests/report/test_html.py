"""The HTML page."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from lorecall.learning.result import RUN_SYSTEMS, HeldOutReply, PersonalResult, RunResult
from lorecall.report import words
from lorecall.report.html import report_page, write_report
from lorecall.search.records import Quartiles
from made_up import without_a_search

MakeResult = Callable[..., RunResult]
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Reads a page: its elements in order, their text, and whether they are nested rightly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that what is closed is what was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note the text, with the element it is in."""
        self.texts.append((self._open[-1] if self._open else "", data))

    def text(self) -> str:
        """Return what a reader sees, spaces squeezed."""
        seen = (text for tag, text in self.texts if tag not in {"script", "style", "title"})
        return " ".join(" ".join(seen).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(make_result: MakeResult) -> Page:
    """Read the ordinary page once."""
    return Page(report_page(make_result()))


class TestSelfContained:
    """Nothing is fetched when the page is opened."""

    def test_nothing_is_loaded(self, page: Page) -> None:
        """No script, style, picture or frame from elsewhere."""
        loads = [
            (tag, value)
            for tag, attributes in page.elements
            for name, value in attributes.items()
            if name in {"src", "href", "srcset", "data", "action", "poster"}
        ]
        assert loads == []
        styles = " ".join(text for tag, text in page.texts if tag == "style")
        assert not re.search(r"@import|url\(", styles)

    def test_the_browser_is_told_to_fetch_nothing(self, page: Page) -> None:
        """The policy stands before the first script, and allows no host."""
        order = [tag for tag, _ in page.elements]
        policy = next(m for m in page.named("meta") if m.get("http-equiv"))
        content = policy["content"] or ""
        assert content.startswith("default-src 'none';")
        assert "http" not in content
        assert order.index("meta") < order.index("script")

    def test_plotly_is_in_it_once(self, make_result: MakeResult) -> None:
        """It is most of the page's five megabytes."""
        html = report_page(make_result())
        assert html.count("plotly.js v") == 1
        assert len(html) < 8_000_000


class TestContents:
    """Every part is there."""

    def test_every_section(self, page: Page) -> None:
        """In the order of interest."""
        headings = [text for tag, text in page.texts if tag in {"h1", "h2"}]
        assert headings == [
            "The memory of 4fde054d-2b0a-4b1f",
            "What it changed",
            "What is the person's own",
            "Replies to test queries",
            "Sizes and times",
            "Where the memory is",
            "Loss while training",
            "The search: Pareto front",
            "The search: hypervolume",
            "The search: which layers matter",
            "The search: all trials",
            "Settings, signatures and versions",
        ]

    def test_every_figure(self, page: Page) -> None:
        """A place for each, and the call that draws it."""
        scripts = "".join(text for tag, text in page.texts if tag == "script")
        ids = {attributes.get("id") for attributes in page.named("div")}
        for name in ("swapped", "pareto", "hypervolume", "curves"):
            assert f"chart-{name}" in ids
            assert f'"chart-{name}",' in scripts
        assert {"importance-0", "importance-1"} <= ids

    def test_every_score(self, page: Page) -> None:
        """With its interval, its difference to what is shared, and what that says."""
        text = page.text()
        for expected in (
            "4.052 [3.881, 4.223] -0.334 [-0.411, -0.257] * better",
            "13.47 [11.16, 15.78] +2.13 [-0.12, +4.38] - ",
            "2.16 [1.75, 2.57] -0.55 [-0.94, -0.16] * worse",
            "Test loss ↓ lower is better",
            "Persona F1 ↑ higher is better",
            "4.452 [4.281, 4.623] +0.066 [+0.016, +0.116] * worse 4.121",
            "paired difference to shared.",
            "|H| = 812",
            "2026-01-02 03:04 UTC",
        ):
            assert expected in text

    def test_what_is_the_persons_own(self, page: Page) -> None:
        """The gain, the rank, which reply is theirs; and what each side is, in a sentence."""
        text = page.text()
        for expected in (
            "own less shared -0.334 [-0.411, -0.257] *",
            "personal gain +0.400 [+0.310, +0.490] *",
            "rank 1 of 3",
            "replies 71%",
            "which is theirs 5 of 12",
            "told from 7 of other people's (1.5 by chance)",
            "Replies are drawn (temperature 0.7, min_p 0.1, seed 0)",
            "1.25, by which validation multiplied it",
            "Making this memory 41.7 s Making other people's, to compare 1 min 23 s",
            "Making the default LoRA 28.9 s",
            "Shared memory chitchat-smollm2-135m",
        ):
            assert expected in text
        for meaning in words.SYSTEM_MEANINGS.values():
            assert meaning in text

    def test_the_strip_of_layers(self, page: Page, make_result: MakeResult) -> None:
        """A cell a layer."""
        cells = [a for a in page.named("li") if (a.get("title") or "").startswith("layer ")]
        assert len(cells) == make_result().n_layers

    def test_every_trial(self, make_result: MakeResult, page: Page) -> None:
        """A row each, the chosen one named."""
        text = page.text()
        for trial in make_result().trials:
            assert f"{trial.loss:.3f} {trial.rouge_l:.2f}" in text
            assert f"{trial.n_parameters:,}" in text
        assert text.count(" chosen ") == 1 + 1  # the row, and the figure's caption

    def test_every_reply(self, make_result: MakeResult, page: Page) -> None:
        """The true one and all three systems', and what was said before."""
        text = page.text()
        for reply in make_result().replies:
            earlier = [turn.text for turn in reply.earlier]
            for shown in (*earlier, reply.query, reply.truth, *reply.responses.values()):
                assert shown in text
        assert text.index("asked earlier") < text.index("replied earlier")

    def test_settings_signatures_and_versions(self, page: Page) -> None:
        """What is needed to do it again."""
        text = page.text()
        for expected in ("train.learning_rate 0.0005", "loss|cross entropy", "torch 2.6.0"):
            assert expected in text


class TestAccessible:
    """For screen readers and small screens."""

    def test_language_title_and_width(self, page: Page) -> None:
        """What a browser needs to know first."""
        assert page.named("html") == [{"lang": "en"}]
        assert "width=device-width" in str(page.named("meta"))
        assert "lorecall: the memory of 4fde054d-2b0a-4b1f" in dict(page.texts)["title"]

    def test_headings_leave_no_level_out(self, page: Page) -> None:
        """One h1, and never a jump by two."""
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(b - a <= 1 for a, b in pairwise(levels))

    def test_every_table_heading_has_its_scope(self, page: Page) -> None:
        """A row's or a column's."""
        assert {a.get("scope") for a in page.named("th")} == {"row", "col"}

    def test_every_picture_has_its_words(self, page: Page) -> None:
        """The charts and the strips."""
        pictures = [a for _, a in page.elements if a.get("role") == "img"]
        assert len(pictures) == 1 + 6 + 8  # the large strip, the charts, a strip a trial
        assert all(picture.get("aria-label") for picture in pictures)


class TestHostile:
    """Texts come from people and models."""

    def test_a_text_is_only_text(self, make_result: MakeResult) -> None:
        """Wherever it comes from, it adds no element."""
        evil = "<script>alert(1)</script><img src=http://x.example/y onerror=alert(2)>{{ 7*7 }}"
        responses = dict.fromkeys(RUN_SYSTEMS, evil)
        reply = HeldOutReply(query=evil, truth=evil, responses=responses)
        result = make_result(
            shared=evil,
            sizes={evil: 1},
            drawn={evil: 1.0},
            seconds={"own": 1.0, "total": 1.0, evil: 1.0},
            user=evil,
            dataset=evil,
            model=evil,
            replies=(reply,),
            storage=evil,
            settings={evil: evil},
            signature={evil: evil},
            versions={evil: evil},
            importance={evil: {evil: Quartiles(low=0.1, median=0.2, high=0.3)}},
        )
        hostile, ordinary = Page(report_page(result)), Page(report_page(make_result()))
        assert hostile.named("img") == []
        n_scripts = len(ordinary.named("script")) - 1  # one panel less
        assert len(hostile.named("script")) == n_scripts
        assert evil in hostile.text()

    def test_a_text_cannot_close_the_script_it_is_in(self, make_result: MakeResult) -> None:
        """Plotly escapes what it writes there; this holds it to that."""
        quartiles = Quartiles(low=0.1, median=0.2, high=0.3)
        result = make_result(importance={"loss": {"</script><b>": quartiles}})
        assert "</script><b>" not in report_page(result)

    def test_control_characters_are_left_out(self, make_result: MakeResult) -> None:
        """They are not allowed in HTML."""
        reply = HeldOutReply(query="a\x00b\x1bc", truth="t", responses={"own": "\x00"})
        text = Page(report_page(make_result(replies=(reply,)))).text()
        assert "a b c" in text
        assert "(nothing)" in text

    def test_a_password_is_not_shown(self, make_result: MakeResult) -> None:
        """A page gets sent around."""
        assert "s3cret" not in report_page(make_result(storage="postgresql://ann:s3cret@db/trials"))


class TestUnusual:
    """Short searches, small and deep bases."""

    @pytest.mark.parametrize(
        ("n_layers", "n_trials", "importance"), [(3, 1, {}), (80, 30, None), (1, 2, {})]
    )
    def test_sizes(
        self,
        make_result: MakeResult,
        n_layers: int,
        n_trials: int,
        importance: dict[str, object] | None,
    ) -> None:
        """The page is whole."""
        changes = {} if importance is None else {"importance": importance}
        text = Page(
            report_page(make_result(n_layers=n_layers, n_trials=n_trials, **changes))
        ).text()
        assert ("too few trials" in text) == (importance == {})

    def test_a_result_with_little_in_it(self, make_result: MakeResult) -> None:
        """No reply, no curve, no comparison, no size."""
        result = make_result(
            replies=(), curves={}, difference_to_shared={}, sizes={}, settings={}, split={}
        )
        assert "No test query was kept." in Page(report_page(result)).text()

    def test_a_run_without_a_search(self, make_result: MakeResult) -> None:
        """Nothing of it is left on the page; all else is."""
        page = Page(report_page(without_a_search(make_result())))
        text = page.text()
        assert "The search" not in text
        assert "trial" not in text.partition("Settings, signatures")[0]
        assert not {"chart-pareto", "chart-hypervolume"} & {d.get("id") for d in page.named("div")}
        for expected in ("which is theirs 5 of 12", "Where the memory is", "Loss while training"):
            assert expected in text

    def test_a_run_without_others_and_without_what_is_shared(self, make_result: MakeResult) -> None:
        """The page says how others are asked for; the base stands for what is shared."""
        made = without_a_search(make_result())
        less = made.personal.own_less_shared
        names = ("base", "own")
        result = made.model_copy(
            update={
                "shared": None,
                "scores": {name: made.scores[name] for name in names},
                "difference_to_shared": {"own": made.difference_to_shared["own"]},
                "personal": PersonalResult(own_less_shared=less),
            }
        )
        text = Page(report_page(result)).text()
        assert "own less base -0.334" in text
        assert "Nobody else's memory was read here: --others 2 does it." in text
        assert "Shared memory none" in text
        for absent in ("personal gain", "1 of 3", "which is theirs", "consenting", "another's"):
            assert absent not in text

    def test_nothing_personal_found_is_said(self, make_result: MakeResult) -> None:
        """Validation multiplied it by 0."""
        text = Page(report_page(make_result(factor=0.0))).text()
        assert "nothing personal helped, so the memory adds nothing" in text


class TestWrite:
    """The file."""

    def test_it_is_written_with_its_folder(self, make_result: MakeResult, tmp_path: Path) -> None:
        """As UTF-8, and nothing else is left there."""
        path = tmp_path / "new" / "report.html"
        write_report(make_result(), path)
        assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
        assert [file.name for file in path.parent.iterdir()] == ["report.html"]

    def test_a_full_disk_leaves_the_old_page(
        self,
        make_result: MakeResult,
        tmp_path: Path,
        file_size_limit: Callable[[int], None],
    ) -> None:
        """Never half of the new one."""
        path = tmp_path / "report.html"
        path.write_text("old")
        file_size_limit(100_000)
        with pytest.raises(OSError, match="too large"):
            write_report(make_result(), path)
        assert path.read_text() == "old"
        assert [file.name for file in tmp_path.iterdir()] == ["report.html"]

    def test_a_folder_in_its_place_is_refused(
        self, make_result: MakeResult, tmp_path: Path
    ) -> None:
        """And left as it was."""
        with pytest.raises(IsADirectoryError):
            write_report(make_result(), tmp_path)
        assert list(tmp_path.iterdir()) == []
