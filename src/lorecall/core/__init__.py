"""What everything stands on: files, lines of JSON, processes, progress."""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.core.files import write_json
    from lorecall.core.jsonl import append_records, whole_records
    from lorecall.core.progress import Reporter, SilentReporter

__all__ = [
    "Reporter",
    "SilentReporter",
    "append_records",
    "whole_records",
    "write_json",
]

__getattr__, __dir__ = lazy_names(__name__)
