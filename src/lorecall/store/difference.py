"""Two versions of one person beside each other: records, recipe, what was measured, answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from lorecall.store.gate import Measured
from lorecall.store.recipe import Packed
from lorecall.store.records import Record

if TYPE_CHECKING:
    from lorecall.memory.memory import StoredMemory

N_ASKED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A query of the person's validation part, what they really answered, and what two versions do.

    Args:
        query: What was asked.
        truth: What the person answered.
        first: What the first version answers.
        second: What the second one does.
    """

    query: str
    truth: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two versions differ in.

    Args:
        added: Records that the second alone was built from.
        removed: Records that the first alone was built from.
        recipe: What else of the recipes differs, theta among it: a name -> both values.
        theta: Where each memory is in the base, and how large.
        measured: What the gate measured of each.
        answers: To the person's own validation queries, where they were asked for.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     ada = store.person("ada")
        ...     _ = ada.remember("history.jsonl", user="ann")
        ...     _ = ada.update("base", settings=lorecall.preset("smoke"))
        ...     _ = ada.update(settings=lorecall.preset("smoke", seed=1))
        ...     found = ada.diff(1, 2)
        >>> found.added, dict(found.recipe)
        ((), {'seed': (0, 1)})
    """

    added: tuple[Record, ...]
    removed: tuple[Record, ...]
    recipe: Mapping[str, tuple[object, object]]
    theta: tuple[object, object]
    measured: tuple[Measured | None, Measured | None]
    answers: tuple[Answered, ...] = ()


def compared(
    packed: tuple[Packed, Packed],
    held: tuple[Sequence[Record], Sequence[Record]],
    answers: tuple[Answered, ...],
) -> Difference:
    """Compare two versions.

    Args:
        packed: What they hold.
        held: The records that each was built from.
        answers: What they answer.
    """
    first, second = ({each.uid for each in part} for part in held)
    recipes = [dict(_flat(json.loads(each.recipe))) for each in packed]
    for recipe in recipes:
        recipe.pop("records", None)
    names = sorted({name for recipe in recipes for name in recipe})
    both = {name: (recipes[0].get(name), recipes[1].get(name)) for name in names}
    thetas = [cast("object", json.loads(each.manifest)["theta"]) for each in packed]
    return Difference(
        added=tuple(each for each in held[1] if each.uid not in first),
        removed=tuple(each for each in held[0] if each.uid not in second),
        recipe={name: values for name, values in both.items() if values[0] != values[1]},
        theta=(thetas[0], thetas[1]),
        measured=(Measured.of(packed[0]), Measured.of(packed[1])),
        answers=answers,
    )


def answered(
    stored: tuple["StoredMemory", "StoredMemory"], held: Sequence[Record], *, user: str
) -> tuple[Answered, ...]:
    """Have two versions answer the person's validation queries, the likeliest token each time.

    Args:
        stored: The versions.
        held: The records that the second was built from: of these are the queries.
        user: What the person is called.
    """
    from lorecall.data.history import split_history  # noqa: PLC0415
    from lorecall.memory.shared import load_base_of  # noqa: PLC0415
    from lorecall.records import evenly_spaced  # noqa: PLC0415
    from lorecall.reply.messages import messages_of  # noqa: PLC0415
    from lorecall.reply.responder import ModelResponder  # noqa: PLC0415
    from lorecall.store.derive import derived  # noqa: PLC0415

    valid = split_history(derived([each.row for each in held], user=user)).valid
    asked = evenly_spaced(valid, min(N_ASKED, len(valid)))
    first, second = (each.manifest.base for each in stored)
    base = load_base_of(second)
    other = base if first.fingerprint == second.fingerprint else load_base_of(first)
    responders = ModelResponder(other, stored[0]), ModelResponder(base, stored[1])
    return tuple(
        Answered(
            query=sample.query,
            truth=sample.response,
            first=responders[0].reply(messages_of(sample.query, sample.earlier)),
            second=responders[1].reply(messages_of(sample.query, sample.earlier)),
        )
        for sample in asked
    )


def _flat(value: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """Yield what a recipe says, one value a name: `train.max_epochs`."""
    for name, each in value.items():
        if isinstance(each, dict):
            yield from _flat(cast("dict[str, object]", each), f"{before}{name}.")
        else:
            yield f"{before}{name}", each
