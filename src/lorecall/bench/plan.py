"""What a bench computes: whom, with which systems, seeds and settings; and its cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from lorecall.bench.cells import Cell
from lorecall.bench.people import Source, choose_users
from lorecall.bench.settings import BenchSettings
from lorecall.core.checks import check_range
from lorecall.core.files import read_json
from lorecall.errors import ConfigError, RunError
from lorecall.learning.folder import RUN_FILE
from lorecall.settings import MAX_SEED, PresetName
from lorecall.systems.about import CONTROL, MEMORY, PERSONAL, VANILLA
from lorecall.systems.catalog import system_names
from lorecall.systems.catalog import systems as known_systems

_T = TypeVar("_T")
_SMOKE = (VANILLA, "retrieval", CONTROL, PERSONAL, MEMORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan:
    """What a bench computes.

    Args:
        sources: Whose histories.
        systems: Names; each is compared with each on the same samples.
        seeds: Of everything random.
        settings: The numbers.

    Examples:
        >>> from lorecall.bench import BenchPlan, Source
        >>> source = Source(name="chitchat", users=("4fde054d", "ed4e9769"))
        >>> plan = BenchPlan(sources=(source,), systems=("vanilla", "memory"), seeds=(0, 1))
        >>> len(plan.cells()), str(plan.cells()[1])
        (8, 'memory for 4fde054d of chitchat, seed 0')
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

    @property
    def swapped(self) -> tuple[str, ...]:
        """Return the systems whose memories are swapped between people."""
        wanted = () if self.settings.swap_others == 0 else self.settings.swap_systems
        return tuple(system for system in self.systems if system in wanted)

    def source(self, dataset: str) -> Source:
        """Find a source by its name."""
        return next(source for source in self.sources if source.name == dataset)

    def grown_to(self, wanted: "BenchPlan") -> "BenchPlan | None":
        """Return a plan of all that this one has and more, what was here before first.

        Args:
            wanted: What it is to have, in any order.

        Returns:
            None where something of this one is not wanted any more, or the settings are others.
        """
        sources = {source.name: source for source in wanted.sources}
        for mine in self.sources:
            if (theirs := sources.get(mine.name)) is not None:
                sources[mine.name] = replace(theirs, users=_merged(mine.users, theirs.users))
        names = _merged([source.name for source in self.sources], sources)
        grown = BenchPlan(
            sources=tuple(sources[name] for name in names if name in sources),
            systems=_merged(self.systems, wanted.systems),
            seeds=_merged(self.seeds, wanted.seeds),
            settings=self.settings,
        )
        files = {source.name: source.paths for source in wanted.sources}
        has_all = set(grown.cells()) == set(wanted.cells()) and all(
            files.get(mine.name) == mine.paths for mine in self.sources
        )
        return grown if has_all and wanted.settings == self.settings else None

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


def read_plan(folder: Path) -> tuple[dict[str, object], BenchPlan]:
    """Read what a bench is of: its whole identity, and its plan.

    Raises:
        RunError: The folder holds no bench.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import read_plan
        >>> identity, plan = read_plan(Path("bench"))
        >>> identity["n_layers"], plan.settings.preset
        (30, 'laptop')
    """
    identity = read_json(folder / RUN_FILE, what="a bench", error=RunError)
    try:
        fields = {name: identity[name] for name in ("sources", "systems", "seeds", "settings")}
        return identity, BenchPlan.from_json(fields)
    except (KeyError, ValidationError) as reason:
        raise RunError(
            "a bench's folder must hold a bench",
            expected=f"what `lorecall bench` wrote in {folder / RUN_FILE}",
            got=f"{type(reason).__name__}: {str(reason).splitlines()[0]}",
            next_step="Check the path.",
        ) from reason


DEFAULT_USERS: Mapping[PresetName, int] = MappingProxyType({"smoke": 2, "laptop": 8, "paper": 30})
DEFAULT_SYSTEMS: Mapping[PresetName, tuple[str, ...]] = MappingProxyType(
    {"smoke": _SMOKE, "laptop": ("all",), "paper": ("all", "ablations")}
)


def make_plan(
    data: Sequence[str],
    *,
    paths: Sequence[Path] = (),
    users: str | None = None,
    systems: str | None = None,
    seeds: str = "0",
    settings: BenchSettings,
) -> BenchPlan:
    """Make a bench's plan: users chosen, systems spelt out, seeds read.

    Args:
        data: Datasets' names, or JSONL files.
        paths: Files of the one dataset's format.
        users: As `choose_users`; as many as the preset says when None.
        systems: Names or groups, separated by commas; the preset's when None.
        seeds: Separated by commas; the first of them draws the users too.
        settings: The numbers.

    Raises:
        ConfigError: A system or seed cannot be read, a system has no memory to be swapped, or
            files are given for several datasets.
        DataError: A user or a dataset is not there, or too short.

    Examples:
        >>> from lorecall.bench import bench_preset, make_plan
        >>> plan = make_plan(["two.jsonl"], users="ada", settings=bench_preset("smoke"))
        >>> plan.systems
        ('vanilla', 'retrieval', 'default-lora', 'personal', 'memory')
    """
    if paths and len(data) != 1:
        raise ConfigError(
            "files belong to one dataset",
            expected="--path with one --data",
            got=f"{len(data)} datasets",
            next_step="Make a bench a dataset.",
        )
    _check_swapped(settings.swap_systems)
    chosen = systems.split(",") if systems else DEFAULT_SYSTEMS[settings.preset]
    names = system_names([name.strip() for name in chosen])
    read = _seeds(seeds)
    wanted = users or str(DEFAULT_USERS[settings.preset])
    files = tuple(str(path.resolve()) for path in paths)
    sources: list[Source] = []
    for name in data:
        place = str(Path(name).resolve()) if Path(name).is_file() else name
        found = choose_users(place, files, wanted, seed=read[0])
        sources.append(Source(name=place, users=found, paths=files))
    return BenchPlan(sources=tuple(sources), systems=names, seeds=read, settings=settings)


def _merged(first: Iterable[_T], then: Iterable[_T]) -> tuple[_T, ...]:
    """Return each once, what came first before the rest."""
    return tuple(dict.fromkeys((*first, *then)))


def _check_swapped(wanted: Sequence[str]) -> None:
    can = [name for name, entry in known_systems().items() if entry.about.is_swappable]
    if others := [name for name in wanted if name not in can]:
        raise ConfigError(
            "what is swapped between people is a memory in the weights alone",
            expected=f"some of {', '.join(can)}",
            got=repr(others[0]),
            next_step="Name others with --set bench.swap_systems=...; or swap nothing, with"
            " --set bench.swap_others=0.",
        )


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError as reason:
        raise ConfigError(
            "seeds are whole numbers",
            expected="for example 0,1,2",
            got=repr(text),
            next_step="Separate them by commas.",
        ) from reason
