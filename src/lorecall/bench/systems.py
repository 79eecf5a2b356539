"""The systems of a bench, by name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lorecall.bench.plan import WITH_RETRIEVAL
from lorecall.errors import ConfigError
from lorecall.settings import LearnSettings
from lorecall.systems.catalog import BASELINES, baseline
from lorecall.systems.contract import System
from lorecall.systems.retrieval import WithRetrieval
from lorecall.systems.searched import ABLATIONS, MEMORY, SearchedMemory, searched_space

MEMORIES = (MEMORY, MEMORY + WITH_RETRIEVAL)
GROUPS = {
    "all": (*BASELINES, *MEMORIES),
    "baselines": tuple(BASELINES),
    "memories": MEMORIES,
    "ablations": ABLATIONS,
}


def system_names(wanted: Sequence[str]) -> tuple[str, ...]:
    """Spell out the systems that are wanted, each once, in the order given.

    Args:
        wanted: Names, or groups: `all`, `baselines`, `memories`, `ablations`.

    Raises:
        ConfigError: One is unknown.
    """
    names: dict[str, None] = {}
    for each in wanted:
        names |= dict.fromkeys(GROUPS.get(each, (each,)))
    known = {*GROUPS["all"], *ABLATIONS}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            "a system must be known",
            expected=f"some of {', '.join([*GROUPS['all'], *ABLATIONS])}; or {', '.join(GROUPS)}",
            got=repr(unknown[0]),
            next_step="Separate names by commas.",
        )
    return tuple(names)


def make_system(name: str, settings: LearnSettings, *, folder: Path) -> System:
    """Make a system by its name.

    Args:
        name: One of `system_names`.
        settings: How a memory is searched.
        folder: Where searches and memories are kept.

    Raises:
        ConfigError: It is unknown.
    """
    if name == MEMORY + WITH_RETRIEVAL:
        return WithRetrieval(system=SearchedMemory(settings, folder=folder))
    if name.partition(":")[0] == MEMORY:
        search = replace(settings.search, searched=searched_space(name))
        return SearchedMemory(replace(settings, search=search), folder=folder, name=name)
    return baseline(name)
