"""What a run leaves, looked at in a real browser: the page, and the study in optuna-dashboard."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner

from lorecall.cli.app import app
from lorecall.records import InjectionConfig, TrialOutcome
from lorecall.search.loop import Search
from lorecall.search.space import InjectionSpace
from lorecall.settings import SearchSettings

DASHBOARD = Path(sys.executable).with_name("optuna-dashboard")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"),
)
CHARTS = ("chart-pareto", "chart-hypervolume", "chart-curves", "chart-parallel")
IMPORTANCE = ("importance-0", "importance-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A page after its scripts have run: its DOM, and what the browser said on its console."""

    dom: str
    console: tuple[str, ...]

    @property
    def text(self) -> str:
        """What a reader may see, spaces squeezed."""
        shown = re.sub(r"<(script|style)\b.*?</\1>", " ", self.dom, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", shown)).split())

    def chart(self, name: str) -> str:
        """Return what is inside one of the charts' places: up to the caption under it."""
        start = self.dom.index(f'<div id="{name}"')
        return self.dom[start : self.dom.index("<figcaption>", start)]


Browse = Callable[..., Seen]
Change = Callable[..., Path]


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Open an address in a browser with an empty profile."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)} was found")
    profile = tmp_path_factory.mktemp("profile")

    def look(address: str, *, width: int = 1200) -> Seen:
        done = subprocess.run(
            [browser, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},1000", address],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        console = re.findall(r"CONSOLE[:(]\d+\)?\] (.*)", done.stderr)
        return Seen(dom=done.stdout, console=tuple(console))

    return look


