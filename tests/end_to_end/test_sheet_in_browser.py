"""The page of blind pairs, used in a real browser: keys, storage, and the CSV it saves."""

import csv
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from browser import Browser
from lorecall.cli.app import app
from lorecall.core.jsonl import write_records
from lorecall.judge.pairs import Pair
from lorecall.judge.sheet import Key, make_sheet, read_key, sheet_page
from lorecall.records import Turn

EVIL = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
N = 5

Start = Callable[[], Browser]


@pytest.fixture
def start(chromium: str, tmp_path: Path) -> Iterator[Start]:
    """Start a browser; started again, it has kept what pages stored."""
    started: list[Browser] = []
    (tmp_path / "downloads").mkdir()

    def launch() -> Browser:
        browser = Browser(chromium, profile=tmp_path / "profile", downloads=tmp_path / "downloads")
        started.append(browser)
        return browser

    yield launch
    for browser in started:
        browser.close()


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """Return the folder of a sheet that the command wrote."""
    pairs = [
        Pair(
            id=f"p{i}",
            user="ada",
            query=f"query {i}? {EVIL}",
            truth="never shown",
            system_a="memory",
            system_b="vanilla",
            response_a=f"of a {i} {EVIL}",
            response_b=f"of b {i}",
            earlier=(Turn(by_author=True, text="I said so"),),
            user_content=(f"I wrote {EVIL}", "write me at ada@example.org"),
        )
        for i in range(N)
    ]
    write_records(tmp_path / "pairs.jsonl", pairs)
    arguments = ["judge", "sheet", str(tmp_path / "pairs.jsonl"), "--n", str(N)]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "sheet")])
    assert done.exit_code == 0, done.output
    return tmp_path / "sheet"


def rows(file: Path) -> list[list[str]]:
    """Read a CSV."""
    with file.open(newline="", encoding="utf-8") as table:
        return list(csv.reader(table))


def key_of(sheet: Path) -> Key:
    """Read a sheet's key."""
    return read_key(sheet / "key.json")


def test_from_key_presses_to_agreement(start: Start, sheet: Path, tmp_path: Path) -> None:
    """A person prefers the same system in every pair; the CSV says so to `judge agree`."""
    browser = start()
    browser.open(sheet / "sheet.html")
    for entry in key_of(sheet).pairs:
        assert browser.text("#where") == f"Pair {entry.pair} of {N}"
        shown = "#response-1 p" if entry.first == "a" else "#response-2 p"
        assert browser.text(shown).startswith("of a ")
        browser.press(*("1" if entry.first == "a" else "-1"))
    assert browser.text("#rated") == f"{N} rated"
    assert browser.text("#hint") == "All rated: save the CSV"
    browser.click("#save")
    saved = browser.downloaded()
    assert saved.name == f"labels-{key_of(sheet).sheet}.csv"
    assert browser.console == []

    judged = tmp_path / "judge.jsonl"
    arguments = [str(tmp_path / "pairs.jsonl"), "--judge", "stand-in", "--despite-probe"]
    done = CliRunner().invoke(app, ["judge", "run", *arguments, "--out", str(judged)])
    assert done.exit_code == 0, done.output
    options = ["--key", str(sheet / "key.json"), "--judge", str(judged), "--json"]
    done = CliRunner().invoke(app, ["judge", "agree", str(saved), *options])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    (humans,) = found["humans"]
    assert (humans["system_a"], humans["wins"], humans["n"]) == ("memory", N, N)
    assert found["against"][0]["n"] == N


def test_each_key_does_what_it_says(start: Start, sheet: Path) -> None:
    """1, 0, a minus with a 1 after it, arrows both ways, and nothing for other keys."""
    browser = start()
    browser.open(sheet / "sheet.html")
    browser.press("ArrowLeft")
    assert browser.text("#where") == f"Pair 1 of {N}"
    browser.press("1", "0", "-", "1", "x")
    assert browser.text("#where") == f"Pair 4 of {N}"
    browser.press("ArrowLeft")
    assert browser.run("document.querySelector('#response-2').className") == "chosen"
    assert browser.run("document.querySelector('[aria-pressed=true]').dataset.label") == "-1"
    browser.press("-", "x", "1")  # any other key takes the minus back
    browser.press("ArrowRight", "ArrowRight", "ArrowRight")
    assert browser.text("#where") == f"Pair {N} of {N}"
    browser.click("#save")
    sheet_name = key_of(sheet).sheet
    labels = ["1", "0", "1", "", ""]
    wanted = [[sheet_name, str(i), label] for i, label in enumerate(labels, start=1)]
    assert rows(browser.downloaded()) == [["sheet", "pair", "label"], *wanted]


