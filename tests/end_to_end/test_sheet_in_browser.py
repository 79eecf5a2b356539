"""The page of blind pairs, used in a real browser: keys, storage, and the CSV it saves.

The browser is driven over its DevTools protocol, which comes with every Chromium.
"""

import base64
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lorecall.cli.app import app
from lorecall.judge.pairs import Pair, write_pairs
from lorecall.judge.sheet import Key, make_sheet, read_key, render
from lorecall.records import Turn

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-pipe", "--hide-scrollbars", "about:blank"),
)
KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "1": 49, "0": 48, "-": 189, "x": 88}
# The browser reads commands from descriptor 3 and answers on descriptor 4.
EXECUTE = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]  # out of the way
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
EVIL = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
N = 5


class Browser:
    """A headless browser with one page, driven over a pipe.

    Args:
        program: The browser.
        profile: Folder of its profile; the storage of pages is kept there.
        downloads: Where files are saved.
    """

    def __init__(self, program: str, *, profile: Path, downloads: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        arguments = [program, f"--user-data-dir={profile}", *FLAGS]
        self._process = subprocess.Popen(
            [sys.executable, "-c", EXECUTE, str(commands), str(answers), *arguments],
            pass_fds=(commands, answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._heard = b""
        self._n = 0
        self._session: str | None = None
        self.console: list[str] = []
        self.downloads = downloads
        page = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=page, flatten=True)
        self._send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def open(self, page: Path) -> None:
        """Open a page and wait until its scripts have run."""
        self._send("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Evaluate JavaScript in the page."""
        result = self._send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def text(self, selector: str) -> str:
        """Return the text a reader sees in an element."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, *keys: str) -> None:
        """Press keys, as a person does."""
        for key in keys:
            code = {"key": key, "windowsVirtualKeyCode": KEYS[key]}
            typed = {"text": key} if len(key) == 1 else {}
            self._send("Input.dispatchKeyEvent", type="keyDown", **code, **typed)
            self._send("Input.dispatchKeyEvent", type="keyUp", **code)

    def click(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        box = self.run(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._send(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="left",
                clickCount=1,
            )

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Return the page the screen of a laptop or a phone."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        self._send("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def picture(self, path: Path) -> None:
        """Save what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))

    def downloaded(self) -> Path:
        """Wait for the one file that is being saved."""
        for _ in range(200):
            files = [file for file in self.downloads.iterdir() if file.suffix == ".csv"]
            if files:
                return files[0]
            time.sleep(0.05)
        pytest.fail("the browser saved no file in ten seconds")

    def wait(self, condition: str) -> None:
        """Wait until a condition holds in the page."""
        for _ in range(200):
            if self.run(condition):
                return
            time.sleep(0.05)
        pytest.fail(f"not so in ten seconds: {condition}")

    def close(self) -> None:
        """End the browser and keep what it stored."""
        self._session = None
        self._send("Browser.close")
        self._process.wait(timeout=30)
        os.close(self._commands)
        os.close(self._answers)

    def _send(self, method: str, **parameters: Any) -> Any:
        self._n += 1
        message: dict[str, Any] = {"id": self._n, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._n:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            if answer.get("method") in {"Log.entryAdded", "Runtime.exceptionThrown"}:
                self.console.append(json.dumps(answer["params"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._heard:
            piece = os.read(self._answers, 1 << 16)
            assert piece, "the browser ended"
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\0")
        return json.loads(line)


Start = Callable[[], Browser]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a browser; started again, it has kept what pages stored."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)} was found")
    started: list[Browser] = []
    (tmp_path / "downloads").mkdir()

    def launch() -> Browser:
        browser = Browser(program, profile=tmp_path / "profile", downloads=tmp_path / "downloads")
        started.append(browser)
        return browser

    yield launch
    for browser in started:
        if browser._process.poll() is None:
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
    write_pairs(tmp_path / "pairs.jsonl", pairs)
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


def test_buttons_serve_who_has_no_keyboard(start: Start, sheet: Path) -> None:
    """On a phone: every button is on the screen, and nothing sticks out at the side."""
    browser = start()
    browser.size(360, 640, mobile=True)
    browser.open(sheet / "sheet.html")
    for label in ("1", "0", "-1"):
        browser.click(f"[data-label='{label}']")
    browser.click("#back")
    assert browser.text("#where") == f"Pair 3 of {N}"
    assert browser.text("#rated") == "3 rated"
    assert browser.run("document.documentElement.scrollWidth") == 360
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
    page = render(make_sheet([pair], n=1))
    broken = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }});"
    (tmp_path / "page.html").write_text(page.replace('"use strict";', f'"use strict"; {broken}'))
    browser = start()
    browser.open(tmp_path / "page.html")
    assert "keeps nothing" in browser.text("#warning")
    assert "(nothing)" in browser.text("main")
    assert browser.run("document.querySelector('#own').hidden")
    browser.press("0")
    assert browser.text("#rated") == "1 rated"
