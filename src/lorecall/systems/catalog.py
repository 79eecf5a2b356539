"""The systems a searched memory is compared with, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from lorecall.core.checks import choice
from lorecall.systems.contract import System
from lorecall.systems.dictionary import Dictionary
from lorecall.systems.lora import DefaultLora, LargestLora, Vanilla
from lorecall.systems.malp import Malp
from lorecall.systems.oppu import Oppu
from lorecall.systems.retrieval import N_NOTES, Retrieval

_ALL: tuple[System, ...] = (
    Vanilla(),
    Dictionary(lookup="faithful"),
    Dictionary(lookup="fair"),
    Malp(),
    DefaultLora(),
    LargestLora(),
    Oppu(),
    Oppu(n_notes=N_NOTES),
    Retrieval(),
)
BASELINES: Mapping[str, System] = MappingProxyType({system.name: system for system in _ALL})


def baseline(name: str) -> System:
    """Return a system by its name.

    Raises:
        ConfigError: There is none of that name.
    """
    return BASELINES[choice("the system", name, tuple(BASELINES))]
