"""What a bench computes: whom, with which systems, seeds and settings; and its cells.

This module knows nothing of models.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType

from pydantic import TypeAdapter

from lorecall.core.checks import check_range
from lorecall.core.options import (
    NO_CHANGES,
    Sections,
    belonging,
    check_options,
    find_option,
    make,
    option,
)
from lorecall.errors import ConfigError
from lorecall.settings import (
    MAX_SEED,
    SETTINGS,
    BaseOptions,
    LearnSettings,
    PresetName,
    preset,
    presets_of,
)

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

    `preset` is where they come from, `learn` how every system is trained, how theta is searched,
    and the bootstrap.
    """

    preset: PresetName = "laptop"
    learn: LearnSettings = field(default_factory=lambda: preset("laptop"))
    history_samples: int | None = option(
        None, "Most samples of a user, the newest, in whole conversations.", low=20, smoke=48
    )
    test_samples: int | None = option(
        None, "Most test samples that are read, evenly spaced.", low=1, smoke=6
    )
    n_timed: int = option(5, "Replies that are timed one by one.", low=1, smoke=1)

    def __post_init__(self) -> None:
        check_options(self)


BENCH: Sections = {**SETTINGS, "base": BaseOptions, "bench": BenchSettings}
"""Every option of `lorecall bench`, by section."""


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


def bench_preset(
    name: str, changes: Mapping[str, object] = NO_CHANGES, **named: object
) -> BenchSettings:
    """Make the settings of a preset.

    `smoke` shows in three minutes that all works, and says nothing of quality; `laptop` takes a
    night on two cores with eight users; `paper` is the paper's.

    Args:
        name: `smoke`, `laptop` or `paper`.
        changes: Options by full name, those of a training and a search among them.
        named: The same by their last names.

    Raises:
        ConfigError: An unknown preset or option, or a value that its option may not have.
    """
    values = {find_option(BENCH, key).full_name: v for key, v in {**changes, **named}.items()}
    learn = preset(name, belonging(SETTINGS, values))
    return make(
        BenchSettings,
        values,
        section="bench",
        presets=presets_of(name),
        parts={"preset": learn.preset, "learn": learn},
    )


DEFAULT_USERS: Mapping[PresetName, int] = MappingProxyType({"smoke": 2, "laptop": 8, "paper": 30})
DEFAULT_SYSTEMS: Mapping[PresetName, tuple[str, ...]] = MappingProxyType(
    {"smoke": _SMOKE, "laptop": ("all",), "paper": ("all", "ablations")}
)


def _file_name(*parts: str) -> str:
    whole = "\n".join(parts)
    readable = "-".join(re.sub(r"[^\w+:-]+", "_", part)[-24:] for part in parts)
    return f"{readable}-{sha256(whole.encode()).hexdigest()[:8]}"
