"""What of a memory is the person's own: their replies read with it and with other people's.

What any memory of the kind would gain is nothing personal: so the text stays, and the memory is
swapped. Where there is nobody else's memory, it cannot be told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorecall.bench.reading import read_losses
from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.metrics.intervals import paired_difference
from lorecall.metrics.personal import SwappedLosses
from lorecall.records import Interval, Sample
from lorecall.reply.responder import ModelResponder, Responder
from lorecall.settings import TrainSettings
from lorecall.systems.contract import PersonData
from lorecall.train.fit import fit_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """What swapping memories says of one person; intervals are over replies.

    Args:
        gain: PG: others' loss less the own, in nats per token.
        own_less_shared: The own loss less that without any memory of a person.
        rank: The place of the own memory among all, from 1.
        n_memories: How many there are.
        auc: How often a single reply prefers the own memory to another; 0.5 is chance.
    """

    gain: Interval
    own_less_shared: Interval
    rank: int
    n_memories: int
    auc: float


def personal(
    responder: Responder,
    bare: Responder,
    samples: Sequence[Sample],
    memories: Mapping[str, StoredMemory],
    *,
    limits: TrainSettings,
    seed: int = 0,
) -> Personal | None:
    """Read a person's replies with their own memory, with other people's and with none.

    Args:
        responder: The person's own.
        bare: The same base with nothing of the person.
        samples: The replies.
        memories: user -> their memory, of people other than this one.
        limits: The longest prompt and response.
        seed: Seed of the intervals.

    Returns:
        None where there is nobody else's memory.

    Raises:
        ModelError: A memory is another base's.
    """
    if not memories:
        return None

    def read(each: Responder) -> tuple[float, ...]:
        return read_losses(each, [responder.encode(sample) for sample in samples])

    base = responder.base
    losses = SwappedLosses(
        user=samples[0].user,
        own=read(responder),
        others={
            user: read(ModelResponder(base, memory=memory, limits=limits))
            for user, memory in memories.items()
        },
        shared=read(bare),
    )
    return Personal(
        gain=paired_difference(losses.mean_others, losses.own, seed=seed),
        own_less_shared=paired_difference(losses.own, losses.shared, seed=seed),
        rank=losses.rank,
        n_memories=1 + len(memories),
        auc=losses.auc,
    )


def memories_of(folders: Sequence[Path]) -> dict[str, StoredMemory]:
    """Read other people's memories, by whose they are.

    Args:
        folders: Memories' folders, or those of runs; one a person.

    Raises:
        ArtefactError: One is not there, or not whole.
        ConfigError: Two are of one person.
    """
    found: dict[str, StoredMemory] = {}
    for folder in folders:
        memory = StoredMemory.load(folder)
        user = memory.manifest.training.user
        if user in found:
            raise ConfigError(
                "memories are swapped between people",
                expected="one memory a person",
                got=f"two of {user!r}, the second in {folder}",
                next_step="Leave one of them out.",
            )
        found[user] = memory
    return found


def memories_like(
    memory: StoredMemory, others: Sequence[PersonData], base: LanguageModel
) -> dict[str, StoredMemory]:
    """Train other people's memories as one was trained.

    Args:
        memory: The one.
        others: Whose.
        base: The base that it belongs to.

    Returns:
        user -> their memory; none where the one was trained with notes in its prompts.
    """
    made = memory.manifest
    if made.recipe.notes:
        return {}
    return {
        person.history.user: fit_memory(
            made.theta,
            person.split,
            base,
            settings=made.recipe.settings,
            seed=made.training.seed,
            linears=memory.linears,
        ).memory
        for person in others
    }
