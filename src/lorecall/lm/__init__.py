"""The base: a frozen language model, prompts in its tokens, and memories beside its weights."""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.lm.attach import Injection
    from lorecall.lm.base import LanguageModel, SharedName
    from lorecall.lm.device import DTypeName, choose_compute, cpu_name, machine_name, set_threads
    from lorecall.lm.encoded import Encoded
    from lorecall.lm.families.family import linear_shape
    from lorecall.lm.families.tiny import tiny_base
    from lorecall.lm.generate import decode
    from lorecall.lm.merging import merge
    from lorecall.lm.prompts import PromptFormat, format_for
    from lorecall.lm.sampling import GreedyChooser

__all__ = [
    "DTypeName",
    "Encoded",
    "GreedyChooser",
    "Injection",
    "LanguageModel",
    "PromptFormat",
    "SharedName",
    "choose_compute",
    "cpu_name",
    "decode",
    "format_for",
    "linear_shape",
    "machine_name",
    "merge",
    "set_threads",
    "tiny_base",
]

__getattr__, __dir__ = lazy_names(__name__)
