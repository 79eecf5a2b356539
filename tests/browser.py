"""A real browser, driven over its DevTools protocol, which comes with every Chromium."""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-pipe", "--hide-scrollbars", "about:blank"),
)
KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "1": 49, "0": 48, "-": 189, "x": 88}
LOUD = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
# The browser reads commands from descriptor 3 and answers on descriptor 4.
EXECUTE = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]  # out of the way
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


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

    def open(self, page: Path | str) -> None:
        """Open a file or an address and wait until its scripts have run."""
        self.console.clear()
        self._send("Page.navigate", url=page.as_uri() if isinstance(page, Path) else page)
        self.wait("document.readyState === 'complete'")
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def run(self, script: str) -> Any:
        """Evaluate JavaScript in the page."""
        options = {"returnByValue": True, "awaitPromise": True}
        result = self._send("Runtime.evaluate", expression=script, **options)
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
        """Give the page the screen of a laptop or a phone."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        self._send("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def prefer(self, scheme: str) -> None:
        """Ask pages to be `dark` or `light`, as a reader's system does."""
        wish = {"name": "prefers-color-scheme", "value": scheme}
        self._send("Emulation.setEmulatedMedia", features=[wish])

    def picture(self, path: Path) -> None:
        """Save the whole page as a PNG, to be looked at."""
        taken = self._send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

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
        for _ in range(600):
            if self.run(condition):
                return
            time.sleep(0.05)
        pytest.fail(f"not so in half a minute: {condition}")

    def close(self) -> None:
        """End the browser, if it has not ended, and keep what it stored."""
        if self._process.poll() is not None:
            return
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
            if answer.get("method") in LOUD:
                self.console.append(json.dumps(answer["params"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._heard:
            piece = os.read(self._answers, 1 << 16)
            assert piece, "the browser ended"
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\0")
        return json.loads(line)
