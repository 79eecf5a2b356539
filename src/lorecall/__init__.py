"""Personal memory for language models, kept in the weights.

From a person's history `learn` trains a memory that is injected into feed-forward layers, stores
it, and measures what of it is the person's own; where asked to, it finds by Bayesian optimisation
in which layers, with how many LoRA modules and at which rank. `Memory` replies as someone who knows
that person, with no extra prompt tokens.

Examples:
    >>> import lorecall
    >>> from lorecall.lm import tiny_base
    >>> history = lorecall.load_history("history.jsonl", user="ann")
    >>> settings = lorecall.preset("smoke")
    >>> memory = lorecall.learn(history, out="runs/ann", base=tiny_base(), settings=settings)
    >>> reply = memory.reply([{"role": "user", "content": "how was your day?"}])

    That base knows nothing, and those settings only show that all works: left out, they are the
    default base and what two cores finish while someone waits.
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.core.progress import Reporter
    from lorecall.data.catalog import list_users, load_history
    from lorecall.decoding import Decoding
    from lorecall.errors import (
        ArtefactError,
        ConfigError,
        ConflictError,
        DataError,
        InputError,
        IntegrityError,
        JudgeError,
        LorecallError,
        MissingError,
        MissingExtraError,
        ModelError,
        PendingError,
        RunError,
        SpaceExhaustedError,
        StorageError,
    )
    from lorecall.learning.pipeline import learn
    from lorecall.learning.result import RunResult
    from lorecall.learning.share import share_learn
    from lorecall.learning.share_settings import ShareSettings
    from lorecall.lm.base import LanguageModel
    from lorecall.memory.memory import StoredMemory
    from lorecall.memory.peft import export_peft
    from lorecall.memory.shared import load_base
    from lorecall.records import History, InjectionConfig, Interval, Sample, Statement, Turn
    from lorecall.reply.memory import Memory
    from lorecall.reply.responder import ModelResponder, Responder
    from lorecall.report.html import write_report
    from lorecall.search.sampler import SaasNehviSampler
    from lorecall.settings import (
        DesignSettings,
        LearnSettings,
        SearchSettings,
        TrainSettings,
        preset,
    )
    from lorecall.store.store import Store

__all__ = [
    "ArtefactError",
    "ConfigError",
    "ConflictError",
    "DataError",
    "Decoding",
    "DesignSettings",
    "History",
    "InjectionConfig",
    "InputError",
    "IntegrityError",
    "Interval",
    "JudgeError",
    "LanguageModel",
    "LearnSettings",
    "LorecallError",
    "Memory",
    "MissingError",
    "MissingExtraError",
    "ModelError",
    "ModelResponder",
    "PendingError",
    "Reporter",
    "Responder",
    "RunError",
    "RunResult",
    "SaasNehviSampler",
    "Sample",
    "SearchSettings",
    "ShareSettings",
    "SpaceExhaustedError",
    "Statement",
    "StorageError",
    "Store",
    "StoredMemory",
    "TrainSettings",
    "Turn",
    "export_peft",
    "learn",
    "list_users",
    "load_base",
    "load_history",
    "preset",
    "share_learn",
    "write_report",
]

__getattr__, __dir__ = lazy_names(__name__)
