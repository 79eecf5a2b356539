"""What a bench computes: whom, with which systems, seeds and settings; and its cells.

This module knows nothing of models.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, TypedDict, Unpack

from pydantic import TypeAdapter

from lorecall.errors import ConfigError
from lorecall.settings import (
    MAX_SEED,
    LearnSettings,
    check_range,
    choice,
    preset,
)

BenchPreset = Literal["smoke", "laptop", "paper"]
VANILLA = "vanilla"
CONTROL = "default-lora"
WITH_RETRIEVAL = "-with-retrieval"
_SMOKE = (VANILLA, "retrieval", CONTROL, "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One system for one user with one seed."""

    dataset: str
    user: str
    seed: int
    system: str

    @property
    def id(self) -> str:
        """Name the cell in files: readable, and unlike any other's."""
        return _file_name(self.dataset, self.user, f"s{self.seed}", self.system)

    @property
    def claim(self) -> str:
        """Name what one process at a time may make: cells of one memory share it."""
        system = self.system.removesuffix(WITH_RETRIEVAL)
        return _file_name(self.dataset, self.user, f"s{self.seed}", system)

    def __str__(self) -> str:
        return f"{self.system} for {self.user[:12]} of {self.dataset}, seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A dataset and whom of it.

    Args:
        name: A dataset's name, or the path of a JSONL file.
        users: Full ids.
        paths: Files of the dataset's format; the installed one when empty.
    """

    name: str
    users: tuple[str, ...]
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """The numbers of a bench.

    Args:
        preset: Where they come from.
        learn: How every system is trained, how theta is searched, and the bootstrap.
        history_samples: Most samples of a user, the newest, in whole conversations; None for all.
        test_samples: Most test samples that are read, evenly spaced; None for all.
        n_timed: Replies that are timed one by one.
    """

    preset: BenchPreset = "laptop"
    learn: LearnSettings = field(default_factory=lambda: preset("laptop"))
    history_samples: int | None = None
    test_samples: int | None = None
    n_timed: int = 5

    def __post_init__(self) -> None:
        for name in ("history_samples", "test_samples"):
            if (value := getattr(self, name)) is not None:
                check_range(name, value, low=20 if name == "history_samples" else 1)
        check_range("n_timed", self.n_timed, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan:
    """What a bench computes.

    Args:
        sources: Whose histories.
        systems: Names; each is compared with each on the same samples.
        seeds: Of everything random.
        settings: The numbers.
    """

    sources: tuple[Source, ...]
    systems: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    settings: BenchSettings = field(default_factory=BenchSettings)

    def __post_init__(self) -> None:
        for what, values in (
            ("datasets", [source.name for source in self.sources]),
            ("systems", self.systems),
            ("seeds", self.seeds),
            *(("users", source.users) for source in self.sources),
        ):
            if not values or len(set(values)) < len(values):
                raise ConfigError(
                    f"a bench needs its {what}, each once",
                    expected="one or more, all different",
                    got=", ".join(map(str, values)) or "none",
                    next_step="Name each of them once.",
                )
        for seed in self.seeds:
            check_range("seed", seed, low=0, high=MAX_SEED)

    def cells(self) -> tuple[Cell, ...]:
        """Return every cell: all systems of a user, then the next user, then the next seed."""
        return tuple(
            Cell(dataset=source.name, user=user, seed=seed, system=system)
            for seed in self.seeds
            for source in self.sources
            for user in source.users
            for system in self.systems
        )

    def source(self, dataset: str) -> Source:
        """Find a source by its name."""
        return next(source for source in self.sources if source.name == dataset)

    def as_json(self) -> dict[str, object]:
        """Return the plan as plain JSON values."""
        return TypeAdapter(BenchPlan).dump_python(self, mode="json")

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "BenchPlan":
        """Read it back.

        Raises:
            pydantic.ValidationError: It is none.
        """
        return TypeAdapter(cls).validate_python(value)


class Changes(TypedDict, total=False):
    """What people change of a preset; what is left out, or None, stays the preset's."""

    trials: int | None
    initial: int | None
    samples: int | None
    epochs: int | None
    history_samples: int | None
    test_samples: int | None
    finalists: int | None
    reply_length: str | None
    no_repeat: int | None
    loss_on: str | None


def bench_preset(name: str, **changes: Unpack[Changes]) -> BenchSettings:
    """Make the settings of a preset.

    `smoke` shows in three minutes that all works, and says nothing of quality; `laptop` takes a
    night on two cores with eight users; `paper` is the paper's.

    Args:
        name: `smoke`, `laptop` or `paper`.
        changes: What to override.

    Raises:
        ConfigError: An unknown preset, or a number outside its range.
    """
    known: tuple[BenchPreset, ...] = ("smoke", "laptop", "paper")
    chosen: BenchPreset = choice("the preset", name, known)
    n_history, n_test = changes.get("history_samples"), changes.get("test_samples")
    if chosen == "smoke":
        return BenchSettings(
            preset="smoke",
            learn=_smoke(changes),
            history_samples=n_history or 48,
            test_samples=n_test or 6,
            n_timed=1,
        )
    learn = preset(
        chosen,
        trials=changes.get("trials"),
        initial=changes.get("initial"),
        samples=changes.get("samples"),
        epochs=changes.get("epochs"),
        finalists=changes.get("finalists"),
        reply_length=changes.get("reply_length"),
        no_repeat=changes.get("no_repeat"),
        loss_on=changes.get("loss_on"),
    )
    return BenchSettings(preset=chosen, learn=learn, history_samples=n_history, test_samples=n_test)


DEFAULT_USERS: Mapping[BenchPreset, int] = MappingProxyType({"smoke": 2, "laptop": 8, "paper": 30})
DEFAULT_SYSTEMS: Mapping[BenchPreset, tuple[str, ...]] = MappingProxyType(
    {"smoke": _SMOKE, "laptop": ("all",), "paper": ("all", "ablations")}
)


def _smoke(changes: Changes) -> LearnSettings:
    trials = changes.get("trials") or 2
    learn = preset(
        "laptop",
        trials=trials,
        initial=changes.get("initial") or min(2, trials),
        samples=changes.get("samples") or 16,
        epochs=changes.get("epochs") or 1,
        finalists=changes.get("finalists") or 1,
        reply_length=changes.get("reply_length"),
        no_repeat=changes.get("no_repeat"),
        loss_on=changes.get("loss_on"),
    )
    return replace(
        learn,
        train=replace(learn.train, max_prompt_tokens=256, max_response_tokens=64),
        n_bootstrap=2_000,
    )


def _file_name(*parts: str) -> str:
    whole = "\n".join(parts)
    readable = "-".join(re.sub(r"[^\w+:-]+", "_", part)[-24:] for part in parts)
    return f"{readable}-{sha256(whole.encode()).hexdigest()[:8]}"
