"""From a trained candidate to the memory that is kept of it."""

from lorecall.core.provenance import versions
from lorecall.data.history import samples_hash
from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import PromptFormat
from lorecall.memory.memory import BaseIdentity, Manifest, StoredMemory, Training
from lorecall.records import GREEDY, Decoding, InjectionConfig, Split
from lorecall.train.trial import Trained


def to_memory(
    trained: Trained,
    config: InjectionConfig,
    *,
    base: LanguageModel,
    training: Training,
    decoding: Decoding = GREEDY,
) -> StoredMemory:
    """Put trained pairs together with where they belong and what they came from.

    Args:
        trained: The pairs, at their best point.
        config: theta.
        base: The base they were trained for.
        training: What they were trained on, from `training_of`.
        decoding: How its replies are decoded.
    """
    manifest = Manifest(
        base=base_identity(base),
        theta=config,
        training=training,
        versions=versions(),
        stop_ids=tuple(sorted(PromptFormat(base.tokenizer).stop_ids)),
    )
    return StoredMemory(manifest=manifest, tensors=trained.tensors).decoded(decoding)


def base_identity(base: LanguageModel) -> BaseIdentity:
    """Return which base it is, and where its linears are."""
    family = base.family
    return BaseIdentity(
        name=base.name,
        fingerprint=base.fingerprint,
        family=family.name,
        n_layers=base.n_layers,
        paths=family.paths,
        peft_targets=family.peft_targets,
        fan_in_fan_out=family.transposed,
    )


def training_of(split: Split, *, user: str, dataset: str, seed: int) -> Training:
    """Return what a memory is trained on: ids and a hash, never the text."""
    return Training(
        user=user,
        dataset=dataset,
        seed=seed,
        sample_ids=tuple(sample.id for sample in split.train),
        samples_sha256=samples_hash(split.train),
        split=sizes_of(split),
    )


def sizes_of(split: Split) -> dict[str, int]:
    """Count the samples of each part."""
    return {"train": len(split.train), "valid": len(split.valid), "test": len(split.test)}
