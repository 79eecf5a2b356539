"""theta and a person's samples in, a memory out."""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.train.activation_cache import ActivationCache
    from lorecall.train.batches import epoch_batches
    from lorecall.train.engine import FastEngine
    from lorecall.train.fit import FittedMemory, fit_memory, fit_shared
    from lorecall.train.loop import read_batches
    from lorecall.train.reading import Reader
    from lorecall.train.trial import TrialRunner

__all__ = [
    "ActivationCache",
    "FastEngine",
    "FittedMemory",
    "Reader",
    "TrialRunner",
    "epoch_batches",
    "fit_memory",
    "fit_shared",
    "read_batches",
]

__getattr__, __dir__ = lazy_names(__name__)
