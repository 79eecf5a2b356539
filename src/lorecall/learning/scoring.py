"""From what each system made of the test samples to the run's result."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lorecall.core.provenance import versions, without_password
from lorecall.data.privacy import mask
from lorecall.learning.folder import STUDY_FILE
from lorecall.learning.result import SYSTEMS, Reply, RunResult, RunSystem
from lorecall.learning.run import FitSummary, Run
from lorecall.metrics.overlap import persona_tokens
from lorecall.metrics.registry import Answers
from lorecall.metrics.scores import (
    SampleScores,
    mean_scores,
    paired_scores,
    score_samples,
    signatures,
)
from lorecall.records import History, Split, evenly_spaced
from lorecall.search.records import SearchOutcome
from lorecall.train.reading import Reading

_N_REPLIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReading:
    """What one system made of the test samples, and how it was made."""

    reading: Reading
    fit: FitSummary


def result_of(
    run: Run,
    history: History,
    found: SearchOutcome,
    readings: Mapping[RunSystem, SystemReading],
) -> RunResult:
    """Score every system on the test samples, paired, and gather what was found."""
    split, settings = run.split, run.settings
    persona = persona_tokens(split.own_content)
    bootstrap = {"n_resamples": settings.n_bootstrap, "seed": settings.seed}
    scored: dict[RunSystem, SampleScores] = {
        name: score_samples(
            Answers(
                losses=read.reading.losses,
                responses=read.reading.responses,
                references=[sample.response for sample in split.test],
                persona=persona,
            )
        )
        for name, read in readings.items()
    }
    fit = readings["memory"].fit
    taken = next(trial for trial in found.trials if trial.number == fit.trial)
    return RunResult(
        user=history.user,
        dataset=history.dataset,
        model=run.base.name,
        n_layers=run.base.n_layers,
        seed=settings.seed,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        config=taken.config,
        chosen_trial=taken.number,
        split=split.sizes,
        scores={name: mean_scores(each, **bootstrap) for name, each in scored.items()},
        difference_to_vanilla={
            name: paired_scores(scored[name], scored["vanilla"], **bootstrap)
            for name in SYSTEMS[1:]
        },
        persona_tokens=len(persona),
        front=tuple(trial for trial in found.trials if trial.on_front),
        trials=found.trials,
        hypervolume=found.hypervolume,
        importance=found.importance,
        curves={name: read.fit.curve for name, read in readings.items()},
        replies=_replies(split, readings),
        seconds=_seconds(readings, found),
        sizes={
            "trainable_parameters": fit.n_parameters,
            "bytes": sum(file.stat().st_size for file in run.folder.memory.iterdir()),
        },
        signature=signatures(len(split.test), **bootstrap, n_persona_tokens=len(persona)),
        settings=settings.as_json(),
        storage=without_password(run.storage or STUDY_FILE),
        versions=versions(),
    )


def _replies(split: Split, readings: Mapping[RunSystem, SystemReading]) -> tuple[Reply, ...]:
    """Take test queries evenly spaced over the test, not picked by their answers."""
    indices = tuple(range(len(split.test)))
    return tuple(
        Reply(
            earlier=tuple(replace(turn, text=mask(turn.text)) for turn in split.test[i].earlier),
            query=mask(split.test[i].query),
            truth=mask(split.test[i].response),
            responses={name: mask(r.reading.responses[i]) for name, r in readings.items()},
        )
        for i in evenly_spaced(indices, min(_N_REPLIES, len(indices)))
    )


def _seconds(readings: Mapping[RunSystem, SystemReading], found: SearchOutcome) -> dict[str, float]:
    """Add up what was measured; `total` leaves out loading the data and the base."""
    trials, fits = found.trials, [read.fit for read in readings.values()]
    suggest = sum(trial.suggest_s for trial in trials)
    train = sum(trial.train_s for trial in trials) + sum(fit.train_s for fit in fits)
    evaluate = sum(trial.evaluate_s for trial in trials)
    evaluate += sum(read.reading.seconds for read in readings.values())
    length = sum(fit.length_s for fit in fits)
    return {
        "search": found.seconds,
        "suggest": suggest,
        "train": train,
        "evaluate": evaluate,
        "length": length,
        "total": suggest + train + evaluate + length,
    }
