"""A store in a folder or in PostgreSQL, a bucket, and a tiny base in another folder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from postgresql import server, why_not

from lorecall.lm.families.tiny import tiny_base
from lorecall.store import Person, Store
from lorecall.store.rows import Row
from stores import FakeBuilder, write_days


@pytest.fixture
def builder() -> FakeBuilder:
    """Return who builds at once."""
    return FakeBuilder()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Return the URL of a server's database; a reason to skip where there is none."""
    if reason := why_not():
        pytest.skip(reason)
    with server() as url:
        yield url


@pytest.fixture
def schema_url(postgresql: str) -> str:
    """Return the URL of a database of one's own: a schema."""
    name = f"s{uuid4().hex}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{postgresql}&options=-csearch_path%3D{name}"


OpenStore = Callable[..., Store]


@pytest.fixture
def open_store(request: pytest.FixtureRequest, tmp_path: Path, builder: FakeBuilder) -> OpenStore:
    """Open one store, again and again: in a folder, or on what a test names as its parameter."""
    given: dict[str, object] = {"keys": tmp_path / "people-keys", "builder": builder}
    place: str | Path = tmp_path / "people"
    if getattr(request, "param", "sqlite") == "postgresql":
        place = request.getfixturevalue("schema_url")
        given["blobs"] = tmp_path / "people" / "blobs"

    def opened(**named: object) -> Store:
        return Store.open(place, **(given | named))  # pyright: ignore[reportArgumentType]

    return opened


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[Store]:
    """Return an empty store."""
    with open_store() as opened:
        yield opened


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Return the endpoint of something that speaks S3."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - it takes seconds

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """Return a file of 30 days."""
    return write_days(tmp_path / "days.jsonl", range(30))


@pytest.fixture
def ada(store: Store, days: Path) -> Person:
    """Return someone with 30 days and a version of them."""
    ada = store.person("ada")
    ada.remember(days)
    ada.update()
    return ada


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
