"""Personal memory for language models, kept in the weights.

From a person's history `learn` finds, by Bayesian optimisation, in which feed-forward
layers, with how many LoRA modules and at which rank to inject a memory; trains it; and stores it.
`MemoryResponder` answers as someone who knows that person, with no extra prompt tokens.
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.data.catalog import list_users, load_history
    from lorecall.errors import InputError, LorecallError
    from lorecall.learning.pipeline import learn
    from lorecall.learning.result import RunResult
    from lorecall.lm.base import LanguageModel
    from lorecall.memory.peft import export_peft
    from lorecall.records import History, InjectionConfig, Sample, Turn
    from lorecall.reply.memory import Memory
    from lorecall.reply.responder import MemoryResponder, Responder, VanillaResponder
    from lorecall.report.html import write_report
    from lorecall.search.sampler import SaasNehviSampler
    from lorecall.settings import LearnSettings, preset

__all__ = [
    "History",
    "InjectionConfig",
    "InputError",
    "LanguageModel",
    "LearnSettings",
    "LorecallError",
    "Memory",
    "MemoryResponder",
    "Responder",
    "RunResult",
    "SaasNehviSampler",
    "Sample",
    "Turn",
    "VanillaResponder",
    "export_peft",
    "learn",
    "list_users",
    "load_history",
    "preset",
    "write_report",
]

__getattr__, __dir__ = lazy_names(__name__)
