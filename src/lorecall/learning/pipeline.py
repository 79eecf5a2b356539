"""The use case, top to bottom: a history in, a memory and what it changed out.

history -> split -> base -> theta, or search <-> trials -> memory -> other people's -> scores

Every stage leaves what it found in the run's folder, so that a run killed at any moment goes on
where it was.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from lorecall.core.checks import check_range
from lorecall.core.progress import Reporter, SilentReporter
from lorecall.data.history import dropped_of, samples_hash, split_history
from lorecall.data.purpose import purpose_of
from lorecall.data.redaction import by_kind, redact
from lorecall.errors import ConfigError
from lorecall.learning.folder import open_run, run_identity
from lorecall.learning.held_out import HeldOut
from lorecall.learning.readings import (
    Readings,
    read_default_lora,
    read_others,
    read_own,
    read_picked,
    read_without,
)
from lorecall.learning.run import Run, priors_of
from lorecall.learning.scoring import result_of
from lorecall.lm.base import LanguageModel
from lorecall.memory.shared import load_base, shared_in
from lorecall.records import History
from lorecall.reply.memory import Memory
from lorecall.search.study import check_storage
from lorecall.settings import LearnSettings, preset


def learn(  # noqa: PLR0913 - one parameter an option
    history: History,
    *,
    out: str | Path,
    others: Sequence[History] = (),
    base: LanguageModel | Callable[[], LanguageModel] = load_base,
    settings: LearnSettings | None = None,
    storage: str | None = None,
    workers: int = 1,
    warm_start: Sequence[str | Path] = (),
    reporter: Reporter | None = None,
) -> Memory:
    """Train and store a person's memory, and measure what it changed and what of that is theirs.

    Killed at any moment and called again with the same arguments, it goes on with what is
    finished; called again after it has finished, it gives the same memory at once.

    Args:
        history: Everything one user wrote or was asked.
        out: The run's folder, new or of the same run: `out/result.json` holds what was measured.
        others: Other people's histories. Each gets a memory of like size, which is swapped for
            this person's own on the same text; none of them is kept.
        base: The frozen base, or what loads it once the history is known to be long enough; by
            default the default base, with the shared memory that comes with the package.
        settings: What is computed; the `laptop` preset when None.
        storage: Optuna storage URL of a search's trials; a SQLite file in `out` when None.
        workers: Processes that work on a search, this one among them. They share its cores; on
            a machine with several GPUs each takes one.
        warm_start: Folders of other people's finished runs with the same base and space: their
            best points are tried first, and their trials inform the search.
        reporter: Who is told how far it is.

    Returns:
        The memory, ready to reply; it is stored in `out/memory`.

    Raises:
        ConfigError: The others are not others, or there are runs to start from and no search.
        DataError: Too few samples.
        ModelError: The base without its shared memory cannot be loaded by the base's name.
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
    settings = settings or preset()
    if settings.redact:
        history, others = redact(history), [redact(other) for other in others]
    split = split_history(history)
    _check_others(history, others)
    other_splits = [split_history(other) for other in others]
    check_range("workers", workers, low=1)
    _check_start(warm_start, settings)
    base = base if isinstance(base, LanguageModel) else base()
    settings.design.config(base.n_layers)  # refuses layers that this base does not have
    identity = run_identity(history, base, settings)
    if others:
        identity["others"] = [
            {"user": other.user, "samples": samples_hash(other.samples)} for other in others
        ]
    priors, hashes = priors_of(warm_start, base, settings)
    if hashes:
        identity["warm_start"] = hashes
    if storage is not None:
        check_storage(storage)  # before the folder is taken
    with open_run(Path(out), identity, files=history.files) as folder:
        if folder.is_finished:
            return Memory.load(folder.path, base=base)
        reporter = reporter or SilentReporter()
        run = Run(
            split, base, settings, folder, storage, reporter, n_workers=workers, priors=priors
        )
        reporter.plan(run.n_stages(n_others=len(others)))
        reporter.say(purpose_of(history))
        if folder.is_begun:
            reporter.say(f"going on with the run in {folder.path}; what is finished is kept")
        counts = history.redacted
        redacted = "" if counts is None else f"redacted: {by_kind(counts)}"
        notes = (dropped_of(history), redacted, base.format_reason, *base.notes)
        for note in (*notes, _donor_note(base, history)):
            if note:
                reporter.say(note)
        test = HeldOut(base, split, settings.train)
        systems = read_without(run, test)
        found = run.search() if run.searches else None
        if found:
            systems["default-lora"] = read_default_lora(run, test)
        fit = run.fit(found)
        memory = Memory.load(folder.path, base=base)
        systems["own"] = read_own(run, test, memory.stored, fit)
        readings = Readings(
            systems=systems,
            others=read_others(run, test, other_splits, memory.theta),
            picked=read_picked(run, test, other_splits, memory.stored) if others else None,
        )
        result_of(run, history, found=found, readings=readings).save(folder.result)
        return memory


def _donor_note(base: LanguageModel, history: History) -> str:
    """Warn of a test that the shared memory was learnt from, in part."""
    shared = shared_in(base)
    if shared is None or not shared.manifest.donors.has_person(history.user):
        return ""
    return (
        f"The shared memory was learnt from {history.user} too: what is said of it here, and of"
        " what is their own, is not to be trusted. Take base.shared=none, or one without them."
    )


def _check_others(history: History, others: Sequence[History]) -> None:
    users = [history.user, *(other.user for other in others)]
    if len({*users}) < len(users):
        raise ConfigError(
            "memories are swapped between people",
            expected="other people, each once",
            got=", ".join(repr(user) for user in users),
            next_step="Leave out whoever is there twice.",
        )


def _check_start(warm_start: Sequence[str | Path], settings: LearnSettings) -> None:
    if warm_start and settings.search.searched == "none":
        raise ConfigError(
            "runs to start from are for a search",
            expected="something of theta searched, such as search.searched=paper",
            got=f"search.searched=none, and {len(warm_start)} to start from",
            next_step="Search, or leave them out.",
        )
