"""The use case, top to bottom: a history in, a memory and what it changed out.

history -> split -> base -> search <-> trials -> finalists -> memory -> scores

Every stage leaves what it found in the run's folder, so that a run killed at any moment goes on
where it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

from pydantic import TypeAdapter

from lorecall.core.checks import check_range
from lorecall.core.progress import Reporter, SilentReporter
from lorecall.data.history import split_history
from lorecall.data.purpose import purpose_of
from lorecall.learning.folder import identity_of, open_run
from lorecall.learning.result import RunSystem
from lorecall.learning.run import FitSummary, Run, priors_of
from lorecall.learning.scoring import SystemReading, result_of
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.memory.shared import load_base
from lorecall.records import History, default_lora
from lorecall.reply.memory import Memory
from lorecall.search.study import check_storage
from lorecall.settings import LearnSettings, preset
from lorecall.train.fit import fit_memory
from lorecall.train.reading import Reader


def learn(  # noqa: PLR0913 - one parameter an option
    history: History,
    *,
    out: str | Path,
    base: LanguageModel | Callable[[], LanguageModel] = load_base,
    settings: LearnSettings | None = None,
    storage: str | None = None,
    workers: int = 1,
    warm_start: Sequence[str | Path] = (),
    reporter: Reporter | None = None,
) -> Memory:
    """Find, train and store a person's memory, and measure what it changed.

    Killed at any moment and called again with the same arguments, it goes on with what is
    finished; called again after it has finished, it gives the same memory at once.

    Args:
        history: Everything one user wrote or was asked.
        out: The run's folder, new or of the same run: `out/result.json` holds what was measured.
        base: The frozen base, or what loads it once the history is known to be long enough; by
            default the default base.
        settings: What is computed; the `laptop` preset when None.
        storage: Optuna storage URL of the trials; a SQLite file in `out` when None.
        workers: Processes that work on the search, this one among them. They share its cores; on
            a machine with several GPUs each takes one.
        warm_start: Folders of other people's finished runs with the same base and space: their
            best points are tried first, and their trials inform the search.
        reporter: Who is told how far it is.

    Returns:
        The memory, ready to reply; it is stored in `out/memory`.

    Raises:
        DataError: Too few samples.
        RunError: `out` holds something else, or another process works in it.
        StorageError: The storage cannot be reached.

    Examples:
        >>> import lorecall
        >>> from lorecall.lm import tiny_base
        >>> history = lorecall.load_history("history.jsonl", user="ann")
        >>> settings = lorecall.preset("smoke")
        >>> memory = lorecall.learn(history, out="runs/ann", base=tiny_base(), settings=settings)
        >>> memory.manifest.training.split
        {'train': 18, 'valid': 3, 'test': 3}
        >>> again = lorecall.learn(history, out="runs/ann", base=tiny_base(), settings=settings)
        >>> again.theta == memory.theta
        True
        >>> few = lorecall.load_history("history.jsonl", user="bob")
        >>> lorecall.learn(few, out="runs/bob", base=tiny_base())
        Traceback (most recent call last):
            ...
        lorecall.errors.DataError: a history must be long enough to learn from and to test on:
        expected at least 20 usable samples in 3 conversations, got 2 in 1 for user 'bob' of
        history.jsonl. Choose a user with a longer history (or `pooled`, many users as if they were
        one), or add samples to the file.
    """
    settings, split = settings or preset(), split_history(history)
    check_range("workers", workers, low=1)
    base = base if isinstance(base, LanguageModel) else base()
    identity = identity_of(history, base, settings)
    priors, hashes = priors_of(warm_start, base, settings)
    if hashes:
        identity["warm_start"] = hashes
    if storage is not None:
        check_storage(storage)  # before the folder is taken
    with open_run(Path(out), identity, files=history.files) as folder:
        if folder.is_finished:
            return Memory.load(folder.path, base=base)
        reporter = reporter or SilentReporter()
        reporter.plan(settings.search.trials + settings.search.most_finalists + 3)
        reporter.say(purpose_of(history))
        if folder.is_begun:
            reporter.say(f"going on with the run in {folder.path}; what is finished is kept")
        for note in (base.format_reason, *base.notes):
            if note:
                reporter.say(note)
        run = Run(
            split, base, settings, folder, storage, reporter, n_workers=workers, priors=priors
        )
        readings: dict[RunSystem, SystemReading] = {"vanilla": _base(run)}
        found = run.search()
        readings["default-lora"] = _default_lora(run)
        readings["memory"] = _memory(run, run.fit(found))
        result_of(run, history, found, readings).save(folder.result)
        return Memory.load(folder.path, base=base)


def _base(run: Run) -> SystemReading:
    """Read the base itself: the control."""
    return _reading(run, "vanilla", "the base", lambda: (None, FitSummary()))


def _default_lora(run: Run) -> SystemReading:
    """Train the control that isolates the search, and read it."""

    def train() -> tuple[StoredMemory, FitSummary]:
        run.reporter.doing("training the default LoRA")
        fitted = fit_memory(
            default_lora(run.base.n_layers, inject=run.settings.search.inject),
            run.split,
            run.base,
            settings=run.settings.train,
            seed=run.settings.seed,
            on_step=run.reporter.advance,
        )
        return fitted.memory, FitSummary.of(fitted)

    return _reading(run, "default-lora", "the default LoRA", train)


def _memory(run: Run, fit: FitSummary) -> SystemReading:
    """Read the memory that is stored."""
    stored = run.folder.memory
    return _reading(run, "memory", "the memory", lambda: (StoredMemory.load(stored), fit))


def _reading(
    run: Run,
    name: RunSystem,
    what: str,
    make: Callable[[], tuple[StoredMemory | None, FitSummary]],
) -> SystemReading:
    """Read the test with a memory or none; what was found is kept for when the run goes on."""
    if (kept := run.folder.stage(name)) is not None:
        run.reporter.finish()
        return TypeAdapter(SystemReading).validate_python(kept)
    memory, fit = make()
    run.reporter.doing(f"reading {what}")
    reader, split = Reader(run.base, run.settings.train), run.split
    part = reader.encode(split.test, past=split.train)
    train = reader.encode(split.train, past=split.train)
    valid = reader.encode(split.valid, past=split.train)
    longest = max(train.longest_response, valid.longest_response)
    if memory is None:
        started = perf_counter()
        decoding = reader.fit_length(valid, train, max_new_tokens=longest)
        fit = FitSummary(length_s=perf_counter() - started)
    else:
        decoding = memory.decoding
    injection = memory and Injection.of(run.base, memory)
    reading = reader.read(part, max_new_tokens=longest, injection=injection, decoding=decoding)
    read = SystemReading(reading=reading, fit=fit)
    run.folder.save_stage(name, asdict(read))
    run.reporter.finish()
    return read
