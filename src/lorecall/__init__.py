"""Personal memory for language models, kept in the weights.

From a person's history `learn` finds, by Bayesian optimisation, in which feed-forward
layers, with how many LoRA modules and at which rank to inject a memory; trains it; and stores it.
`MemoryResponder` answers as someone who knows that person, with no extra prompt tokens.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorecall.data.catalog import list_users, load_history
    from lorecall.errors import InputError, LorecallError
    from lorecall.learning.pipeline import learn
    from lorecall.learning.result import RunResult
    from lorecall.lm.base import LanguageModel
    from lorecall.memory.memory import StoredMemory
    from lorecall.memory.peft import export_peft
    from lorecall.records import History, InjectionConfig, Sample, Turn
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
    "MemoryResponder",
    "Responder",
    "RunResult",
    "SaasNehviSampler",
    "Sample",
    "StoredMemory",
    "Turn",
    "VanillaResponder",
    "export_peft",
    "learn",
    "list_users",
    "load_history",
    "preset",
    "write_report",
]

_HOMES = {
    "LanguageModel": "lm.base",
    "History": "records",
    "InjectionConfig": "records",
    "InputError": "errors",
    "LearnSettings": "settings",
    "LorecallError": "errors",
    "MemoryResponder": "reply.responder",
    "Responder": "reply.responder",
    "RunResult": "learning.result",
    "SaasNehviSampler": "search.sampler",
    "Sample": "records",
    "StoredMemory": "memory.memory",
    "Turn": "records",
    "VanillaResponder": "reply.responder",
    "export_peft": "memory.peft",
    "learn": "learning.pipeline",
    "list_users": "data.catalog",
    "load_history": "data.catalog",
    "preset": "settings",
    "write_report": "report.html",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import lorecall` is instant."""
    if name not in _HOMES:
        message = f"module 'lorecall' has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(f"lorecall.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
