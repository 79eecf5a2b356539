"""Every system there is, by name.

A system is one file of this package: it declares what it makes in a tuple named `SYSTEMS`. Our own
memories need to know their design, or how and where they are searched; they are made here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from lorecall.core.lazy import declared
from lorecall.errors import ConfigError
from lorecall.records import Searched
from lorecall.settings import LearnSettings
from lorecall.systems.about import SystemInfo
from lorecall.systems.contract import System
from lorecall.systems.personal import ABOUT, PersonalMemory
from lorecall.systems.retrieval import WithRetrieval
from lorecall.systems.searched import SearchedMemory, about_memory

GROUPS: Mapping[str, Callable[[SystemInfo], bool]] = MappingProxyType(
    {
        "all": lambda about: not about.is_ablation,
        "baselines": lambda about: not about.is_memory,
        "memories": lambda about: about.is_memory and not about.is_ablation,
        "ablations": lambda about: about.is_ablation,
    }
)
"""What a group's name stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A system that can be made.

    Args:
        about: What it is.
        make: Makes it from a memory's settings and the folder where searches are kept.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.settings import preset
        >>> from lorecall.systems import systems
        >>> entry = systems()["oppu-retrieval"]
        >>> entry.about.trains, entry.about.notes
        (True, True)
        >>> entry.make(preset("smoke"), Path("searches")).about == entry.about
        True
    """

    about: SystemInfo
    make: Callable[[LearnSettings, Path], System]


@cache
def systems() -> dict[str, Entry]:
    """Return every system by its name: first what takes least, the ablations last.

    One that is put into it can be benched as the others can.

    Examples:
        >>> from lorecall.systems.catalog import systems
        >>> systems()["memory-with-retrieval"].about.memory_of
        'memory'
    """
    fixed = [each for each in declared("lorecall.systems", "SYSTEMS") if isinstance(each, System)]
    spaces = [space for space in get_args(Searched) if space not in ("none", "paper")]
    memory, *ablations = map(_memory, ("paper", *spaces))
    ours = (_personal(), memory)
    entries = [*map(_fixed, fixed), *ours, *map(_with_retrieval, ours), *ablations]
    return {entry.about.name: entry for entry in sorted(entries, key=_takes)}


def about(name: str) -> SystemInfo:
    """Return what a system is; of one that is not known here, its name alone."""
    known = systems().get(name)
    return SystemInfo(name=name, title="unknown") if known is None else known.about


def system_names(wanted: Sequence[str]) -> tuple[str, ...]:
    """Spell out the systems that are wanted, each once, in the order given.

    Args:
        wanted: Names, or groups: `all`, `baselines`, `memories`, `ablations`.

    Raises:
        ConfigError: One is unknown.

    Examples:
        >>> from lorecall.systems.catalog import system_names
        >>> system_names(["vanilla", "memories"])
        ('vanilla', 'personal', 'memory', 'personal-with-retrieval', 'memory-with-retrieval')
    """
    names: dict[str, None] = {}
    for each in wanted:
        if each in GROUPS:
            names |= {name: None for name, it in systems().items() if GROUPS[each](it.about)}
        else:
            names[each] = None
    if unknown := [name for name in names if name not in systems()]:
        raise ConfigError(
            "a system must be known",
            expected=f"some of {', '.join(systems())}; or {', '.join(GROUPS)}",
            got=repr(unknown[0]),
            next_step="Separate names by commas.",
        )
    return tuple(names)


def make_system(name: str, settings: LearnSettings, *, folder: Path) -> System:
    """Make a system by its name.

    Args:
        name: Its name.
        settings: Of which design a memory is, and how it is searched.
        folder: Where searches are kept.

    Raises:
        ConfigError: It is unknown.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.settings import preset
        >>> from lorecall.systems import make_system
        >>> make_system("malp", preset("smoke"), folder=Path("searches")).about.title
        'a dictionary of two terms before the prompt, and a LoRA trained with it'
    """
    (known,) = system_names([name])
    return systems()[known].make(settings, folder)


def _fixed(system: System) -> Entry:
    return Entry(about=system.about, make=lambda _settings, _folder: system)


def _personal() -> Entry:
    return Entry(about=ABOUT, make=lambda settings, _folder: PersonalMemory(settings=settings))


def _memory(space: Searched) -> Entry:
    def make(settings: LearnSettings, folder: Path) -> System:
        search = replace(settings.search, searched=space)
        return SearchedMemory(replace(settings, search=search), folder=folder)

    return Entry(about=about_memory(space), make=make)


def _with_retrieval(memory: Entry) -> Entry:
    return Entry(
        about=memory.about.with_retrieval(),
        make=lambda settings, folder: WithRetrieval(system=memory.make(settings, folder)),
    )


def _takes(entry: Entry) -> tuple[bool, ...]:
    it = entry.about
    return (it.is_ablation, it.is_memory, it.trains, it.notes)
