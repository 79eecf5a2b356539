"""The systems a searched memory is compared with, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from lorecall.baselines.contract import System
from lorecall.baselines.dictionary import Dictionary
from lorecall.baselines.lora import DefaultLora, LargestLora, Vanilla
from lorecall.baselines.malp import Malp
from lorecall.baselines.oppu import Oppu
from lorecall.baselines.retrieval import N_NOTES, Retrieval
from lorecall.settings import choice

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
    """Give a system by its name.

    Raises:
        ConfigError: There is none of that name.
    """
    return BASELINES[choice("the system", name, tuple(BASELINES))]
