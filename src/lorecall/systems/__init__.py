"""The systems a memory is compared with (SPEC section 7), each made for one person alone.

Examples:
    >>> from lorecall.systems import systems
    >>> [name for name, entry in systems().items() if entry.about.paper]
    ['vanilla', 'dictionary-faithful', 'dictionary-fair', 'malp']
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.systems.about import About
    from lorecall.systems.catalog import Entry, make_system, system_names, systems
    from lorecall.systems.contract import Budget, Fitted, Person, System
    from lorecall.systems.isolation import (
        N_REFERENCES,
        Isolation,
        Leak,
        Told,
        ask_everyone,
        check_isolation,
        isolation_from,
    )

__all__ = [
    "N_REFERENCES",
    "About",
    "Budget",
    "Entry",
    "Fitted",
    "Isolation",
    "Leak",
    "Person",
    "System",
    "Told",
    "ask_everyone",
    "check_isolation",
    "isolation_from",
    "make_system",
    "system_names",
    "systems",
]

__getattr__, __dir__ = lazy_names(__name__)
