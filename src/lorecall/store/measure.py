"""What the gate reads of a version that was just built, in the process that built it."""

from collections.abc import Sequence
from statistics import fmean

from safetensors.torch import load

from lorecall.data.history import by_conversation, is_long_enough, split_history
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import layout_of
from lorecall.memory.memory import Manifest, StoredMemory
from lorecall.metrics.intervals import standard_error
from lorecall.records import Split
from lorecall.reply.responder import ModelResponder
from lorecall.scorecard.ability import general_losses
from lorecall.store.derive import derived
from lorecall.store.gate import Beside, Gate, Head, Measured
from lorecall.store.recipe import BuildRequest, Packed
from lorecall.store.rows import Row
from lorecall.train.reading import Reader


def memory_of(packed: Packed) -> StoredMemory:
    """Return a version as it is stored."""
    manifest = Manifest.model_validate_json(packed.manifest)
    return StoredMemory(manifest=manifest, tensors=load(packed.weights))


def measured(
    request: BuildRequest, base: LanguageModel, memory: StoredMemory, gate: Gate
) -> Measured:
    """Measure a version beside the base, and beside the head where there is one.

    Args:
        request: What it was built from.
        base: The base it was built on.
        memory: The version.
        gate: What it is measured beside.
    """
    split = split_history(derived(request.rows, user=request.user))
    reader = Reader(base, request.settings.train)
    part = reader.encode(split.valid, past=split.train)
    own = reader.losses(part, injection=Injection.of(base, memory))
    limits = request.settings.train
    return Measured(
        general=fmean(general_losses(ModelResponder(base, memory, limits=limits))),
        general_before=fmean(general_losses(ModelResponder(base, limits=limits))),
        valid=fmean(own),
        valid_before=fmean(reader.losses(part)),
        n_valid=len(own),
        beside=None if gate.head is None else _beside(gate.head, request, reader, split, own),
    )


def _beside(
    head: Head, request: BuildRequest, reader: Reader, split: Split, own: Sequence[float]
) -> Beside | None:
    """Compare with the head; None where it is on another base, or has learnt all that is read."""
    memory = memory_of(head.packed)
    made, prompts = memory.manifest, layout_of(reader.base.tokenizer)
    if (made.base.fingerprint, made.recipe.prompts) != (reader.base.fingerprint, prompts):
        return None
    learnt = _learnt([request.rows[i] for i in head.held], user=request.user)
    chosen = [i for i, s in enumerate(split.valid) if (s.query, s.response) not in learnt]
    if not chosen:
        return None
    part = reader.encode([split.valid[i] for i in chosen], past=split.train)
    theirs = reader.losses(part, injection=Injection.of(reader.base, memory))
    mine = [own[i] for i in chosen]
    return Beside(
        n=head.n,
        loss=fmean(theirs),
        own=fmean(mine),
        error=standard_error([a - b for a, b in zip(mine, theirs, strict=True)]),
        n_replies=len(chosen),
    )


def _learnt(rows: Sequence[Row], *, user: str) -> set[tuple[str, str]]:
    """Return the pairs of the training part that the head was built from."""
    history = derived(rows, user=user)
    n_conversations = len(by_conversation(history.samples))
    if not is_long_enough(n_samples=len(history.samples), n_conversations=n_conversations):
        return set()
    return {(sample.query, sample.response) for sample in split_history(history).train}
