"""What a run leaves, looked at in a real browser: the page, and the study in optuna-dashboard."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner

from browser import Browser
from lorecall.cli.app import app
from lorecall.records import InjectionConfig, TrialOutcome
from lorecall.report.html import write_report
from lorecall.search.loop import Search
from lorecall.search.space import InjectionSpace
from lorecall.settings import SearchSettings
from made_up import build_result, without_a_search

DASHBOARD = Path(sys.executable).with_name("optuna-dashboard")
CHARTS = ("chart-swapped", "chart-curves")
OF_SEARCH = ("chart-pareto", "chart-hypervolume")
IMPORTANCE = ("importance-0", "importance-1")
LANDSCAPE, PHONE, SMALL_PHONE = (1200, 1000), (400, 800), (320, 568)

Change = Callable[..., Path]


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start one browser with an empty profile for all tests of this file."""
    started = Browser(
        chromium,
        profile=tmp_path_factory.mktemp("profile"),
        downloads=tmp_path_factory.mktemp("downloads"),
    )
    yield started
    started.close()


@pytest.fixture(autouse=True)
def _screen(browser: Browser) -> None:
    """Undo what the test before chose."""
    browser.size(*LANDSCAPE)
    browser.prefer("light")


@pytest.fixture(scope="module")
def run_folder(
    browser: Browser,  # noqa: ARG001 - no run is made where nothing can look at it
    tmp_path_factory: pytest.TempPathFactory,
    history_file: Path,
    model_folder: Path,
) -> Path:
    """Return the folder of one finished run with its page: two random trials, one suggested."""
    out = tmp_path_factory.mktemp("runs") / "ada"
    learn = [
        "learn",
        *("--history", str(history_file), "--user", "ada", "--model", str(model_folder)),
        *("--device", "cpu", "--out", str(out), "--search", "paper", "--set", "trials=3"),
        *("--set", "initial=2", "--set", "samples=8", "--set", "max_epochs=1"),
    ]
    for arguments in (learn, ["report", str(out)]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    return out


@pytest.fixture
def page(browser: Browser, run_folder: Path) -> Browser:
    """Open the run's page."""
    browser.open(run_folder / "report.html")
    return browser


@pytest.fixture
def changed_page(run_folder: Path, tmp_path: Path) -> Change:
    """Return the run's page with other values in its result."""

    def change(**values: object) -> Path:
        result = json.loads((run_folder / "result.json").read_text())
        (tmp_path / "result.json").write_text(json.dumps(result | values))
        done = CliRunner().invoke(app, ["report", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return tmp_path / "report.html"

    return change


@pytest.fixture(scope="module")
def dashboard(run_folder: Path) -> Iterator[str]:
    """Serve the run's study by optuna-dashboard; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [DASHBOARD, _url(run_folder), "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}/dashboard"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "optuna-dashboard ended before it served anything"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("optuna-dashboard served nothing in a minute")


class TestPage:
    """`lorecall report`."""

    def test_every_chart_is_drawn_without_an_error(self, page: Browser) -> None:
        """Lines, points or bars in each, and nothing on the console."""
        assert page.console == []
        for name in (*CHARTS, *OF_SEARCH, *IMPORTANCE):
            assert page.run(f"document.querySelectorAll('#{name} :is(.js-line, .point)').length")

    def test_importance_shows_its_quartiles(self, page: Browser) -> None:
        """A whisker a bar: three layers, n and r."""
        for name in IMPORTANCE:
            assert page.run(f"document.querySelectorAll('#{name} .yerror').length") == 3 + 2

    @pytest.mark.parametrize("screen", [SMALL_PHONE, PHONE, (1400, 900)])
    def test_charts_are_as_wide_as_the_page_allows(
        self, browser: Browser, run_folder: Path, screen: tuple[int, int]
    ) -> None:
        """On telephones and on a large screen."""
        browser.size(*screen)
        browser.open(run_folder / "report.html")
        for name in (*CHARTS, *OF_SEARCH, *IMPORTANCE):
            drawn = browser.run(f"document.querySelector('#{name} .main-svg').clientWidth")
            assert 0.8 * min(screen[0], 1000) < drawn <= min(screen[0], 1000)

    @pytest.mark.parametrize("screen", [SMALL_PHONE, PHONE])
    def test_a_phone_scrolls_up_and_down_alone(
        self, browser: Browser, run_folder: Path, screen: tuple[int, int]
    ) -> None:
        """Tables scroll in a box of their own; the settings are unfolded."""
        browser.size(*screen, mobile=True)
        browser.open(run_folder / "report.html")
        browser.run("document.querySelector('details').open = true")
        assert browser.run("document.documentElement.scrollWidth") == screen[0]

    def test_the_dark_is_dark(self, browser: Browser, run_folder: Path) -> None:
        """Where the reader's system asks for it, charts included; text stays readable."""
        browser.prefer("dark")
        browser.open(run_folder / "report.html")
        behind = _brightness(browser, "body", "backgroundColor")
        assert behind < 60
        for text in ("body", ".facts dt", "#chart-pareto .xtitle", "#chart-pareto .legendtext"):
            color = "fill" if "chart" in text else "color"
            assert _brightness(browser, text, color) > behind + 90, text

    def test_without_a_surrogate_the_rest_is_drawn(
        self, browser: Browser, changed_page: Change
    ) -> None:
        """A search of random trials alone has no importance."""
        browser.open(changed_page(importance={}))
        assert browser.console == []
        assert "too few trials" in browser.text("main")
        assert browser.run("document.querySelector('#importance-0')") is None
        for name in (*CHARTS, *OF_SEARCH):
            assert browser.run(f"document.querySelectorAll('#{name} .main-svg').length")

    @pytest.mark.parametrize("screen", [SMALL_PHONE, PHONE, LANDSCAPE])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_a_run_without_a_search_and_with_others(
        self,
        browser: Browser,
        tmp_path: Path,
        screen: tuple[int, int],
        scheme: str,
    ) -> None:
        """Everyone's memory side by side; nothing of a search, nothing wider than the screen."""
        write_report(without_a_search(build_result()), tmp_path / "report.html")
        browser.size(*screen, mobile=screen != LANDSCAPE)
        browser.prefer(scheme)
        browser.open(tmp_path / "report.html")
        assert browser.console == []
        assert browser.run("document.documentElement.scrollWidth") == screen[0]
        for name in CHARTS:
            assert browser.run(f"document.querySelectorAll('#{name} :is(.js-line, .point)').length")
        assert browser.run("document.querySelector('#chart-pareto, #trials')") is None
        text = browser.text("main")
        for expected in ("another's", "1 of 3", "5 of 12", "1.5 by chance", "nothing of this"):
            assert expected in text
        paper = _brightness(browser, "body", "backgroundColor")
        for part in (".meanings dd", "#chart-swapped .ytick text", ".reply dd", "#sizes + dl dd"):
            style = "fill" if "chart" in part else "color"
            assert abs(_brightness(browser, part, style) - paper) > 90, part

    def test_a_script_in_a_text_is_not_run(self, browser: Browser, changed_page: Change) -> None:
        """Texts come from people and models."""
        evil = "<script>console.log('run')</script><img src=x onerror=console.log('run')>"
        importance = {evil: {evil: {"low": 0.1, "median": 0.2, "high": 0.3}}}
        browser.open(changed_page(user=evil, dataset=evil, importance=importance))
        assert browser.console == []
        assert evil in browser.text("body")

    @pytest.mark.parametrize(
        ("script", "said"),
        [
            ("throw new Error('boom')", "boom"),
            ("Promise.reject(new Error('late'))", "late"),
            ("console.log('run')", "run"),
        ],
    )
    def test_an_error_would_be_seen(
        self, browser: Browser, tmp_path: Path, script: str, said: str
    ) -> None:
        """The check on the console finds what it is there to find."""
        broken = tmp_path / "broken.html"
        broken.write_text(f"<!doctype html><title>broken</title><script>{script}</script>")
        browser.open(broken)
        (message,) = browser.console
        assert said in message


class TestDashboard:
    """`optuna-dashboard sqlite:///DIR/study.db`."""

    def test_the_study_is_listed(self, browser: Browser, dashboard: str, run_folder: Path) -> None:
        """By its name, with the two directions."""
        browser.open(dashboard)
        _wait_for_text(browser, _study(run_folder).study_name)
        assert "MINIMIZE, MAXIMIZE" in _squeezed(browser)

    def test_every_trial_is_there(self, browser: Browser, dashboard: str, run_folder: Path) -> None:
        """With its state, those of the front called best; the first is open, theta and values."""
        study = _study(run_folder)
        first = study.trials[0]
        browser.open(f"{dashboard}/studies/{study._study_id}/trials")
        _wait_for_text(browser, str(first.values[0]))
        text = _squeezed(browser)
        assert study.study_name in text
        best = {trial.number for trial in study.best_trials}
        for number in range(3):  # the open trial is shown twice, so marks are not counted
            assert f"Trial {number} Complete" in text
            assert (f"Trial {number} Complete Best Trial" in text) == (number in best)
        assert "Trial 3 " not in text
        for name, value in first.params.items():
            assert f"{name} {value}" in text

    def test_the_front_is_drawn(self, browser: Browser, dashboard: str, run_folder: Path) -> None:
        """The study's own page, with its charts."""
        browser.open(f"{dashboard}/studies/{_study(run_folder)._study_id}")
        _wait_for_text(browser, "Pareto Front")
        _wait_for_text(browser, "Best Trial")
        browser.wait("document.querySelectorAll('.main-svg').length >= 2")

    def test_trials_appear_while_a_search_goes_on(
        self, browser: Browser, dashboard: str, run_folder: Path
    ) -> None:
        """Another study in the same file, tried while the dashboard has it open."""
        for n_trials, last in ((2, 1), (4, 3)):
            settings = SearchSettings(trials=n_trials, initial=n_trials)
            search = Search(
                InjectionSpace(n_layers=3),
                settings=settings,
                seed=0,
                storage=_url(run_folder),
                study_name="another",
            )
            assert len(search.run(_finding).trials) == n_trials
            browser.open(f"{dashboard}/studies/{search.study._study_id}/trials")
            _wait_for_text(browser, f"Trial {last} Complete")
            assert f"Trial {last + 1} " not in _squeezed(browser)

    def test_a_study_that_is_not_there_shows_no_trial(
        self, browser: Browser, dashboard: str
    ) -> None:
        """What the other tests look for does not come from an empty page."""
        browser.open(f"{dashboard}/studies/99/trials")
        time.sleep(1)
        assert "Trial 0" not in _squeezed(browser)


def _squeezed(browser: Browser) -> str:
    """Return what a reader sees, spaces squeezed."""
    return " ".join(browser.text("body").split())


def _wait_for_text(browser: Browser, text: str) -> None:
    browser.wait(f"document.body.innerText.replace(/\\s+/g, ' ').includes({json.dumps(text)})")


def _brightness(browser: Browser, selector: str, style: str) -> float:
    """Return how bright an element's colour is, from 0 to 255."""
    found = browser.run(f"getComputedStyle(document.querySelector('{selector}')).{style}")
    return sum(map(float, re.findall(r"[\d.]+", found)[:3])) / 3


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'study.db'}"


def _study(folder: Path) -> optuna.Study:
    """Load the run's own study."""
    names = [n for n in optuna.get_all_study_names(_url(folder)) if n.startswith("ada.jsonl-ada-")]
    return optuna.load_study(study_name=names[0], storage=_url(folder))


def _finding(config: InjectionConfig) -> TrialOutcome:
    """Stand for a model: more rank lowers the loss, fewer layers raise ROUGE-L."""
    loss, rouge_l = 4.0 - 0.001 * sum(config.ranks().values()), 10.0 - len(config.layers)
    return TrialOutcome(
        loss=loss,
        rouge_l=rouge_l,
        rouge_l_error=0.1,
        n_parameters=sum(config.ranks().values()),
        n_tokens=100,
        curve=((0.0, 5.0), (1.0, loss)),
        train_s=1.0,
        evaluate_s=0.5,
    )
