"""A store in a folder, and a tiny base in another."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lorecall.lm.families.tiny import tiny_base
from lorecall.store import Store
from lorecall.store.rows import Row
from stores import FakeBuilder, write_days


@pytest.fixture
def builder() -> FakeBuilder:
    """Return who builds at once."""
    return FakeBuilder()


@pytest.fixture
def store(tmp_path: Path, builder: FakeBuilder) -> Iterator[Store]:
    """Return an empty store."""
    with Store.open(tmp_path / "people", builder=builder) as opened:
        yield opened


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
