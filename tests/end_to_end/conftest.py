"""A small person and a small model on disk, for whole runs that take seconds; a browser."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from browser import BROWSERS
from lorecall.lm.families.tiny import tiny_base

_WORDS = ("tea", "rain", "the sea", "my dog", "jazz", "bread", "snow", "books", "the moon")


def write_history(path: Path, *, user: str = "ada", n_conversations: int = 8) -> Path:
    """Write a JSONL history of four samples a conversation, after what is there."""
    rng, says = random.Random(user), "" if user == "ada" else f", says {user}"
    pairs = [(topic, other) for topic in _WORDS for other in _WORDS]
    rng.shuffle(pairs)
    with path.open("a", encoding="utf-8") as file:
        for conversation in range(n_conversations):
            for turn in range(4):
                topic, other = pairs[4 * conversation + turn]
                row = {
                    "user": user,
                    "query": f"do you like {topic} or {other}?",
                    "response": f"{topic}, always {topic}{says}",
                    "time": 1_700_000_000 + 3600 * conversation + 60 * turn,
                    "conversation": f"c{conversation}",
                }
                file.write(json.dumps(row) + "\n")
    return path


@pytest.fixture(scope="session")
def history_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a history of 32 samples in 8 conversations."""
    return write_history(tmp_path_factory.mktemp("history") / "ada.jsonl")


@pytest.fixture(scope="session")
def three_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of three people, of whom two have as many samples; a fourth has too few."""
    path = tmp_path_factory.mktemp("three") / "chat.jsonl"
    for user, n in (("ada", 8), ("cleo", 12), ("ben", 8), ("dan", 1)):
        write_history(path, user=user, n_conversations=n)
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Find the browser; without one, the tests that need it are skipped."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)} was found")
    return program


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny Llama in a folder, as `save_pretrained` writes it."""
    return save_tiny(tmp_path_factory.mktemp("model"), seed=0)


@pytest.fixture(scope="session")
def other_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return another tiny Llama in a folder."""
    return save_tiny(tmp_path_factory.mktemp("other-model"), seed=1)


def save_tiny(folder: Path, *, seed: int) -> Path:
    """Save a tiny base to a folder."""
    base = tiny_base("llama", n_layers=3, seed=seed)
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def learn_command(history_file: Path, model_folder: Path) -> Callable[..., list[str]]:
    """Return the arguments of a quick `lorecall learn`, with options appended."""

    def command(out: Path, *extra: str) -> list[str]:
        return [
            "learn",
            *("--history", str(history_file), "--user", "ada"),
            *("--model", str(model_folder), "--device", "cpu", "--out", str(out)),
            *(
                "--search",
                "paper",
                "--set",
                "trials=3",
                "--set",
                "initial=2",
                "--set",
                "samples=8",
                "--set",
                "max_epochs=1",
            ),
            *extra,
        ]

    return command