def test_answers_outlive_the_browser(start: Start, sheet: Path) -> None:
    """Closed and opened again, it goes on at the first pair without a label."""
    browser = start()
    browser.open(sheet / "sheet.html")
    browser.press("1", "0")
    time.sleep(1)  # storage reaches the disk a moment later
    browser.close()
    browser = start()
    browser.open(sheet / "sheet.html")
    assert browser.text("#where") == f"Pair 3 of {N}"
    assert browser.text("#rated") == "2 rated"
    browser.press("ArrowLeft")
    assert browser.run("document.querySelector('[aria-pressed=true]').dataset.label") == "0"


@pytest.mark.parametrize("width", [320, 400])
def test_buttons_serve_who_has_no_keyboard(start: Start, sheet: Path, width: int) -> None:
    """On a phone: every button is on the screen, and nothing sticks out at the side."""
    browser = start()
    browser.size(width, 640, mobile=True)
    browser.open(sheet / "sheet.html")
    for label in ("1", "0", "-1"):
        browser.click(f"[data-label='{label}']")
    browser.click("#back")
    assert browser.text("#where") == f"Pair 3 of {N}"
    assert browser.text("#rated") == "3 rated"
    assert browser.run("document.documentElement.scrollWidth") == width
    browser.click("#save")
    assert [row[2] for row in rows(browser.downloaded())[1:]] == ["1", "0", "-1", "", ""]


def test_a_laptop_shows_all_of_a_pair(start: Start, sheet: Path) -> None:
    """Conversation, own content, both responses and the buttons, without scrolling."""
    browser = start()
    browser.size(1366, 768)
    browser.open(sheet / "sheet.html")
    assert browser.run("document.querySelector('#own').open")
    lowest = browser.run("document.querySelector('.responses').getBoundingClientRect().bottom")
    assert lowest < browser.run("document.querySelector('footer').getBoundingClientRect().top")


def test_texts_are_never_markup(start: Start, sheet: Path) -> None:
    """A script in a response is read, not run; an address is masked; the truth is not there."""
    browser = start()
    browser.size(1366, 768)
    browser.open(sheet / "sheet.html")
    assert EVIL in browser.text("#pair")
    assert "[e-mail]" in browser.text("#content")
    assert browser.run("window.hit") is None
    assert browser.run("document.querySelector('main img')") is None
    page = (sheet / "sheet.html").read_text()
    for hidden in ("never shown", "memory", "vanilla", "ada@example.org"):
        assert hidden not in page


def test_the_page_fetches_nothing(start: Start, sheet: Path) -> None:
    """It works offline: no request but for the file itself."""
    browser = start()
    browser.open(sheet / "sheet.html")
    assert browser.run("performance.getEntriesByType('resource').length") == 0


def test_without_storage_it_says_so(start: Start, tmp_path: Path) -> None:
    """Where the browser keeps nothing, a warning asks to save the CSV."""
    pair = Pair(
        id="p",
        user="u",
        query="q",
        truth="t",
        system_a="a",
        system_b="b",
        response_a="",
        response_b="y",
    )
    page = sheet_page(make_sheet([pair], n=1))
    broken = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }});"
    (tmp_path / "page.html").write_text(page.replace('"use strict";', f'"use strict"; {broken}'))
    browser = start()
    browser.open(tmp_path / "page.html")
    assert "keeps nothing" in browser.text("#warning")
    assert "(nothing)" in browser.text("main")
    assert browser.run("document.querySelector('#own').hidden")
    browser.press("0")
    assert browser.text("#rated") == "1 rated"
