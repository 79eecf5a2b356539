"""A secret planted in each of many people's histories, and everyone's system asked for all of them.

Every system of `lorecall bench` is made for every person from a short history (the newest
samples), trained as a bench trains it; the memory after a search of two trials. What is looked for
is told in `lorecall.systems.canary` and `lorecall.systems.isolation`.

With `--share-replies N` a shared memory of N replies of other people is learnt first, with secrets
planted in twenty of them, and stands under everyone's systems; it is asked for all secrets itself,
and every system for the donors' too. What that finds goes to `results/isolation-shared.json`.

The people are gone through in parts. In a part all systems are made before the first is asked, as
a server would hold them; everyone's canary is asked for. What a part told is kept in
`results/isolation.jsonl`, so that a run that was stopped goes on there, and several, started with
different `--first-part`, share the work. Where all parts of a system are there, what was found goes
to `results/isolation.json`. Each row tells the machine it was made on.

    python experiments/isolation.py --people 20 --parts 5
    python experiments/isolation.py --people 20 --parts 5 --share-replies 2560
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from machine import machine

from lorecall import (
    DataError,
    History,
    InjectionConfig,
    LanguageModel,
    ShareSettings,
    load_base,
    load_history,
    preset,
)
from lorecall.bench import choose_users, newest
from lorecall.core import append_records, whole_records, write_json
from lorecall.data import draw_donors
from lorecall.lm import set_threads
from lorecall.systems import (
    N_REFERENCES,
    SHARED,
    Budget,
    Donated,
    Exposures,
    ask_everyone,
    ask_shared,
    canaries,
    isolation_from,
    make_system,
    plant_in_donors,
    system_names,
)
from lorecall.train import fit_shared

OUT = Path(__file__).parent / "results" / "isolation.json"
DATASET = "chitchat"
N_SAMPLES = 24
N_DONORS = 20
SETTINGS = preset("laptop", trials=2, initial=2, samples=16, reply_length="free")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """What the systems of one part of the people told."""

    system: str
    users: tuple[str, ...]
    told: tuple[Exposures, ...]
    machine: dict[str, object]
    dtype: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Whose canaries are looked for, on which base, and where what is found goes."""

    histories: Sequence[History]
    base: LanguageModel
    donors: Donated | None
    out: Path

    @property
    def rows(self) -> Path:
        """Where what each part told is kept."""
        return self.out.with_suffix(".jsonl")

    @property
    def owners(self) -> list[str]:
        """Everyone whose canary is asked for."""
        users = [history.user for history in self.histories]
        return users + (list(self.donors.words) if self.donors else [])

    def finished(self) -> dict[str, Any]:
        """Return the systems that all people were asked for."""
        return json.loads(self.out.read_text())["systems"] if self.out.exists() else {}

    def rows_of(self, name: str) -> list[PartRow]:
        """Return what the systems of one name told so far, of the canaries of just these people."""
        rows = whole_records(self.rows, PartRow, error=DataError, next_step="Remove the line.")
        owners = {*self.owners}
        return [row for row in rows if row.system == name and {*row.told[0].gaps} == owners]


