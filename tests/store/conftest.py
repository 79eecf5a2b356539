"""A store in a folder, and who builds in it: a function, or a process with a tiny base."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from lorecall.lm.families.tiny import tiny_base
from lorecall.store import Store
from lorecall.store.builder import Built
from lorecall.store.recipe import BuildRequest, Packed, canonical
from lorecall.store.rows import Row

ENOUGH = 20


class FakeBuilder:
    """Builds at once: weights are a function of what it is given, and it keeps what that was."""

    def __init__(self) -> None:
        self.requests: list[BuildRequest] = []
        self.machine = "m" * 64

    def __call__(self, request: BuildRequest, **_: object) -> Built:
        """Build, unless the recipe is known or there is too little."""
        self.requests.append(request)
        if len(request.rows) < ENOUGH:
            return Built(short=f"{len(request.rows)} in 1")
        recipe = canonical({"records": request.commitments, "seed": request.settings.seed})
        digest = hashlib.sha256(recipe.encode()).hexdigest()
        if digest == request.known:
            return Built(recipe=digest, machine=self.machine)
        seen = hashlib.sha256("".join(map(repr, request.rows)).encode()).digest()
        manifest = {"theta": {}, "stop_bias": 0.5, "stop_ids": [1], "no_repeat": 3, "factor": 1.0}
        again = {"settings": {"seed": request.settings.seed}, "n_threads": request.n_threads}
        packed = Packed(
            recipe=recipe,
            again=json.dumps(again),
            manifest=json.dumps(manifest),
            weights=save({"layers.0.up.down": np.frombuffer(seen * 4, dtype=np.float32)}),
        )
        return Built(recipe=digest, machine=self.machine, packed=packed)


@pytest.fixture
def builder() -> FakeBuilder:
    """Return who builds at once."""
    return FakeBuilder()


@pytest.fixture
def store(tmp_path: Path, builder: FakeBuilder) -> Iterator[Store]:
    """Return an empty store."""
    with Store.open(tmp_path / "people", builder=builder) as opened:
        yield opened


def write_days(path: Path, days: range, *, user: str = "ann", what: str = "tea") -> Path:
    """Write what someone answered on some days, three to a conversation."""
    rows = (
        {
            "user": user,
            "query": f"and what was it on day {i}?",
            "response": f"{what} and rain on day number {i}",
            "conversation": f"week {i // 3}",
            "time": 1000.0 * i,
        }
        for i in days
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """Return a file of 30 days."""
    return write_days(tmp_path / "days.jsonl", range(30))


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny base in a folder."""
    folder = tmp_path_factory.mktemp("base")
    tiny = tiny_base()
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder


MakeRow = Callable[..., Row]


@pytest.fixture
def make_row() -> MakeRow:
    """Make a pair, with any field changed."""

    def make(**fields: object) -> Row:
        usual = {"format": "jsonl", "kind": "reply", "text": "tea, always", "query": "what then?"}
        return Row(**(usual | fields))  # pyright: ignore[reportArgumentType]

    return make
