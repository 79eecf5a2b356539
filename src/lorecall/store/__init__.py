"""Many people's memories in one place: remembered, updated, undone, and forgotten with proof."""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.store.certificate import Certificate
    from lorecall.store.check import Checkup
    from lorecall.store.copies import Copied
    from lorecall.store.counts import Counts
    from lorecall.store.person import Person
    from lorecall.store.recipe import BasePlace, BuildSettings
    from lorecall.store.records import Remembered
    from lorecall.store.root import FileRootKey, RootKey
    from lorecall.store.store import Store
    from lorecall.store.strays import Swept
    from lorecall.store.versions import Version

__all__ = [
    "BasePlace",
    "BuildSettings",
    "Certificate",
    "Checkup",
    "Copied",
    "Counts",
    "FileRootKey",
    "Person",
    "Remembered",
    "RootKey",
    "Store",
    "Swept",
    "Version",
]

__getattr__, __dir__ = lazy_names(__name__)