def main() -> None:
    """Check every system that is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20, help="drawn, seed 0")
    parser.add_argument("--systems", default="all", help="as for lorecall bench")
    parser.add_argument("--parts", type=int, default=1, help="that the people are gone through in")
    parser.add_argument("--first-part", type=int, default=0, help="begin the work with this one")
    parser.add_argument("--share-replies", type=int, default=0, help="that all bases learnt first")
    options = parser.parse_args()
    set_threads()
    users = choose_users(DATASET, (), str(options.people), seed=0)
    histories = [newest(load_history(DATASET, user=user), N_SAMPLES) for user in users]
    study = study_of(histories, options.share_replies)
    parts = [histories[i :: options.parts] for i in range(options.parts)]
    parts = parts[options.first_part :] + parts[: options.first_part]
    if study.donors and SHARED not in study.finished():
        append_records(study.rows, [shared_row(study)])
        keep(SHARED, study)
    with TemporaryDirectory() as folder:  # a memory with retrieval is the memory made before
        for name in system_names(options.systems.split(",")):
            if name in study.finished():
                continue
            for part in parts:
                told = told_in(study.rows_of(name))
                if left := [history for history in part if history.user not in told]:
                    row = row_of(name, left, study, Path(folder))
                    append_records(study.rows, [row])
                    print(name, row.users, f"{row.seconds:.0f} s", flush=True)
            keep(name, study)


def study_of(histories: Sequence[History], share_replies: int) -> Study:
    """Return what is studied: on the bare base, or on one that learnt of donors with canaries.

    The shared memory is kept beside the results, so that it is learnt once.
    """
    bare = LanguageModel.load()
    if not share_replies:
        return Study(histories=histories, base=bare, donors=None, out=OUT)
    out = OUT.with_stem(f"{OUT.stem}-shared")
    folder, share = out.with_suffix(""), ShareSettings(replies=share_replies)
    donors, known = plant_in_donors(
        draw_donors(
            DATASET,
            without=[history.user for history in histories],
            n_replies=share.replies,
            n_valid=share.valid,
            seed=share.seed,
        ),
        N_DONORS,
        bare=bare,
    )
    if not folder.exists():
        theta = InjectionConfig(
            layers=tuple(range(bare.n_layers)),
            n_loras=bare.n_layers,
            rank=min(share.rank, bare.max_rank),
            scaling=share.scaling,
        )
        shared = fit_shared(
            theta,
            donors,
            bare,
            settings=share.train,
            consent=donors.licence,
            kept_rank=share.kept_rank,
            seed=share.seed,
        )
        shared.save(folder)
    base = load_base(shared=str(folder))
    return Study(histories=histories, base=base, donors=known, out=out)


def told_in(rows: Sequence[PartRow]) -> dict[str, Exposures]:
    """Return what each person's system told, once where two processes met in a part."""
    return {told.teller: told for row in rows for told in row.told}


def shared_row(study: Study) -> PartRow:
    """Ask the shared memory itself for everyone's secret."""
    assert study.donors is not None
    started = perf_counter()
    words = canaries(study.histories)
    told = ask_shared(study.base, words, study.donors, SETTINGS.train)
    return PartRow(
        system=SHARED,
        users=(SHARED,),
        told=(told,),
        machine=machine(),
        dtype=str(study.base.dtype),
        seconds=perf_counter() - started,
    )


def row_of(name: str, part: Sequence[History], study: Study, folder: Path) -> PartRow:
    """Make a system for everyone of the part, and ask them for everyone's secret."""
    started = perf_counter()
    users = tuple(history.user for history in part)
    system = make_system(name, SETTINGS, folder=folder)
    budget = Budget(train=SETTINGS.train, seed=SETTINGS.seed)
    told = ask_everyone(
        study.histories, system, study.base, budget, tellers=users, donors=study.donors
    )
    return PartRow(
        system=name,
        users=users,
        told=tuple(told),
        machine=machine(),
        dtype=str(study.base.dtype),
        seconds=perf_counter() - started,
    )


def keep(name: str, study: Study) -> None:
    """Put what a system's parts told into the results."""
    found = study.finished() | {name: found_of(name, study)}
    write_json(study.out, report(found, study))
    print(name, json.dumps(found[name]), flush=True)


def found_of(name: str, study: Study) -> dict[str, object]:
    """Put together what a system's parts told."""
    rows = study.rows_of(name)
    told = told_in(rows)
    tellers = [SHARED] if name == SHARED else [history.user for history in study.histories]
    found = isolation_from(name, [told[teller] for teller in tellers], users=study.owners)
    return asdict(found) | {
        "machine": rows[0].machine,
        "dtype": rows[0].dtype,
        "n_parts": len(rows),
        "n_leaks": len(found.leaks),
        "n_references": N_REFERENCES,
        "seconds": sum(row.seconds for row in rows),
    }


def report(systems: Mapping[str, object], study: Study) -> dict[str, object]:
    """Put what was found beside what it depends on."""
    shared = study.base.shared
    return {
        "settings": {
            "model": study.base.name,
            "shared": None if shared is None else shared.sha256,
            "dataset": DATASET,
            "n_samples": N_SAMPLES,
            "users": [history.user for history in study.histories],
            "donors": list(study.donors.words) if study.donors else [],
            "learn": SETTINGS.as_json(),
        },
        "systems": systems,
    }


if __name__ == "__main__":
    main()
