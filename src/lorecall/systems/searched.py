"""The memory as a system under evaluation: theta searched, then trained on the whole history.

What `learn` does without its control and without reading the test. The search and the
memory are kept in a folder, so that a killed evaluation goes on with the trials it has.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from lorecall.core.progress import SilentReporter
from lorecall.learning.folder import RunFolder, open_run, run_identity
from lorecall.learning.run import Run
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.records import Searched
from lorecall.reply.responder import ModelResponder
from lorecall.settings import LearnSettings
from lorecall.systems.about import MEMORY, SystemInfo
from lorecall.systems.contract import Budget, FittedSystem, PersonData


@dataclass(frozen=True, slots=True)
class SearchedMemory:
    """A searched memory."""

    settings: LearnSettings
    folder: Path

    @property
    def about(self) -> SystemInfo:
        """What it is."""
        return about_memory(self.settings.search.searched)

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Search and train this person's memory, or take it from the folder when it is there."""
        settings = replace(self.settings, seed=budget.seed, train=budget.train)
        identity = run_identity(person.history, base, settings)
        place = self.folder / _folder_name(person, RunFolder(self.folder, identity).id)
        with open_run(place, identity) as folder:
            run = Run(person.split, base, settings, folder, None, SilentReporter())
            found = run.search()
            fit = run.fit(found)
            memory = StoredMemory.load(folder.memory)
            n_bytes = sum(file.stat().st_size for file in folder.memory.iterdir())
        theta = memory.config
        return FittedSystem(
            responder=ModelResponder(base, memory=memory, limits=budget.train),
            samples_sha256=memory.manifest.training.samples_sha256,
            train_s=found.seconds + fit.train_s,
            n_bytes=n_bytes,
            facts={
                "search_s": found.seconds,
                "n_trials": len(found.trials),
                "n_parameters": fit.n_parameters,
                "active_layers": len(theta.modules_per_layer()),
                "n_loras": theta.n_loras,
                "rank": theta.rank,
                "stop_bias": memory.decoding.stop_bias,
            },
        )


def about_memory(space: Searched) -> SystemInfo:
    """Return what a searched memory is: `memory` searches all of theta, `memory:layer` a part."""
    whole = SystemInfo(
        name=MEMORY, title="a memory whose theta is searched", trains=True, searches="paper"
    )
    if space == "paper":
        return whole
    title = f"a memory with {space.replace('+', ' and ')} alone searched"
    return replace(whole, name=f"{MEMORY}:{space}", title=title, searches=space)


def _folder_name(person: PersonData, run_id: str) -> str:
    history = person.history
    readable = re.sub(r"[^\w-]+", "_", f"{Path(history.dataset).stem}-{history.user}")[:40]
    return f"{readable}-{run_id}"
