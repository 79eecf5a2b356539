"""What every test needs: checked types, no network, one thread, tiny bases of every family."""
# ruff: noqa: E402 - the environment and the hook come before the imports they are for

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("LORECALL_THREADS", "1")  # for the commands that tests start
os.environ.setdefault("OMP_NUM_THREADS", "1")

from beartype.claw import beartype_packages

# `jaxtyping.install_import_hook` decorates methods one by one, where beartype refuses `Self`; this
# hook decorates the classes.
beartype_packages(
    ("lorecall.lm", "lorecall.train", "lorecall.memory", "lorecall.reply", "lorecall.systems")
)

import pytest
import torch
from hypothesis import HealthCheck, settings

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.prompts import PromptFormat
from lorecall.memory.memory import Manifest, StoredMemory, Training
from lorecall.memory.shared import DonorRecords, SharedManifest, SharedMemory
from lorecall.records import InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.train.fit import identity_of_base, training_recipe

FAMILIES = ("llama", "gpt2", "roberta")
pytest_plugins = ("made_up",)
TEXT = "the cat sat on a mat and saw nine old dogs run by in rain"

torch.set_num_threads(1)
settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("tests")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: an archive holds its time, and each process made its own."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def _temporary() -> Iterator[Path]:
    """Make a temporary folder that other users may enter, as PostgreSQL's must."""
    with tempfile.TemporaryDirectory(prefix="lorecall-tests-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def _own_cache(
    request: pytest.FixtureRequest,
    _cache: Path,
    _temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keep the caller's cache out of it, but for the real base, which is de-quantised there.

    Nor is the caller's temporary folder searched for what a store forgets.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(_temporary))
    monkeypatch.setenv("TMPDIR", str(_temporary))
    if request.node.get_closest_marker("real_model") is None:
        monkeypatch.setenv("LORECALL_CACHE", str(_cache))


@pytest.fixture(scope="session")
def make_base() -> Callable[..., LanguageModel]:
    """Make a tiny base whose weights are large enough for its answers to vary."""

    def make(family: str = "llama", *, gain: float | None = None, **options: Any) -> LanguageModel:
        tiny = tiny_base(family, **options)
        factor = (6.0 if family == "roberta" else 12.0) if gain is None else gain
        with torch.no_grad():
            for parameter in tiny.model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(factor)
        return LanguageModel(tiny.model, tiny.tokenizer, name=tiny.name)

    return make


@pytest.fixture(params=FAMILIES)
def base(request: pytest.FixtureRequest, make_base: Callable[..., LanguageModel]) -> LanguageModel:
    """Return a tiny base of each family in turn."""
    return make_base(request.param)


@pytest.fixture
def llama(make_base: Callable[..., LanguageModel]) -> LanguageModel:
    """Return a tiny base where the family does not matter."""
    return make_base("llama")


@pytest.fixture
def state_hash() -> Callable[[LanguageModel], str]:
    """Hash the names and the bits of everything in a base's state."""

    def hash_of(base: LanguageModel) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(base.model.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    return hash_of


@pytest.fixture(scope="session")
def fill() -> Callable[..., dict[str, torch.Tensor]]:
    """Draw both halves of every pair, so that a memory changes what the base says."""

    def draw(injection: Injection, *, seed: int = 0, size: float = 0.3) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        drawn = {
            name: size * torch.randn(tensor.shape, generator=generator)
            for name, tensor in injection.tensors().items()
        }
        injection.load(drawn)
        return drawn

    return draw


@pytest.fixture(scope="session")
def make_memory(fill: Callable[..., dict[str, torch.Tensor]]) -> Callable[..., StoredMemory]:
    """Make a memory for a base, with drawn pairs."""

    def make(
        base: LanguageModel,
        config: InjectionConfig | None = None,
        *,
        seed: int = 0,
        linears: tuple[str, ...] | None = None,
    ) -> StoredMemory:
        config = config or InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7)
        injection = Injection(base, config, linears=linears)
        tensors = fill(injection, seed=seed)
        training = Training(
            user=f"user-{seed}",
            dataset="made up",
            seed=seed,
            sample_ids=("a", "b"),
            samples_sha256="0" * 64,
            valid_sha256="1" * 64,
            split={"train": 2, "valid": 1, "test": 1},
        )
        manifest = Manifest(
            base=identity_of_base(base),
            theta=config,
            training=training,
            recipe=training_recipe((config,), base, TrainSettings()),
            stop_ids=tuple(sorted(PromptFormat(base.tokenizer).stop_ids)),
        )
        return StoredMemory(manifest=manifest, tensors=tensors)

    return make


@pytest.fixture(scope="session")
def make_shared(fill: Callable[..., dict[str, torch.Tensor]]) -> Callable[..., SharedMemory]:
    """Make a shared memory for a base, with drawn pairs."""

    def make(base: LanguageModel, *, seed: int = 0) -> SharedMemory:
        config = InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=4, scaling=0.5)
        manifest = SharedManifest(
            base=identity_of_base(base),
            theta=config,
            dataset="made up",
            licence="none",
            consent="they were made up",
            donors=DonorRecords.of(("ann", "bob"), ("17c3", "ea1c"), salt="a grain"),
            valid=((0, 3.0), (40, 2.5)),
            recipe=training_recipe((config,), base, TrainSettings()),
            stop_ids=tuple(sorted(PromptFormat(base.tokenizer).stop_ids)),
        )
        return SharedMemory.of(manifest, fill(Injection(base, config), seed=seed, size=0.1))

    return make


@pytest.fixture
def make_samples() -> Callable[..., tuple[Sample, ...]]:
    """Make samples of different lengths, one conversation each."""
    words = TEXT.split()

    def make(n: int, *, first: int = 0) -> tuple[Sample, ...]:
        return tuple(
            Sample(
                id=f"s{i}",
                user="ann",
                conversation=f"c{i}",
                query=" ".join(words[i % 7 : i % 7 + 2 + i % 3]),
                response=" ".join(words[(3 * i) % 8 : (3 * i) % 8 + 1 + i % 5]),
                time=float(i),
            )
            for i in range(first, first + n)
        )

    return make


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int], None]]:
    """Let the system refuse files above a size, as a full disk would."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(n_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
