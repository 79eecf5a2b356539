"""The memory as a system under evaluation: theta searched, then trained on the whole history.

What `learn_memory` does without its control and without reading the test. The search and the
memory are kept in a folder, so that a killed evaluation goes on with the trials it has, and what
was searched can be looked at afterwards (`search_in`).
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import get_args

from pydantic import TypeAdapter

from lorecall.core.jsonl import read_record
from lorecall.errors import ConfigError, RunError
from lorecall.learning.folder import RunFolder, open_run, stage_file
from lorecall.learning.pipeline import identity_of, is_stored
from lorecall.learning.search import Plan, SearchProblem
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.records import Searched
from lorecall.reply.responder import ModelResponder
from lorecall.search.outcome import SearchOutcome
from lorecall.search.study import check_storage
from lorecall.settings import LearnSettings
from lorecall.systems.contract import Budget, Fitted, Person
from lorecall.train.finals import train_finalists
from lorecall.train.storing import to_memory, training_of
from lorecall.train.trial import TrialRunner

MEMORY = "memory"
ABLATIONS: tuple[str, ...] = tuple(
    f"{MEMORY}:{space}" for space in get_args(Searched) if space != "all"
)
"""Names of the systems that search a part of the space: the rows of Table 5."""

_STAGE = "made"  # not a stage of `learn`: another process finds none of its own
_SEARCH = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What making a memory took."""

    search_s: float
    train_s: float
    n_trials: int
    n_parameters: int


class SearchedMemory:
    """A searched memory.

    Args:
        settings: How theta is searched; the seed and the final training are the budget's.
        folder: Where searches and memories are kept, a folder a person.
        name: The system's name.
    """

    def __init__(self, settings: LearnSettings, *, folder: Path, name: str = MEMORY) -> None:
        self.settings, self.folder, self.name = settings, folder, name

    def fit(self, person: Person, base: LanguageModel, budget: Budget) -> Fitted:
        """Search and train this person's memory, or take it from the folder when it is there."""
        settings = replace(self.settings, seed=budget.seed, train=budget.train)
        identity = identity_of(person.history, base, settings)
        place = self.folder / _folder_name(person, RunFolder(self.folder, identity).id)
        with open_run(place, identity) as run:
            if not is_stored(run.memory):
                run.forget_stage(_STAGE)
            kept = run.stage(_STAGE)
            if kept is None:
                made = _make(person, base, settings, run)
            else:
                made = TypeAdapter(Made).validate_python(kept)
            memory = StoredMemory.load(run.memory)
            n_bytes = sum(file.stat().st_size for file in run.memory.iterdir())
        theta = memory.config
        return Fitted(
            responder=ModelResponder(base, memory=memory, limits=budget.train),
            samples_sha256=memory.manifest.training.samples_sha256,
            train_s=made.search_s + made.train_s,
            n_bytes=n_bytes,
            facts={
                "search_s": made.search_s,
                "n_trials": made.n_trials,
                "n_parameters": made.n_parameters,
                "active_layers": len(theta.modules_per_layer()),
                "n_loras": theta.n_loras,
                "rank": theta.rank,
                "stop_bias": memory.decoding.stop_bias,
            },
        )


def searched_space(name: str) -> Searched:
    """Read a memory's name: `memory` searches all of theta, `memory:layer` a part of it.

    Raises:
        ConfigError: It is no memory's name.
    """
    for space in get_args(Searched):
        if name in (f"{MEMORY}:{space}", MEMORY if space == "all" else ""):
            return space
    raise ConfigError(
        "a searched memory must be known",
        expected=", ".join((MEMORY, *ABLATIONS)),
        got=repr(name),
        next_step="Choose one of them.",
    )


def search_in(folder: Path) -> SearchOutcome:
    """Return the finished search of a memory made here.

    Args:
        folder: The folder of one person's memory.

    Raises:
        RunError: There is none, or it cannot be read.
    """
    return read_record(
        stage_file(folder, _SEARCH),
        SearchOutcome,
        what="a finished search",
        error=RunError,
        next_step="Make the memory first: the search is kept when it has ended.",
    )


def _make(person: Person, base: LanguageModel, settings: LearnSettings, run: RunFolder) -> Made:
    """Search theta, train it on all training samples, and store it in the run's folder."""
    history, split = person.history, person.split
    final = TrialRunner(base, settings=settings.train, seed=settings.seed)
    searching = SearchProblem(base, history, settings, frozen=final.frozen)
    data = final.data(split, split.train)
    vanilla_loss = fmean(final.losses(data.valid))
    check_storage(run.storage_url)
    found = searching.run(
        Plan(
            history=history,
            settings=settings,
            storage=run.storage_url,
            study_name=f"{history.dataset}-{history.user}-{run.id}",
            vanilla_loss=vanilla_loss,
        )
    )
    run.save_stage(_SEARCH, TypeAdapter(SearchOutcome).dump_python(found, mode="json"))
    configs = [trial.config for trial in searching.finalists(found)]
    finals = train_finalists(final, configs, data, vanilla_loss=vanilla_loss)
    config, trained = configs[finals.best], finals.trained
    training = training_of(split, user=history.user, dataset=history.dataset, seed=settings.seed)
    with Injection(base, config) as injection:
        injection.load(trained.tensors)
        length = final.fit_length(data, injection=injection)
    memory = to_memory(trained, config, base=base, training=training, decoding=length.decoding)
    memory.save(run.memory)
    made = Made(
        search_s=sum(sum(trial.seconds.values()) for trial in found.trials),
        train_s=finals.seconds,
        n_trials=len(found.trials),
        n_parameters=trained.n_parameters,
    )
    run.save_stage(_STAGE, TypeAdapter(Made).dump_python(made))
    return made


def _folder_name(person: Person, run_id: str) -> str:
    history = person.history
    readable = re.sub(r"[^\w-]+", "_", f"{Path(history.dataset).stem}-{history.user}")[:40]
    return f"{readable}-{run_id}"
