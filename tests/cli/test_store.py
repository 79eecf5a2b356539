"""The verbs of a store, from a file to a certificate: what they print, and how they end."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lorecall.cli.store_place import person_at
from lorecall.errors import (
    ConfigError,
    ConflictError,
    InputError,
    IntegrityError,
    LorecallError,
    MissingError,
    PendingError,
)
from lorecall.lm.families.tiny import tiny_base
from stores import invoke, printed, write_days


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a base, days, and a store with a version that the commands made."""
    folder = tmp_path_factory.mktemp("stores")
    tiny = tiny_base()
    tiny.model.save_pretrained(folder / "base")
    tiny.tokenizer.save_pretrained(folder / "base")
    days = write_days(folder / "days.jsonl", range(30))
    result = invoke("remember", "ada", days, "--store", folder / "people")
    assert result.output == "added 30, known 0\n", result.exception
    result = invoke(*update(folder))
    assert result.exit_code == 0, (result.output, result.exception)
    assert "v1 from 30 records" in result.output
    return folder


def update(folder: Path) -> list[str | Path]:
    """Return the arguments of an update on the tiny base."""
    sets = ("base.shared=none", "train.factors=1.0")
    return [
        *("update", "ada", "--store", folder / "people", "--model", folder / "base"),
        *("--preset", "smoke", "--threads", "1"),
        *(part for each in sets for part in ("--set", each)),
    ]


def test_what_a_store_holds_is_shown_and_asked(place: Path) -> None:
    """The log, a version, a reply, an export; each says who it is of."""
    store = ("--store", place / "people")
    log = printed("log", "ada", *store)
    assert (log["schema"], log["head"], log["n_behind"]) == ("lorecall.log/1", 1, 0)
    assert "* v1" in invoke("log", "ada", *store).output
    shown = printed("show", "--person", "ada@1", *store)
    assert shown["version"] == log["versions"][0]  # pyright: ignore[reportIndexIssue]
    assert "v1, made" in invoke("show", "--person", "ada", *store).output
    reply = printed("ask", "and then?", "--person", "ada", *store)
    assert reply["replies"]["memory"] is not None  # pyright: ignore[reportIndexIssue]
    printed("export", "--person", "ada", "--zip", place / "ada.zip", *store)
    with zipfile.ZipFile(place / "ada.zip") as file:
        assert len(file.namelist()) == 4
    verified = printed("verify", "ada@1", *store)
    assert verified["digest"] == log["versions"][0]["digest"]  # pyright: ignore[reportIndexIssue]


def test_a_newcomer_forgets_a_sentence(place: Path) -> None:
    """Looks at what would go, lets it go, and has a certificate that needs no store."""
    store = ("--store", place / "people")
    found = printed("forget", "ada", "--like", "day number 7", "--dry-run", *store)
    assert (found["versions"], len(found["records"])) == ([1], 1)  # pyright: ignore[reportArgumentType]
    certificate = place / "certificate.json"
    result = invoke("forget", "ada", "--like", "day number 7", "--certificate", certificate, *store)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "forgotten: 1 records and 1 versions built from them are destroyed" in result.output
    assert "given away before" in result.output  # the export of the test before
    alone = printed("verify", certificate)
    assert (alone["own_key"], alone["certificate"]["verdict"]) == (None, "forgotten")  # pyright: ignore[reportIndexIssue]
    assert printed("verify", certificate, *store)["in_log"] is True
    printed("remember", "bob", place / "days.jsonl", "--store", place / "others")
    other = invoke("verify", certificate, "--store", place / "others")
    assert (other.exit_code, "not signed by this store" in other.output) == (5, True)
    refused = invoke("rollback", "ada", "1", *store)
    assert isinstance(refused.exception, MissingError)
    assert printed("rollback", "ada", "2", *store)["head"] == 2
    answer = invoke(
        "ask",
        "and then?",
        "--person",
        "bob",
        "--model",
        place / "base",
        "--store",
        place / "others",
    )
    assert "bob has no memory now: the base answers" in answer.output


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["log", "ada"], ConfigError),
        (["log", "eve", "--store", "people"], MissingError),
        (["log", "ada", "--store", "nowhere"], MissingError),
        (["log", "ada", "--store", "people", "--keys", "others-keys"], IntegrityError),
        (["remember", "ADA", "days.jsonl", "--store", "people"], ConflictError),
        (["forget", "ada", "--store", "people"], ConfigError),
        (["forget", "ada", "--all", "--like", "x", "--store", "people"], ConfigError),
        (["forget", "ada", "--resume", "--store", "people"], MissingError),
        (["ask", "hi"], ConfigError),
        (["ask", "hi", "--memory", "runs", "--person", "ada"], ConfigError),
        (["show"], ConfigError),
        (["export", "runs", "--zip", "x.zip"], ConfigError),
        (["export", "runs"], ConfigError),
        (["update", "ada", "--if-version", "9", "--store", "people"], ConflictError),
        (["verify", "days.jsonl"], IntegrityError),
    ],
)
def test_what_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], kind: type[InputError]
) -> None:
    """With the error that has the exit code."""
    monkeypatch.chdir(place)
    if not (place / "others-keys").exists():
        printed("remember", "bob", place / "days.jsonl", "--store", place / "others")
    assert isinstance(invoke(*arguments).exception, kind)


def test_exit_codes_tell_errors_apart(place: Path) -> None:
    """From the shell, with one line each."""
    kinds = (LorecallError, ConfigError, PendingError, MissingError, ConflictError, IntegrityError)
    assert [kind.exit_code for kind in kinds] == [2, 2, 1, 3, 4, 5]
    command = [sys.executable, "-m", "lorecall", "log", "[b]eve", "--store", str(place / "people")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("error: the person must be in the store")
    assert "[b]eve" in done.stderr


def test_the_store_may_be_named_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the environment."""
    monkeypatch.setenv("LORECALL_STORE", str(place / "people"))
    assert printed("log", "ada")["person"] == "ada"


@pytest.mark.parametrize(
    ("text", "found"),
    [("ada", ("ada", None)), ("ada@3", ("ada", 3)), ("a@b", ("a@b", None)), ("@3", ("@3", None))],
)
def test_a_version_is_named_after_an_at(text: str, found: tuple[str, int | None]) -> None:
    """A name may have one, too."""
    assert person_at(text) == found
