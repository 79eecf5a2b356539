"""From what each system made of the test samples to the run's result."""

from dataclasses import replace
from datetime import UTC, datetime

from lorecall.core.provenance import versions, without_password
from lorecall.data.privacy import mask
from lorecall.decoding import READABLE
from lorecall.learning.folder import STUDY_FILE
from lorecall.learning.held_out import SystemReading, shown_of
from lorecall.learning.readings import Readings
from lorecall.learning.result import RUN_SYSTEMS, HeldOutReply, PersonalResult, RunResult, RunSystem
from lorecall.learning.run import Run
from lorecall.memory.memory import StoredMemory
from lorecall.metrics.intervals import paired_difference
from lorecall.metrics.overlap import persona_tokens
from lorecall.metrics.personal import SwappedLosses
from lorecall.metrics.registry import Answers
from lorecall.metrics.scores import (
    SampleScores,
    mean_scores,
    paired_scores,
    score_samples,
    signatures,
)
from lorecall.records import History, Split
from lorecall.search.records import SearchOutcome


def result_of(
    run: Run, history: History, *, found: SearchOutcome | None, readings: Readings
) -> RunResult:
    """Score every system on the test samples, paired, and gather what was found.

    Args:
        run: The run.
        history: Whose it is.
        found: The search; None where there was none.
        readings: What was read of the test.
    """
    split, settings, systems = run.split, run.settings, readings.systems
    memory = StoredMemory.load(run.folder.memory)
    persona = persona_tokens(split.own_content)
    bootstrap = {"n_resamples": settings.n_bootstrap, "seed": settings.seed}
    reference: RunSystem = "shared" if "shared" in systems else "base"
    swapped = _swapped(readings, reference)
    scored = _scored(split, readings, persona)
    if swapped:
        scored["other"] = {"loss": swapped.mean_others}
    fit = systems["own"].fit
    return RunResult(
        user=history.user,
        dataset=history.dataset,
        model=run.base.name,
        shared=run.base.shared and run.base.shared.name,
        n_layers=run.base.n_layers,
        seed=settings.seed,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        config=memory.config,
        factor=memory.manifest.factor,
        split=split.sizes,
        scores={
            name: mean_scores(scored[name], **bootstrap) for name in RUN_SYSTEMS if name in scored
        },
        difference_to_shared={
            name: paired_scores(scored[name], scored[reference], **bootstrap)
            for name in RUN_SYSTEMS
            if name in scored and name != reference
        },
        personal=_personal(readings, reference, swapped, **bootstrap),
        persona_tokens=len(persona),
        chosen_trial=fit.trial,
        front=tuple(trial for trial in found.trials if trial.on_front) if found else (),
        trials=found.trials if found else (),
        hypervolume=found and found.hypervolume,
        importance=found.importance if found else {},
        curves={name: read.fit.curve for name, read in systems.items() if read.fit.curve},
        replies=_replies(split, readings),
        drawn={name: getattr(READABLE, name) for name in ("temperature", "min_p", "seed")},
        seconds=_seconds(readings, found),
        sizes={
            "trainable_parameters": fit.n_parameters,
            "bytes": sum(file.stat().st_size for file in run.folder.memory.iterdir()),
        },
        signature=signatures(len(split.test), **bootstrap, n_persona_tokens=len(persona)),
        settings=settings.as_json(),
        storage=without_password(run.storage or STUDY_FILE) if found else None,
        versions=versions(),
    )


def _scored(
    split: Split, readings: Readings, persona: frozenset[str]
) -> dict[RunSystem, SampleScores]:
    """Return every metric of each test sample, system by system."""
    references = [sample.response for sample in split.test]
    return {
        name: score_samples(
            Answers(
                losses=read.losses,
                responses=read.responses,
                references=references,
                persona=persona,
            )
        )
        for name, read in readings.systems.items()
    }


def _swapped(readings: Readings, reference: RunSystem) -> SwappedLosses | None:
    """Return the losses with everyone's memory; None where there are no others."""
    if not readings.others:
        return None
    return SwappedLosses(
        user="",
        own=readings.systems["own"].losses,
        others={user: read.losses for user, read in readings.others.items()},
        shared=readings.systems[reference].losses,
    )


def _personal(
    readings: Readings,
    reference: RunSystem,
    swapped: SwappedLosses | None,
    *,
    n_resamples: int,
    seed: int,
) -> PersonalResult:
    """Compare the own memory with what is shared and with other people's, reply by reply."""
    own, shared = readings.systems["own"].losses, readings.systems[reference].losses
    less = paired_difference(own, shared, n_resamples=n_resamples, seed=seed)
    if swapped is None:
        return PersonalResult(own_less_shared=less)
    return PersonalResult(
        own_less_shared=less,
        gain=paired_difference(swapped.mean_others, own, n_resamples=n_resamples, seed=seed),
        rank=swapped.rank,
        of=1 + len(swapped.others),
        auc=swapped.auc,
        which_of_eight=readings.picked and readings.picked.picked,
    )


def _replies(split: Split, readings: Readings) -> tuple[HeldOutReply, ...]:
    """Take the test queries that were answered for people to read."""
    systems: dict[RunSystem, SystemReading] = dict(readings.systems)
    if first := next(iter(readings.others.values()), None):
        systems["other"] = first
    return tuple(
        HeldOutReply(
            earlier=tuple(replace(turn, text=mask(turn.text)) for turn in split.test[i].earlier),
            query=mask(split.test[i].query),
            truth=mask(split.test[i].response),
            responses={
                name: mask(systems[name].shown[k]) for name in RUN_SYSTEMS if name in systems
            },
        )
        for k, i in enumerate(shown_of(split))
    )


def _seconds(readings: Readings, found: SearchOutcome | None) -> dict[str, float]:
    """Add up what was measured, nothing twice; loading the data and the base is left out."""
    systems, others = readings.systems, readings.others.values()
    seconds = {"own": systems["own"].fit.seconds}
    if others:
        seconds["others"] = sum(read.fit.seconds for read in others)
    if found:
        seconds["search"] = found.seconds
        seconds["default-lora"] = systems["default-lora"].fit.seconds
    seconds["evaluate"] = sum(read.seconds for read in (*systems.values(), *others))
    if readings.picked:
        seconds["evaluate"] += readings.picked.seconds
    return {**seconds, "total": sum(seconds.values())}
