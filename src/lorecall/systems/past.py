"""What one person's training history holds, as notes that a system may put in a prompt.

Nothing of the valid or test part is in it. A training sample is shown nothing of itself nor of
what came after it: what came before is known by the order of the samples and, where there are
times, by both.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from math import inf, nan

import numpy as np

from lorecall.data.history import training_statements
from lorecall.systems.contract import PersonData
from lorecall.systems.lexical import Mask
from lorecall.systems.notes import Note


class Past:
    """The notes of one person's training part, dialogue after dialogue, the profile first.

    Args:
        person: Whose they are.
        statements: Whether what answered nobody is among them.

    Attributes:
        notes: All of them, in time order as far as it is known.
        dialogues: For each dialogue the places of its notes; the first is the profile's.
    """

    def __init__(self, person: PersonData, *, statements: bool = True) -> None:
        profile = [Note(text=_line(sentence)) for sentence in person.history.profile]
        groups = [profile, *_in_order(_dialogues(person, statements=statements))]
        self.notes = tuple(chain.from_iterable(groups))
        ends = np.cumsum([0, *(len(group) for group in groups)])
        self.dialogues = tuple(range(start, stop) for start, stop in pairwise(ends.tolist()))
        order = {sample.id: i for i, sample in enumerate(person.split.train)}
        self._at = {note.sample: i for i, note in enumerate(self.notes) if note.sample}
        self._order = np.array([order.get(note.sample, -1) for note in self.notes], dtype=int)
        self._times = np.array([nan if n.time is None else n.time for n in self.notes], dtype=float)
        self._dialogue = np.array(
            [d for d, places in enumerate(self.dialogues) for _ in places], dtype=int
        )

    def dialogue_of(self, sample: str | None) -> int | None:
        """Return the place of a training sample's dialogue; None for any other sample."""
        at = None if sample is None else self._at.get(sample)
        return None if at is None else int(self._dialogue[at])

    def visible(self, before: str | None) -> Mask:
        """Return which notes may be given with a sample: with one that is not trained on, all."""
        at = None if before is None else self._at.get(before)
        if at is None:
            return np.ones(len(self.notes), dtype=bool)
        earlier = self._times < self._times[at]  # false where a time is not known
        later = self._times > self._times[at]
        unknown = np.isnan(self._times) | np.isnan(self._times[at])
        responses = (self._order < self._order[at]) & ~later
        others = earlier | (unknown & (self._dialogue < self._dialogue[at]))
        return np.where(self._order >= 0, responses, others) | (self._dialogue == 0)


def _dialogues(person: PersonData, *, statements: bool) -> list[list[Note]]:
    """Put the notes of each conversation together, each in time order."""
    split, groups = person.split, dict[str, list[Note]]()
    for sample in split.train:
        groups.setdefault(sample.conversation, []).append(
            Note(
                text=_line(sample.response),
                query=_line(sample.query),
                sample=sample.id,
                time=sample.time,
            )
        )
    held_out = split.valid + split.test
    if statements:
        for said in training_statements(person.history, train=split.train, held_out=held_out):
            note = Note(text=_line(said.text), time=said.time)
            groups.setdefault(said.conversation, []).append(note)
    return [
        sorted(group, key=lambda note: inf if note.time is None else note.time)
        for group in groups.values()
    ]


def _in_order(groups: Sequence[list[Note]]) -> list[list[Note]]:
    """Order dialogues by their first known time; one without a time stays behind the one before."""
    starts: list[float] = []
    for group in groups:
        known = [note.time for note in group if note.time is not None]
        starts.append(min(known) if known else starts[-1] if starts else -inf)
    return [groups[i] for i in sorted(range(len(groups)), key=starts.__getitem__)]


def _line(text: str) -> str:
    return " ".join(text.split())
