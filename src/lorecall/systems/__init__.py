"""The systems a memory is compared with (SPEC section 7), each made for one person alone.

Examples:
    >>> from lorecall.systems import systems
    >>> [name for name, entry in systems().items() if entry.about.paper]
    ['vanilla', 'dictionary-faithful', 'dictionary-fair', 'malp']
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.systems.about import SystemInfo
    from lorecall.systems.canary import Donated, canaries, plant_in_donors
    from lorecall.systems.catalog import Entry, make_system, system_names, systems
    from lorecall.systems.contract import Budget, FittedSystem, PersonData, System
    from lorecall.systems.isolation import (
        N_REFERENCES,
        SHARED,
        Exposures,
        Isolation,
        Leak,
        ask_everyone,
        ask_shared,
        isolation_from,
    )

__all__ = [
    "N_REFERENCES",
    "SHARED",
    "Budget",
    "Donated",
    "Entry",
    "Exposures",
    "FittedSystem",
    "Isolation",
    "Leak",
    "PersonData",
    "System",
    "SystemInfo",
    "ask_everyone",
    "ask_shared",
    "canaries",
    "isolation_from",
    "make_system",
    "plant_in_donors",
    "system_names",
    "systems",
]

__getattr__, __dir__ = lazy_names(__name__)
