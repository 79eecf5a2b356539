"""The one way a memory is made: theta and a split in, a memory out.

A memory is a function of its recipe: the base, theta, the samples, the settings and the seed, on
one kind of machine with one number of threads (SPEC section 10). Nothing else is looked at, no
state of an earlier training is used, and the manifest says what it was made from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from time import perf_counter

import torch

from lorecall.core.provenance import versions
from lorecall.data.donors import Donors
from lorecall.data.history import samples_hash
from lorecall.errors import ModelError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.device import instruction_set
from lorecall.lm.prompts import Retriever, layout_of
from lorecall.memory.artefact import BaseIdentity, Recipe, SharedIdentity, in_bf16
from lorecall.memory.memory import Manifest, StoredMemory, Training
from lorecall.memory.shared import DonorRecords, SharedManifest, SharedMemory, new_salt
from lorecall.records import InjectionConfig, Split
from lorecall.settings import TrainSettings
from lorecall.train.loop import TrainReport
from lorecall.train.reading import Reader
from lorecall.train.trial import TrialData, TrialRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedMemory:
    """A memory, and how it was made.

    Args:
        memory: What is stored.
        report: Its training: the loss curve, tokens and seconds.
        taken: Which of the thetas it is, by its place.
        train_s: Seconds of training all of them, and of choosing the factor.
        length_s: Seconds of fitting how long its replies are.

    Examples:
        >>> from lorecall import InjectionConfig, TrainSettings, load_history
        >>> from lorecall.data import split_history
        >>> from lorecall.lm import tiny_base
        >>> from lorecall.train import fit_memory
        >>> thetas = [InjectionConfig(layers=(i,), n_loras=1, rank=4) for i in (0, 2)]
        >>> split = split_history(load_history("history.jsonl", user="ann"))
        >>> fitted = fit_memory(thetas, split, tiny_base(), settings=TrainSettings(max_epochs=1))
        >>> fitted.memory.config == thetas[fitted.taken]
        True
        >>> fitted.report.curve[0].step, fitted.report.best.loss <= fitted.report.curve[0].loss
        (0, True)
    """

    memory: StoredMemory
    report: TrainReport
    taken: int
    train_s: float
    length_s: float


def fit_memory(  # noqa: PLR0913 - a recipe's parts
    thetas: InjectionConfig | Sequence[InjectionConfig],
    split: Split,
    base: LanguageModel,
    *,
    settings: TrainSettings,
    seed: int = 0,
    linears: tuple[str, ...] | None = None,
    retriever: Retriever | None = None,
    on_step: Callable[[float], None] | None = None,
) -> FittedMemory:
    """Train one person's memory on all of the training part, and fit how it replies.

    Args:
        thetas: theta, or several of which each is trained in full and the one of the lowest
            validation loss is kept (of equals the first).
        split: The person's samples; the test part is not looked at.
        base: The frozen base.
        settings: How it is trained, and how replies are decoded.
        seed: Seed of the pairs' start and of the samples' order.
        linears: Which linears take a module; None for the family's default.
        retriever: What is put in the prompts, in training and after; nothing when None.
        on_step: Called after every training step with its share of one whole training.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall import InjectionConfig, Memory, TrainSettings, load_history
        >>> from lorecall.data import split_history
        >>> from lorecall.lm import tiny_base
        >>> from lorecall.train import fit_memory
        >>> split = split_history(load_history("history.jsonl", user="ann"))
        >>> base, theta = tiny_base(), InjectionConfig(layers=(0, 2), n_loras=2, rank=4)
        >>> fitted = fit_memory(theta, split, base, settings=TrainSettings(max_epochs=1), seed=3)
        >>> fitted.memory.save(Path("by-hand"))
        >>> Memory.load("by-hand", base=base).manifest.training.seed
        3
    """
    candidates = (thetas,) if isinstance(thetas, InjectionConfig) else tuple(thetas)
    reader = TrialRunner(base, settings=settings, seed=seed)
    data = reader.data(split, split.train, retriever=retriever)
    trained = [
        TrialRunner(base, settings=settings, seed=seed, on_step=on_step).train(  # a cold cache
            theta, data, linears=linears
        )
        for theta in candidates
    ]
    taken = min(range(len(trained)), key=lambda i: trained[i].report.best.loss)
    manifest = Manifest(
        base=identity_of_base(base),
        theta=candidates[taken],
        training=training_of(split, seed=seed),
        recipe=training_recipe(candidates, base, settings, retriever=retriever),
        stop_ids=tuple(sorted(reader.format.stop_ids)),
    )
    started = perf_counter()
    memory = fit_factor(
        StoredMemory(manifest=manifest, tensors=in_bf16(trained[taken].tensors)), reader, data
    )
    factor_s = perf_counter() - started
    started = perf_counter()
    decoding = reader.fit_length(
        data.valid,
        data.train,
        max_new_tokens=data.max_new_tokens,
        injection=Injection.of(base, memory),
    )
    return FittedMemory(
        memory=memory.decoded(decoding),
        report=trained[taken].report,
        taken=taken,
        train_s=sum(each.report.seconds for each in trained) + factor_s,
        length_s=perf_counter() - started,
    )


def fit_factor(memory: StoredMemory, reader: Reader, data: TrialData) -> StoredMemory:
    """Multiply a memory by the factor that the validation part likes best; 0 where nothing helps.

    Of equal ones the smallest is taken. The memory is read as it is stored, at each of them but 0.

    Args:
        memory: The memory as it was trained.
        reader: Reads it.
        data: Holds the validation part, and the base's own losses of it.
    """
    allowed = reader.settings.factors
    if len(allowed) == 1:
        return memory.multiplied(allowed[0])
    losses = {0.0: data.base_loss}
    for factor in allowed:
        if factor:
            injection = Injection.of(reader.base, memory.multiplied(factor))
            losses[factor] = fmean(reader.losses(data.valid, injection=injection))
    return memory.multiplied(min(allowed, key=lambda factor: losses[factor]))


def fit_shared(  # noqa: PLR0913 - a recipe's parts
    theta: InjectionConfig,
    donors: Donors,
    base: LanguageModel,
    *,
    settings: TrainSettings,
    consent: str,
    kept_rank: int | None = None,
    seed: int = 0,
    salt: str | None = None,
    on_step: Callable[[float], None] | None = None,
) -> SharedMemory:
    """Train what many people have in common.

    It is a function of its recipe and its salt, as a person's memory is of its recipe.

    Args:
        theta: Where it goes, and of which rank.
        donors: Whose conversations.
        base: The frozen base, without a shared memory.
        settings: How it is trained.
        consent: Why these people's words may be used.
        kept_rank: What the trained pairs are cut to; nothing is cut when None.
        seed: Seed of the pairs' start and of the samples' order.
        salt: What the ids of people and replies are hashed with; a new one when None.
        on_step: Called after every training step with its share of the whole training.

    Raises:
        ModelError: The base holds a shared memory already.

    Examples:
        >>> from lorecall import InjectionConfig, TrainSettings
        >>> from lorecall.data import draw_donors
        >>> from lorecall.lm import tiny_base
        >>> from lorecall.train import fit_shared
        >>> donors = draw_donors("crowd.jsonl", n_replies=40, n_valid=8)
        >>> base, theta = tiny_base(), InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=2)
        >>> train = TrainSettings(max_epochs=1)
        >>> shared = fit_shared(theta, donors, base, settings=train, consent="made up")
        >>> shared.manifest.donors.has_sample(donors.train[0].id)
        True
    """
    if base.shared is not None:
        raise ModelError(
            "a shared memory is learnt on a bare base",
            expected="a base without one",
            got=base.title,
            next_step='Load it with shared="none".',
        )
    split = Split(
        user="donors",
        dataset=donors.dataset,
        train=donors.train,
        valid=donors.valid,
        test=(),
        own_content=(),
    )
    runner = TrialRunner(base, settings=settings, seed=seed, on_step=on_step)
    data = runner.data(split, split.train)
    trained = runner.train(theta, data)
    manifest = SharedManifest(
        base=identity_of_base(base),
        theta=theta,
        dataset=donors.dataset,
        licence=donors.licence,
        consent=consent,
        donors=DonorRecords.of(
            donors.people, (sample.id for sample in donors.train), salt=salt or new_salt()
        ),
        valid=tuple((round(p.epoch * len(donors.train)), p.loss) for p in trained.report.curve),
        recipe=training_recipe((theta,), base, settings),
        stop_ids=tuple(sorted(runner.format.stop_ids)),
        no_repeat=settings.no_repeat,
    )
    made = SharedMemory.of(manifest, trained.tensors).cut(kept_rank or theta.rank)
    decoding = runner.fit_length(
        data.valid,
        data.train,
        max_new_tokens=data.max_new_tokens,
        injection=Injection.of(base, made),
    )
    with_length = made.manifest.model_copy(update={"stop_bias": decoding.stop_bias})
    return replace(made, manifest=with_length)


def identity_of_base(base: LanguageModel) -> BaseIdentity:
    """Return which base it is, and where its linears are."""
    family = base.family
    return BaseIdentity(
        name=base.name,
        fingerprint=base.fingerprint,
        shared=base.shared and SharedIdentity(name=base.shared.name, sha256=base.shared.sha256),
        family=family.name,
        n_layers=base.n_layers,
        paths=family.paths,
        peft_targets=family.peft_targets,
        fan_in_fan_out=family.transposed,
    )


def training_of(split: Split, *, seed: int) -> Training:
    """Return what a memory is trained on: ids and hashes, never the text."""
    return Training(
        user=split.user,
        dataset=split.dataset,
        seed=seed,
        sample_ids=tuple(sample.id for sample in split.train),
        samples_sha256=samples_hash(split.train),
        valid_sha256=samples_hash(split.valid),
        split=split.sizes,
        redacted=None if split.redacted is None else dict(split.redacted),
    )


def training_recipe(
    thetas: tuple[InjectionConfig, ...],
    base: LanguageModel,
    settings: TrainSettings,
    *,
    retriever: Retriever | None = None,
) -> Recipe:
    """Return what a memory is computed from beside its samples, and what its bits depend on."""
    return Recipe(
        thetas=thetas,
        settings=settings,
        prompts=layout_of(base.tokenizer),
        notes=retriever.signature if retriever else "",
        dtype=base.format_name,
        device=base.device.type,
        n_threads=torch.get_num_threads(),
        instruction_set=instruction_set(base.device),
        versions=versions("lorecall", "torch", "transformers", "tokenizers", "numpy"),
    )
