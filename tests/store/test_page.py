"""The page about someone: what it says, that it holds nothing it should not, and how it is made."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lorecall.errors import ConfigError, IntegrityError
from lorecall.records import Interval
from lorecall.store import Person, Store
from lorecall.store.histories import history_of
from lorecall.store.page import write_person_page
from stores import HARMLESS, FakeBuilder, invoke, write_days

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Reads a page: its text, and whether its elements are nested rightly."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        assert not [value for name, value in attrs if name in {"src", "href", "onclick"}]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that what is closed is what was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note what a reader sees."""
        if not {"script", "style"} & {*self._open}:
            self.seen.append(data)

    @property
    def text(self) -> str:
        """What a reader sees, spaces squeezed."""
        return " ".join(" ".join(self.seen).split())


@pytest.fixture
def ada(store: Store, days: Path, builder: FakeBuilder) -> Person:
    """Return someone with a destroyed version, one that is there, and one that was held back."""
    ada = store.person("<b>ada</b>")
    ada.remember(days)
    ada.update()
    ada.forget(like="day number 7", suppress=True)
    ada.remember(write_days(days, range(36)))
    builder.measured = replace(HARMLESS, general=3.6)
    ada.update()
    return ada


def test_a_page_tells_the_history(ada: Person, tmp_path: Path) -> None:
    """Versions with what was measured, what was forgotten, the certificate; names are escaped."""
    ada.write_page(tmp_path / "ada.html")
    page = Page(tmp_path / "ada.html")
    assert "<b>ada</b> in the store" in page.text
    assert "Version 2 answers." in page.text
    assert "3 , of which" not in page.text
    assert "v3" in page.text
    assert "rises by 0.100 nats per token, and 0.02 are allowed" in page.text
    assert "4.000 4.200 without it, 3 replies" in page.text
    assert "Certificate of forgetting" in page.text
    assert "kept out from now on 1" in page.text
    assert page.tags.count("article") == 1
    assert page.tags.count("figure") == 3
    assert "day number" not in page.text


def test_personal_gain_is_shown_where_it_was_read(ada: Person, tmp_path: Path) -> None:
    """With its interval; and how many other people's memories it is over."""
    found = history_of(ada._site, ada._who(), ada.name)
    gains = {2: Interval(value=0.12, low=0.02, high=0.2)}
    write_person_page(replace(found, gains=gains, n_others=2), tmp_path / "ada.html")
    page = Page(tmp_path / "ada.html")
    assert "+0.120 [+0.020, +0.200]" in page.text
    assert "read with 2 other people's memories" in page.text
    assert page.tags.count("figure") == 4


def test_someone_without_a_version_has_a_page(store: Store, days: Path, tmp_path: Path) -> None:
    """Which says so."""
    store.person("bob").remember(days)
    store.person("bob").write_page(tmp_path / "bob.html", n_others=2)
    text = Page(tmp_path / "bob.html").text
    assert "No memory answers now: the base does." in text
    assert "None was built yet." in text
    assert "Nothing yet." in text


def test_pages_of_the_command_line(ada: Person, tmp_path: Path) -> None:
    """Of a person, and of a certificate without the store; never a page of one that was changed."""
    store, page = ("--store", ada._site.place), tmp_path / "page.html"
    assert invoke("report", "--person", ada.name, "--out", page, *store).exit_code == 0
    assert "Version 2 answers." in Page(page).text
    for arguments in (("report",), ("report", "runs", "--person", "ada")):
        assert isinstance(invoke(*arguments).exception, ConfigError)
    (made,) = ada.log().certificates
    made.save(tmp_path / "made.json")
    alone = tmp_path / "alone.html"
    assert invoke("verify", tmp_path / "made.json", "--page", alone).exit_code == 0
    assert "forgotten 1 records and 1 versions built from them are destroyed" in Page(alone).text
    alone.unlink()
    (tmp_path / "made.json").write_text(made.envelope.replace("A", "B", 1))
    refused = invoke("verify", tmp_path / "made.json", "--page", alone)
    assert isinstance(refused.exception, IntegrityError)
    assert not alone.exists()
