"""Files -> events -> one user's history (or a pool of users) -> samples, split in time order.

Examples:
    >>> from lorecall.data import load_history, split_history
    >>> history = load_history("history.jsonl", user="ann")
    >>> len(history.samples), len(split_history(history).train)
    (24, 18)
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.data.catalog import (
        DATASETS,
        check,
        describe,
        find_users,
        list_users,
        load_history,
        summarise,
    )
    from lorecall.data.donors import Donors, draw_donors
    from lorecall.data.history import split_history
    from lorecall.data.loader import Dataset
    from lorecall.data.loading import Problem, Summary
    from lorecall.data.privacy import mask
    from lorecall.data.purpose import purpose_of
    from lorecall.data.redaction import redact
    from lorecall.data.users import Totals, UserSummary
    from lorecall.records import History, Pooled, Sample, Split, Statement, Turn

__all__ = [
    "DATASETS",
    "Dataset",
    "Donors",
    "History",
    "Pooled",
    "Problem",
    "Sample",
    "Split",
    "Statement",
    "Summary",
    "Totals",
    "Turn",
    "UserSummary",
    "check",
    "describe",
    "draw_donors",
    "find_users",
    "list_users",
    "load_history",
    "mask",
    "purpose_of",
    "redact",
    "split_history",
    "summarise",
]

__getattr__, __dir__ = lazy_names(__name__)
