"""Many people's memories in one place: remembered, updated, undone, and forgotten with proof."""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.store.builder import Builder, Built
    from lorecall.store.certificate import Certificate
    from lorecall.store.check import Checkup
    from lorecall.store.copies import Copied
    from lorecall.store.counts import Counts
    from lorecall.store.difference import Difference
    from lorecall.store.exports import Imported
    from lorecall.store.gate import Gate, Measured
    from lorecall.store.keyring.root import FileRootKey, RootKey
    from lorecall.store.person import Person
    from lorecall.store.recipe import BasePlace, BuildRequest, BuildSettings, Packed
    from lorecall.store.records import Remembered
    from lorecall.store.store import Store
    from lorecall.store.strays import Swept
    from lorecall.store.versions import Version

__all__ = [
    "BasePlace",
    "BuildRequest",
    "BuildSettings",
    "Builder",
    "Built",
    "Certificate",
    "Checkup",
    "Copied",
    "Counts",
    "Difference",
    "FileRootKey",
    "Gate",
    "Imported",
    "Measured",
    "Packed",
    "Person",
    "Remembered",
    "RootKey",
    "Store",
    "Swept",
    "Version",
]

__getattr__, __dir__ = lazy_names(__name__)
