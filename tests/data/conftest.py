"""Real files, where they are: beside the project, never in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.core.files import sha256_of
from lorecall.data.catalog import DATASETS

_SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def real_file() -> Callable[[str], Path]:
    """Return a real file by its name, or skip the test."""

    def find(name: str) -> Path:
        path = _SHARED / name
        if not path.is_file():
            pytest.skip(f"{name} is not beside the project")
        known = {entry.file: entry.sha256 for entry in DATASETS.values()}
        if name in known:
            assert sha256_of(path) == known[name]
        return path

    return find
