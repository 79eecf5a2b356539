"""Persons whose histories are written out in a few lines."""

from collections.abc import Callable, Sequence

import pytest

from lorecall.records import History, Sample, Split, Statement
from lorecall.systems.contract import PersonData

Line = tuple[str, str, str] | tuple[str, str, str, float]
MakePerson = Callable[..., PersonData]


@pytest.fixture
def make_person() -> MakePerson:
    """Make a person of (conversation, query, response[, time]); an empty query is a statement.

    All samples are trained on but those of conversations that start with `valid` or `test`.
    """

    def make(lines: Sequence[Line], *, profile: tuple[str, ...] = ()) -> PersonData:
        samples: list[Sample] = []
        said: list[Statement] = []
        for i, line in enumerate(lines):
            conversation, query, text = line[:3]
            time = line[3] if len(line) == 4 else None
            if query:
                samples.append(
                    Sample(
                        id=f"s{i}",
                        user="ann",
                        conversation=conversation,
                        query=query,
                        response=text,
                        time=time,
                    )
                )
            else:
                said.append(Statement(conversation=conversation, text=text, time=time))
        parts = {
            name: tuple(s for s in samples if s.conversation.startswith(name))
            for name in ("valid", "test")
        }
        train = tuple(s for s in samples if s not in parts["valid"] + parts["test"])
        history = History(
            dataset="made up",
            user="ann",
            samples=tuple(samples),
            statements=tuple(said),
            profile=profile,
        )
        split = Split(user="ann", dataset="made up", train=train, own_content=(), **parts)
        return PersonData(history=history, split=split)

    return make
