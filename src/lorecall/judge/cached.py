"""A judge whose answers are kept as they come, so that a killed run asks nothing twice.

```
FILE    a line an answer: what was asked, as a hash, and the scores
```
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lorecall.core.jsonl import append_records, whole_records
from lorecall.errors import RunError
from lorecall.judge.judge import Judge, JudgeItem, Scores, question


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The scores of one item; None where the judge's answer could not be read."""

    asked: str
    scores: Scores | None


class CachedJudge:
    """Asks another judge, and only what it was not asked before."""

    def __init__(self, judge: Judge, path: Path, *, seed: int = 0) -> None:
        self.name, self.prompt = judge.name, judge.prompt
        self._judge, self._path, self._seed = judge, path, seed
        again = "Remove the file: everything is asked again."
        kept = whole_records(path, _Answer, error=RunError, next_step=again)
        self._known = {answer.asked: answer.scores for answer in kept}

    def score(self, items: Sequence[JudgeItem]) -> list[Scores | None]:
        """Score both responses of each item."""
        asked = [self._hash(item) for item in items]
        given = dict(zip(asked, items, strict=True))
        new = {name: item for name, item in given.items() if name not in self._known}
        if new:
            scores = self._judge.score([*new.values()])
            answers = zip(new, scores, strict=True)
            append_records(self._path, [_Answer(asked=name, scores=s) for name, s in answers])
            self._known.update(zip(new, scores, strict=True))
        return [self._known[name] for name in asked]

    def _hash(self, item: JudgeItem) -> str:
        parts = (self.name, str(self._seed), question(item))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
