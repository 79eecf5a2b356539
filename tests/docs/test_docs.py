"""What is written holds: links lead somewhere, commands are there, the site builds by itself."""

import ast
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

import lorecall
from lorecall.bench.settings import BENCH
from lorecall.cli.app import app
from lorecall.core.options import Sections, options_of, read_options
from lorecall.learning.share_settings import SHARE
from lorecall.settings import LEARN

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "experiments/LOG.md")
WITH_COMMANDS = [
    page.relative_to(ROOT)
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "\nlorecall " in page.read_text(encoding="utf-8")
]
WITH_PYTHON = [
    page.relative_to(ROOT)
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "```python" in page.read_text(encoding="utf-8")
]
MAX_README = 90
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_OUTSIDE = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=\"https?://")


def links_of(page: Path) -> list[str]:
    """Return what a page links to, but for other hosts."""
    found = _LINK.findall(page.read_text(encoding="utf-8"))
    return [link for link in found if not re.match(r"https?:|mailto:", link)]


def commands_of(text: str) -> list[list[str]]:
    """Return the words of each command in blocks of code, what follows `lorecall`."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines if line.startswith("lorecall ")]
    return [command[1:] for command in words]


def names_of(group: Sections) -> set[str]:
    """Return the full names of options."""
    return {option.full_name for name, of in group.items() for option in options_of(of, name)}


def anchors_of(page: Path) -> list[str]:
    """Return the anchors of a page's titles, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    """To a file that is there, or to a title of the page itself."""
    page = ROOT / name
    for link in links_of(page):
        place, _, anchor = link.partition("#")
        assert (page.parent / place).exists(), link
        assert place or anchor in anchors_of(page), link


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    """The test above can fail."""
    page = tmp_path / "page.md"
    page.write_text("# One title\n[a](https://host/x) [b](there.md) [c](#one-title)\n")
    assert links_of(page) == ["there.md", "#one-title"]
    assert anchors_of(page) == ["one-title"]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_every_command_is_there(page: Path) -> None:
    """With its options, and those that are set by name."""
    names = {name for group in (LEARN, SHARE, BENCH) for name in names_of(group)}
    for command in commands_of((ROOT / page).read_text(encoding="utf-8")):
        at, rest = get_command(app), list(command)
        while isinstance(at, TyperGroup) and rest[0] in at.commands:
            at = at.commands[rest.pop(0)]
        known = {flag for each in at.params for flag in (*each.opts, *each.secondary_opts)}
        assert {word for word in rest if word.startswith("--")} <= known, command
        for flag, value in pairwise(rest):
            assert flag != "--set" or value.split("=")[0] in names, command


def test_a_wrong_command_is_seen() -> None:
    """The test above can fail."""
    text = "```\n$ lorecall ask --nothing 'a b'  # says\nlorecall\n```\nlorecall is none\n"
    assert commands_of(text) == [["ask", "--nothing", "a b"]]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=str)
def test_what_is_imported_is_there(page: Path) -> None:
    """In every block of Python; a package of the reader's own is called `my_...`."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for node in ast.parse(block).body:
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), block
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
        for name in re.findall(r"\blorecall\.(\w+)\(", block):
            assert name in lorecall.__all__, name


def test_the_file_of_options_is_read(tmp_path: Path) -> None:
    """The one that the page shows."""
    page = (ROOT / "docs" / "howto" / "config.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "mine.toml"
    file.write_text(block)
    assert read_options(LEARN, file=file, texts=())["search.trials"] == 12


def test_readme_is_short() -> None:
    """One page."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MAX_README


def test_every_entry_of_the_log_is_in_its_contents() -> None:
    """Newest first, each under a question."""
    log = ROOT / "experiments" / "LOG.md"
    text = log.read_text(encoding="utf-8")
    titles = re.findall(r"^## (\d{4}-\d\d-\d\d): ", text, re.MULTILINE)
    assert titles == sorted(titles, reverse=True)
    dated = [anchor for anchor in anchors_of(log) if anchor[0].isdigit()]
    assert sorted(dated) == sorted(link[1:] for link in links_of(log) if link.startswith("#"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built site; skipped where mkdocs is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("mkdocs", "material")):
        pytest.skip("mkdocs is not installed: pip install --group docs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds(site: Path) -> None:
    """With the command line and the options from the code."""
    commands = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert "lorecall data check" in commands
    assert "lorecall bench render" in commands
    options = (site / "reference" / "options.html").read_text(encoding="utf-8")
    assert all(name in options for name in ("train.learning_rate", "share.replies", "design.rank"))
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert 'id="lorecall.learn"' in python


def test_no_page_asks_another_host(site: Path) -> None:
    """Neither for a script nor for a font nor for a picture."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert _OUTSIDE.findall(page.read_text(encoding="utf-8")) == []
