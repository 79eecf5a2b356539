"""Small users in a file, and a small bench of them."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lorecall.bench.cells import Cell, CellScores, finish
from lorecall.bench.people import Source, keep_snapshot, load_person, snapshot_of
from lorecall.bench.plan import BenchPlan
from lorecall.bench.settings import BenchSettings
from lorecall.core.files import write_json
from lorecall.settings import LearnSettings

USERS = ("ann", "bob", "cem")
_WORDS = ("tea", "rain", "the sea", "my dog", "jazz", "bread", "snow", "books", "the moon")


def users_to(path: Path, users: Sequence[str] = USERS, *, n_conversations: int = 8) -> Path:
    """Write a JSONL file: three samples a conversation; what is said differs by user."""
    with path.open("w", encoding="utf-8") as file:
        for user in users:
            rng = random.Random(user)
            for c in range(n_conversations):
                for i in range(3):
                    topic = rng.choice(_WORDS)
                    row = {
                        "user": user,
                        "query": f"do you like {topic} or {rng.choice(_WORDS)}?",
                        "response": f"{topic}, always {topic}, says {user} the {i + 3 * c}th time",
                        "time": 1_700_000_000 + 3600 * c + 60 * i,
                        "conversation": f"{user}-c{c}",
                    }
                    file.write(json.dumps(row) + "\n")
    return path


@pytest.fixture(scope="session")
def users_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of three users with 24 samples each."""
    return users_to(tmp_path_factory.mktemp("users") / "users.jsonl")


@pytest.fixture
def settings(quick: LearnSettings) -> BenchSettings:
    """Return settings of a bench that takes seconds; no memories are swapped."""
    return BenchSettings(preset="smoke", learn=quick, test_samples=3, n_timed=1, swap_others=0)


@pytest.fixture
def plan(users_file: Path, settings: BenchSettings) -> BenchPlan:
    """Return a bench of two users and two systems."""
    source = Source(name=str(users_file), users=("ann", "bob"))
    return BenchPlan(sources=(source,), systems=("vanilla", "memory"), settings=settings)


def cell_scores(cell: Cell, *, ahead: float = 0.0, n: int = 3, **changes: Any) -> CellScores:
    """Make the scores of a cell; `ahead` is by how much it is better than another's."""
    rng = random.Random(f"{cell.dataset} {cell.user}")
    noise = [rng.uniform(-1, 1) for _ in range(n)]
    values: dict[str, Any] = {
        "cell": cell,
        "sample_ids": tuple(f"{cell.user}-{i}" for i in range(n)),
        "scores": {
            "loss": tuple(4 + 0.1 * x - 0.1 * ahead for x in noise),
            "rouge1": tuple(12 + x + ahead for x in noise),
            "rougeL": tuple(10 + x + ahead for x in noise),
            "persona_f1": tuple(2 + 0.1 * x + 0.1 * ahead for x in noise),
        },
        "persona_f1_other": tuple(1.5 + 0.1 * x for x in noise),
        "n_persona": 800,
        "n_persona_other": 700,
        "prompt_tokens": (100,) * n,
        "extra_prompt_tokens": (0,) * n,
        "latency_s": 0.8,
        "read_s": 4.0,
        "fit_s": 30.0 * bool(ahead),
        "train_s": 25.0 * bool(ahead),
        "n_bytes": int(1e6 * bool(ahead)),
        "facts": {},
        "n_train": 100,
        "samples_sha256": "0" * 64,
        "finished_at": "2026-01-02T03:04:05+00:00",
    }
    return CellScores(**{**values, **changes})


@pytest.fixture
def make_scores() -> Callable[..., CellScores]:
    """Return the factory of scores."""
    return cell_scores


@pytest.fixture(scope="session")
def write_users() -> Callable[..., Path]:
    """Return the writer of users."""
    return users_to


SYSTEMS = ("vanilla", "dictionary-faithful", "malp", "default-lora", "retrieval", "memory")
HOSTILE = "<script>alert(1)</script> | `x` **bold** mail a@b.co\nnew line"


@pytest.fixture
def finished_folder(
    users_file: Path, settings: BenchSettings, tmp_path: Path
) -> Callable[..., Path]:
    """Make the folder of a finished bench whose answers name who gave them; nothing was run."""

    def make(systems: Sequence[str] = (*SYSTEMS, "memory:layer"), **changes: Any) -> Path:
        source = Source(name=str(users_file), users=USERS)
        plan = BenchPlan(sources=(source,), systems=tuple(systems), settings=settings)
        plan = replace(plan, **changes)
        folder = tmp_path / "bench"
        folder.mkdir()
        made_up = {"base": "tiny", "base_fingerprint": "f", "base_dtype": "float32", "n_layers": 3}
        write_json(folder / "run.json", {**made_up, "versions": {"torch": "2.6"}, **plan.as_json()})
        for cell in plan.cells():
            shown = snapshot_of(load_person(source, cell.user), plan.settings.test_samples)
            keep_snapshot(folder, cell, shown)
            ids = tuple(sample.id for sample in shown.tested)
            answers = [f"{cell.system} to {i} {HOSTILE}" for i in range(len(ids))]
            ahead = 0.3 * plan.systems.index(cell.system)
            finish(folder, cell_scores(cell, ahead=ahead, sample_ids=ids), answers)
        return folder

    return make