@pytest.fixture(scope="module")
def run_folder(
    browse: Browse,  # noqa: ARG001 - no run is made where nothing can look at it
    tmp_path_factory: pytest.TempPathFactory,
    history_file: Path,
    model_folder: Path,
) -> Path:
    """Return the folder of one finished run with its page: two random trials, one suggested."""
    out = tmp_path_factory.mktemp("runs") / "ada"
    learn = [
        "learn",
        *("--history", str(history_file), "--user", "ada", "--model", str(model_folder)),
        *("--device", "cpu", "--out", str(out), "--trials", "3", "--initial", "2"),
        *("--samples", "8", "--epochs", "1"),
    ]
    for arguments in (learn, ["report", str(out)]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def page(browse: Browse, run_folder: Path) -> Seen:
    """Open the run's page once."""
    return browse((run_folder / "report.html").as_uri())


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

    def test_every_chart_is_drawn_without_an_error(self, page: Seen) -> None:
        """Lines, points or bars in each, and nothing on the console."""
        assert page.console == ()
        for name in (*CHARTS, *IMPORTANCE):
            assert re.search('class="(js-line|point)"', page.chart(name)), name

    def test_importance_shows_its_quartiles(self, page: Seen) -> None:
        """A whisker a bar: three layers, n and r."""
        for name in IMPORTANCE:
            assert page.chart(name).count('class="yerror"') == 3 + 2

    @pytest.mark.parametrize("width", [500, 1400])
    def test_charts_are_as_wide_as_the_page_allows(
        self, browse: Browse, run_folder: Path, width: int
    ) -> None:
        """On a telephone and on a large screen; 500 is as narrow as a browser's window gets."""
        seen = browse((run_folder / "report.html").as_uri(), width=width)
        for name in (*CHARTS, *IMPORTANCE):
            drawn = re.search(r'<svg class="main-svg"[^>]* width="([\d.]+)"', seen.chart(name))
            assert drawn is not None
            assert 0.8 * min(width, 1000) < float(drawn[1]) <= min(width, 1000)

    def test_parallel_coordinates_name_their_axes(self, page: Seen) -> None:
        """What a reader needs to follow a line."""
        chart = page.chart("chart-parallel")
        for name in ("layers", "lowest layer", "highest layer", "n", "r", "parameters", "chosen"):
            assert f">{name}</text>" in chart

    def test_without_a_surrogate_the_rest_is_drawn(
        self, browse: Browse, changed_page: Change
    ) -> None:
        """A search of random trials alone has no importance."""
        seen = browse(changed_page(importance={}).as_uri())
        assert seen.console == ()
        assert "too few trials" in seen.text
        assert 'id="importance-0"' not in seen.dom
        assert all("main-svg" in seen.chart(name) for name in CHARTS)

    def test_a_script_in_a_text_is_not_run(self, browse: Browse, changed_page: Change) -> None:
        """Texts come from people and models."""
        evil = "<script>console.log('run')</script><img src=x onerror=console.log('run')>"
        importance = {evil: {evil: {"low": 0.1, "median": 0.2, "high": 0.3}}}
        seen = browse(changed_page(user=evil, dataset=evil, importance=importance).as_uri())
        assert seen.console == ()
        assert evil in seen.text

    @pytest.mark.parametrize(
        ("script", "said"),
        [
            ("throw new Error('boom')", "boom"),
            ("Promise.reject(new Error('late'))", "late"),
        ],
    )
    def test_an_error_would_be_seen(
        self, browse: Browse, tmp_path: Path, script: str, said: str
    ) -> None:
        """The check on the console finds what it is there to find."""
        broken = tmp_path / "broken.html"
        broken.write_text(f"<!doctype html><title>broken</title><script>{script}</script>")
        (message,) = browse(broken.as_uri()).console
        assert said in message


class TestDashboard:
    """`optuna-dashboard sqlite:///DIR/study.db`."""

    def test_the_study_is_listed(self, browse: Browse, dashboard: str, run_folder: Path) -> None:
        """By its name, with the two directions."""
        seen = browse(dashboard)
        assert _study(run_folder).study_name in seen.text
        assert "MINIMIZE, MAXIMIZE" in seen.text

    def test_every_trial_is_there(self, browse: Browse, dashboard: str, run_folder: Path) -> None:
        """With its state, those of the front called best; the first is open, theta and values."""
        study = _study(run_folder)
        text = browse(f"{dashboard}/studies/{study._study_id}/trials").text
        assert study.study_name in text
        for number in range(3):
            assert f"Trial {number} Complete" in text
        assert "Trial 3 " not in text
        assert text.count("Best Trial") == len(study.best_trials)
        first = study.trials[0]
        for name, value in first.params.items():
            assert f"{name} {value}" in text
        assert str(first.values[0]) in text

    def test_the_front_is_drawn(self, browse: Browse, dashboard: str, run_folder: Path) -> None:
        """The study's own page, with its charts."""
        study = _study(run_folder)
        seen = browse(f"{dashboard}/studies/{study._study_id}")
        assert "Pareto Front" in seen.text
        assert "Best Trial" in seen.text
        assert seen.dom.count('class="main-svg"') >= 2

    def test_trials_appear_while_a_search_goes_on(
        self, browse: Browse, dashboard: str, run_folder: Path
    ) -> None:
        """Another study in the same file, tried while the dashboard has it open."""
        seen: list[str] = []
        for n_trials in (2, 4):
            settings = SearchSettings(trials=n_trials, initial=n_trials)
            search = Search(
                InjectionSpace(n_layers=3),
                settings=settings,
                seed=0,
                storage=_url(run_folder),
                study_name="another",
            )
            assert len(search.run(_finding).trials) == n_trials
            address = f"{dashboard}/studies/{search.study._study_id}/trials"
            seen.append(browse(address).text)
        assert ["Trial 1 Complete" in text for text in seen] == [True, True]
        assert ["Trial 3 Complete" in text for text in seen] == [False, True]

    def test_a_study_that_is_not_there_shows_no_trial(self, browse: Browse, dashboard: str) -> None:
        """What the other tests look for does not come from an empty page."""
        assert "Trial 0" not in browse(f"{dashboard}/studies/99/trials").text


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
