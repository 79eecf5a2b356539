"""The use case, top to bottom: a history in, a memory and what it changed out.

history -> split -> vanilla -> search <-> trials -> choice -> default LoRA -> memory -> scores

Here and in `lorecall.learning.search` alone the search and the model meet. Every stage leaves its
finding in the run's folder, so that a run killed at any moment goes on where it was.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from lorecall.core.progress import Ledger, Reporter, SilentReporter
from lorecall.core.provenance import versions, without_password
from lorecall.data.history import samples_hash, split_history
from lorecall.data.privacy import mask
from lorecall.errors import ArtefactError
from lorecall.learning.costs import Costs
from lorecall.learning.folder import STUDY_FILE, RunFolder, open_run
from lorecall.learning.readings import SystemReading, prior_of, seconds_of
from lorecall.learning.result import SYSTEMS, Reply, RunResult, Scores, System
from lorecall.learning.search import Plan, SearchProblem, space_of
from lorecall.learning.watching import Watch
from lorecall.learning.workers import workers_beside
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.metrics.overlap import persona_tokens
from lorecall.metrics.scores import (
    SampleScores,
    mean_scores,
    paired_scores,
    score_samples,
    signatures,
)
from lorecall.records import (
    Decoding,
    History,
    InjectionConfig,
    Split,
    default_lora,
    evenly_spaced,
)
from lorecall.search.outcome import Objectives, SearchOutcome
from lorecall.search.prior import Prior
from lorecall.search.study import check_storage
from lorecall.settings import LearnSettings, check_range, preset
from lorecall.train.finals import train_finalists
from lorecall.train.storing import sizes_of, to_memory, training_of
from lorecall.train.trial import Trained, TrialRunner

_N_REPLIES = 5


def learn_memory(  # noqa: PLR0913 - one parameter an option
    history: History,
    base: LanguageModel,
    *,
    out: str | Path,
    settings: LearnSettings | None = None,
    storage: str | None = None,
    workers: int = 1,
    warm_start: Sequence[str | Path] = (),
    reporter: Reporter | None = None,
) -> RunResult:
    """Find, train and store a person's memory, and measure what it changed.

    Killed at any moment and called again with the same arguments, it goes on with what is
    finished; called again after it has finished, it gives the same result at once.

    Args:
        history: Everything one user wrote or was asked.
        base: The frozen base.
        out: The run's folder, new or of the same run.
        settings: What is computed; the `laptop` preset when None.
        storage: Optuna storage URL of the trials; a SQLite file in `out` when None.
        workers: Processes that work on the search, this one among them. They share its cores; on
            a machine with several GPUs each takes one.
        warm_start: Folders of other people's finished runs with the same base and space: their
            best points are tried first, and their trials inform the search.
        reporter: Who is told how far it is.

    Returns:
        The result, which is also `out/result.json`; the memory is in `out/memory`.

    Raises:
        DataError: Too few samples.
        RunError: `out` holds something else, or another process works in it.
        StorageError: The storage cannot be reached.
    """
    settings = settings or preset()
    split = split_history(history)
    check_range("workers", workers, low=1)
    identity = identity_of(history, base, settings)
    others = [RunResult.load(Path(folder)) for folder in warm_start]
    space = space_of(base.n_layers, base.max_rank, settings.search)
    objectives = Objectives(settings.search.third_objective)
    priors = tuple(prior_of(other, space, objectives) for other in others)
    if others:
        identity["warm_start"] = [hash_of(other) for other in others]
    if storage is not None:
        check_storage(storage)  # before the folder is taken
    with open_run(Path(out), identity) as folder:
        if not is_stored(folder.memory):
            folder.forget_stage("memory")
        if folder.result.exists():
            return RunResult.load(folder.path)
        job = _Job(
            history,
            split,
            base,
            settings,
            folder,
            reporter or SilentReporter(),
            n_workers=workers,
            priors=priors,
        )
        if storage is None:
            check_storage(folder.storage_url)
        vanilla = job.vanilla()
        found = job.search(storage or folder.storage_url, vanilla)
        readings: dict[System, SystemReading] = {
            "vanilla": vanilla,
            "default_lora": job.default_lora(vanilla),
            "memory": job.memory(found, vanilla),
        }
        result = job.result(readings, found, storage=storage or STUDY_FILE)
        result.save(folder.result)
        return result


class _Job:
    """One run at work: what its stages share."""

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        history: History,
        split: Split,
        base: LanguageModel,
        settings: LearnSettings,
        folder: RunFolder,
        reporter: Reporter,
        *,
        n_workers: int,
        priors: tuple[Prior, ...],
    ) -> None:
        self.history, self.split, self.base = history, split, base
        self.n_workers, self.priors = n_workers, priors
        self.settings, self.folder = settings, folder
        self.final = TrialRunner(base, settings=settings.train, seed=settings.seed)
        self.searching = SearchProblem(base, history, settings, frozen=self.final.frozen)
        self.data = self.final.data(split, split.train)
        self.test = self.final.encode(split.test, past=split.train)
        self.costs = Costs.of(
            self.data, self.searching.full.data, test=self.test, settings=settings
        )
        self.ledger = Ledger(reporter, self.costs.total)

    def vanilla(self) -> SystemReading:
        """Read the base itself: the control, and the start of every loss curve (n = 0)."""

        def read(_: Callable[[float], None]) -> SystemReading:
            valid = self.final.losses(self.data.valid)
            length = self.final.fit_length(self.data)
            test = self.final.read(
                self.test, max_new_tokens=self.data.max_new_tokens, decoding=length.decoding
            )
            return SystemReading(
                losses=test.losses,
                responses=test.responses,
                valid_losses=valid,
                evaluate_s=test.seconds,
                length_s=length.seconds,
                stop_bias=length.decoding.stop_bias,
            )

        return self._stage("vanilla", "reading the base", self.costs.vanilla, read)

    def search(self, storage: str, vanilla: SystemReading) -> SearchOutcome:
        """Search theta on the validation samples; the test is not touched."""
        plan = Plan(
            history=self.history,
            settings=self.settings,
            storage=storage,
            study_name=f"{self.history.dataset}-{self.history.user}-{self.folder.id}",
            vanilla_loss=vanilla.valid_loss,
            priors=self.priors,
        )
        say, logs = self.ledger.reporter.say, self.folder.path / "workers"
        others = self.n_workers - 1
        with workers_beside(self.base, plan, n=others, folder=logs, say=say) as workers:
            search = self.searching.open(plan)
            watch = Watch(search, self.ledger, workers, what="trial", cost=self.costs.trial)
            found = search.run(
                self.searching.objective(full := self.searching.full, plan, search, watch.stage),
                together=self.searching.together(full, plan, search, watch.stage),
                on_trial=watch.tell,
                on_wait=watch.wait,
            )
        left = self.settings.search.trials - len(found.trials)
        self.ledger.skip(self.costs.suggestions + left * self.costs.trial)
        return found

    def default_lora(self, vanilla: SystemReading) -> SystemReading:
        """Train the control that isolates the search."""
        config = default_lora(self.base.n_layers, inject=self.settings.search.inject)
        line = "training the default LoRA"
        return self._train_and_read("default_lora", line, [config], vanilla, cost=self.costs.final)

    def memory(self, found: SearchOutcome, vanilla: SystemReading) -> SystemReading:
        """Train the search's finalists on all of the training samples and store the best."""
        configs = [trial.config for trial in self.searching.finalists(found)]
        line = "training the memory"
        return self._train_and_read("memory", line, configs, vanilla, cost=self.costs.memory)

    def result(
        self, readings: Mapping[System, SystemReading], found: SearchOutcome, *, storage: str
    ) -> RunResult:
        """Score every system on the test samples, paired, and gather what was found."""
        persona = persona_tokens(self.split.own_content)
        finalists = self.searching.finalists(found)
        taken = finalists[readings["memory"].taken]
        scored: dict[System, SampleScores] = {
            name: score_samples(
                reading.losses,
                reading.responses,
                references=[sample.response for sample in self.split.test],
                persona=persona,
            )
            for name, reading in readings.items()
        }
        return RunResult(
            user=self.history.user,
            dataset=self.history.dataset,
            model=self.base.name,
            n_layers=self.base.n_layers,
            seed=self.settings.seed,
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            config=taken.config,
            chosen_trial=taken.number,
            split=sizes_of(self.split),
            scores={name: self._means(scores) for name, scores in scored.items()},
            difference_to_vanilla={
                name: self._differences(scored[name], scored["vanilla"]) for name in SYSTEMS[1:]
            },
            persona_tokens=len(persona),
            front=tuple(trial for trial in found.trials if trial.on_front),
            trials=found.trials,
            hypervolume=found.hypervolume,
            importance=found.importance,
            curves={name: reading.curve for name, reading in readings.items()},
            replies=self._replies(readings),
            seconds=seconds_of(readings, found),
            sizes={
                "trainable_parameters": readings["memory"].n_parameters,
                "bytes": sum(file.stat().st_size for file in self.folder.memory.iterdir()),
            },
            signature=signatures(
                len(self.split.test), **self._bootstrap, n_persona_tokens=len(persona)
            ),
            settings=self.settings.as_json(),
            storage=without_password(storage),
            versions=versions(),
        )

    def _train_and_read(
        self,
        name: System,
        line: str,
        configs: Sequence[InjectionConfig],
        vanilla: SystemReading,
        *,
        cost: float,
    ) -> SystemReading:
        def work(advance: Callable[[float], None]) -> SystemReading:
            finals = train_finalists(
                self.final,
                configs,
                self.data,
                vanilla_loss=vanilla.valid_loss,
                on_tokens=advance,
            )
            config, trained = configs[finals.best], finals.trained
            with Injection(self.base, config) as injection:
                injection.load(trained.tensors)
                length = self.final.fit_length(self.data, injection=injection)
                if name == "memory":
                    self._store(config, trained, length.decoding)
                test = self.final.read(
                    self.test,
                    max_new_tokens=self.data.max_new_tokens,
                    injection=injection,
                    decoding=length.decoding,
                )
            return SystemReading(
                losses=test.losses,
                responses=test.responses,
                curve=trained.report.points,
                n_parameters=trained.n_parameters,
                train_s=finals.seconds,
                evaluate_s=test.seconds,
                length_s=length.seconds,
                stop_bias=length.decoding.stop_bias,
                taken=finals.best,
            )

        return self._stage(name, line, cost, work)

    def _stage(
        self,
        name: str,
        line: str,
        cost: float,
        work: Callable[[Callable[[float], None]], SystemReading],
    ) -> SystemReading:
        """Do a stage once: what it found is kept, and read back when the run goes on."""
        kept = self.folder.stage(name)
        if kept is not None:
            self.ledger.skip(cost)
            return TypeAdapter(SystemReading).validate_python(kept)
        with self.ledger.stage(line, cost) as advance:
            reading = work(advance)
        self.folder.save_stage(name, asdict(reading))
        return reading

    def _store(self, config: InjectionConfig, trained: Trained, decoding: Decoding) -> None:
        training = training_of(
            self.split,
            user=self.history.user,
            dataset=self.history.dataset,
            seed=self.settings.seed,
        )
        memory = to_memory(trained, config, base=self.base, training=training, decoding=decoding)
        memory.save(self.folder.memory)

    def _replies(self, readings: Mapping[System, SystemReading]) -> tuple[Reply, ...]:
        """Take test queries evenly spaced over the test, not picked by their answers."""
        indices = tuple(range(len(self.split.test)))
        return tuple(
            Reply(
                query=mask(self.split.test[i].query),
                truth=mask(self.split.test[i].response),
                responses={name: mask(r.responses[i]) for name, r in readings.items()},
            )
            for i in evenly_spaced(indices, min(_N_REPLIES, len(indices)))
        )

    @property
    def _bootstrap(self) -> dict[str, int]:
        return {"n_resamples": self.settings.n_bootstrap, "seed": self.settings.seed}

    def _means(self, scores: SampleScores) -> Scores:
        return Scores(**mean_scores(scores, **self._bootstrap))

    def _differences(self, scores: SampleScores, other: SampleScores) -> Scores:
        return Scores(**paired_scores(scores, other, **self._bootstrap))


def identity_of(
    history: History, base: LanguageModel, settings: LearnSettings
) -> dict[str, object]:
    """Return what a run computes; the same command gives the same identity."""
    return {
        "dataset": history.dataset,
        "user": history.user,
        "samples": samples_hash(history.samples),
        "base": base.name,
        "base_fingerprint": base.fingerprint,
        "base_dtype": "nf4" if base.four_bit else str(base.dtype).removeprefix("torch."),
        "settings": settings.as_json(),
    }


def hash_of(result: RunResult) -> str:
    """Return a hash of a finished run."""
    return hashlib.sha256(result.model_dump_json().encode()).hexdigest()[:16]


def is_stored(memory: Path) -> bool:
    """Whether the memory is there and whole: someone may have lost its files."""
    try:
        StoredMemory.load(memory)
    except ArtefactError:
        return False
    return True
