"""Whom a scorecard is about, found by what a run remembers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.data.catalog import load_history
from lorecall.data.history import samples_hash, split_history
from lorecall.data.redaction import redact
from lorecall.errors import DataError
from lorecall.learning.folder import open_run
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.scorecard.make import people_for

MakeMemory = Callable[..., StoredMemory]


def write_chat(path: Path, *users: str) -> Path:
    """Write a history of 24 samples a user."""
    rows = [
        {"user": user, "query": f"day {i}?", "response": f"{user} had tea on day {i}", "time": i}
        | {"conversation": f"{user}-{i // 3}"}
        for user in users
        for i in range(24)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def learnt(make_memory: MakeMemory, llama: LanguageModel, tmp_path: Path) -> Callable[..., Path]:
    """Make the folder of ann's run: a memory of a file, which the run remembers."""

    def make(file: Path, *, redacted: bool = False) -> Path:
        history = load_history(file, user="ann")
        history = redact(history) if redacted else history
        memory = make_memory(llama)
        training = memory.manifest.training.model_copy(
            update={
                "user": "ann",
                "dataset": history.dataset,
                "samples_sha256": samples_hash(split_history(history).train),
                "redacted": history.redacted and dict(history.redacted),
            }
        )
        manifest = memory.manifest.model_copy(update={"training": training})
        with open_run(tmp_path / "run", {"user": "ann"}, files=history.files) as run:
            replace(memory, manifest=manifest).save(run.memory)
        return run.path

    return make


def test_the_file_is_found_from_anywhere(
    learnt: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the run's folder, or by the memory's in it, whatever the working folder is."""
    (tmp_path / "chats").mkdir()
    monkeypatch.chdir(tmp_path / "chats")
    run = learnt(write_chat(Path("chat.jsonl"), "ann", "bob", "cem"))
    monkeypatch.chdir(tmp_path)
    for folder in (run, run / "memory"):
        person, others = people_for(StoredMemory.load(folder), folder=folder, n_others=1)
        assert person.history.user == "ann"
        assert [other.history.user for other in others] in (["bob"], ["cem"])


def test_a_redacted_history_is_redacted_again(learnt: Callable[..., Path], tmp_path: Path) -> None:
    """A memory that learnt placeholders is asked about them."""
    file = write_chat(tmp_path / "chat.jsonl", "ann", "bob")
    file.write_text(file.read_text().replace("had tea on", "called 555-010-4477 on"))
    run = learnt(file, redacted=True)
    person, (other,) = people_for(StoredMemory.load(run), folder=run)
    assert person.split.train[0].response == "ann called [phone] on day 0"
    assert person.history.redacted == {"phone": 24}
    assert other.history.redacted == {"phone": 24}


def test_one_person_is_enough(learnt: Callable[..., Path], tmp_path: Path) -> None:
    """There is nobody else in most people's own files."""
    run = learnt(write_chat(tmp_path / "chat.jsonl", "ann"))
    person, others = people_for(StoredMemory.load(run), folder=run)
    assert (person.history.user, others) == ("ann", [])


def test_a_file_that_is_gone_is_asked_for(learnt: Callable[..., Path], tmp_path: Path) -> None:
    """And taken where it is said to be."""
    file = write_chat(tmp_path / "chat.jsonl", "ann")
    run = learnt(file)
    moved = file.rename(tmp_path / "moved.jsonl")
    memory = StoredMemory.load(run)
    with pytest.raises(DataError, match=r"no such file.*--data FILE"):
        people_for(memory, folder=run)
    assert people_for(memory, str(moved), folder=run)[0].history.user == "ann"


def test_a_memory_apart_from_its_run_says_so(learnt: Callable[..., Path], tmp_path: Path) -> None:
    """Nothing tells where its history is."""
    run = learnt(write_chat(tmp_path / "chat.jsonl", "ann"))
    with pytest.raises(DataError, match="apart from its run"):
        people_for(StoredMemory.load(run))


def test_other_samples_are_refused(learnt: Callable[..., Path], tmp_path: Path) -> None:
    """The file has changed since."""
    file = write_chat(tmp_path / "chat.jsonl", "ann")
    run = learnt(file)
    file.write_text(file.read_text().replace("tea", "milk"))
    with pytest.raises(DataError, match="was trained on"):
        people_for(StoredMemory.load(run), folder=run)
