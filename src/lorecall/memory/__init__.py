"""A memory on disk: a person's, and what many people have in common; its export to PEFT.

Examples:
    >>> from lorecall import load_base
    >>> from lorecall.memory import SharedMemory
    >>> shared = SharedMemory.load("shared")
    >>> load_base("base", shared="shared").shared.sha256 == shared.sha256
    True
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.memory.memory import Manifest, StoredMemory
    from lorecall.memory.peft import export_peft
    from lorecall.memory.shared import DonorRecords, SharedManifest, SharedMemory, packaged

__all__ = [
    "DonorRecords",
    "Manifest",
    "SharedManifest",
    "SharedMemory",
    "StoredMemory",
    "export_peft",
    "packaged",
]

__getattr__, __dir__ = lazy_names(__name__)
