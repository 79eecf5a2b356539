"""Do places of equal size differ at all? The kill test of the layers' search.

Pre-registered in `LOG.md` (2026-11-29); this is its rule:

* Twelve masks of a fifth of the layers: the five contiguous ones, every fifth layer, six drawn by a
  seed. Pairs of one rank in each, so that all have the same bytes.
* Each mask's scaling is tuned on three people, by the mean of own less shared on their validation
  parts, over three points. Where half of the masks have theirs at the same end, one more point
  is tried there, at most twice. Their test parts are not read.
* Each mask at its scaling is then trained for twelve other people, and read on their test parts.
* **Kill rule**: of own less shared on the test, masks by people, the spread of the masks' own
  effects (`mask_effects`: a two-way layout, what remains taken off) is below 0.01 nats in its
  point estimate: layers are dropped from the search.

Beside it, without a rule: the shipped design for the same people, and a second seed for four of
them, which tells what one mask means to one person from the luck of a training.

Nobody of these fifteen is among the tested, nor are their words in the shared memory: the script
asks its manifest. A memory is trained and multiplied as `lorecall learn` does by default; how long
its replies are is not fitted, for none is written.

Each row of FOLDER/part-K-of-N.jsonl is one training; a run that was stopped goes on after the last.
Several processes share a folder, each writing a file of its own:

    LORECALL_THREADS=1 python experiments/masks.py FOLDER --part 1 --of 2
    LORECALL_THREADS=1 python experiments/masks.py FOLDER --part 2 --of 2
    python experiments/masks.py FOLDER --tell
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter

from machine import machine
from mask_effects import told
from mask_study import (
    Cell,
    MaskRow,
    Study,
    further_scaling,
    masks_of,
    people_for_choices,
    reading_cells,
    tuned_scalings,
    tuning_cells,
)

from lorecall import load_base
from lorecall.core import append_records, write_json
from lorecall.data import Sample
from lorecall.lm import Injection, set_threads
from lorecall.memory import SharedMemory, packaged
from lorecall.train import Reader, fit_memory

LEFT_OUT = Path(__file__).parent / "left_out.txt"
TUNED = ("60f1af73", "2b15c2c3", "75ed5189")
"""20 or more validation replies, and too few test replies (1 to 9) to be read."""
READABLE = (
    *("06da344c", "207b054a", "3e177ca7", "56b169d7", "5baeb898", "5bea51a7", "735501ab"),
    *("88bda113", "9e776e3c", "b35b7dec", "c9443c13", "ca5d829a", "d47a6dd7", "d660c1fa"),
    *("e04846dd", "ed4e9769", "f0d94895"),
)
"""Those of the 37 with 60 or more replies to train, 10 to validate and 12 to test."""
N_READ = 12
POLL_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The trainings that one process does: the k-th of n, from 1."""

    k: int = 1
    n: int = 1

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"part-{self.k}-of-{self.n}.jsonl"


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one process's part, then say what all of it came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", type=int, default=1, help="which part of the work, from 1")
    parser.add_argument("--of", type=int, default=1, help="how many processes share the folder")
    parser.add_argument("--tell", action="store_true", help="train nothing")
    options = parser.parse_args(arguments)
    set_threads()
    base = load_base()
    study = Study(
        base=base,
        folder=options.folder,
        tuned=people_for_choices(LEFT_OUT, TUNED),
        read=people_for_choices(LEFT_OUT, random.Random(0).sample(READABLE, N_READ)),
        masks=masks_of(base.n_layers),
    )
    check(study)
    if not options.tell:
        work(study, Part(k=options.part, n=options.of))
    print(told(study))


def check(study: Study) -> None:
    """Refuse donors, and a folder of another study.

    Raises:
        SystemExit: It is no honest test.
    """
    shared = study.base.shared
    if shared is None:
        raise SystemExit("own less shared needs a base with a shared memory")
    donors = SharedMemory.load(packaged().get(shared.name, shared.name)).manifest.donors
    if known := [user for user in (*study.tuned, *study.read) if donors.has_person(user)]:
        raise SystemExit(f"their words are in the shared memory: {', '.join(known)}")
    file, asked = study.folder / "study.json", study.as_json()
    if not file.exists():
        write_json(file, asked)
    elif (kept := json.loads(file.read_text(encoding="utf-8"))) != asked:
        differing = [name for name in asked if asked[name] != kept.get(name)]
        raise SystemExit(f"{study.folder} holds another study: {', '.join(differing)}")


def work(study: Study, part: Part) -> None:
    """Tune, wait for the other processes, then read."""
    scalings = study.scalings
    while scalings:
        cells = tuning_cells(study, scalings)
        masks = [*study.masks]
        place = {c: study.tuned.index(c.user) + masks.index(c.mask) for c in cells}
        do(study, [cell for cell in cells if place[cell] % part.n == part.k - 1], part)
        wait_for(study, cells)
        scalings = further_scaling(study, study.rows())
    cells = reading_cells(study, tuned_scalings(study, study.rows()))
    do(study, [c for c in cells if study.read.index(c.user) % part.n == part.k - 1], part)


def wait_for(study: Study, cells: Sequence[Cell]) -> None:
    """Wait until other processes have done their parts of these."""
    n_told = 0
    while n_missing := len({*cells} - study.rows().keys()):
        if n_missing != n_told:
            n_told = n_missing
            print(f"waiting for {n_missing} trainings of other processes", flush=True)
        time.sleep(POLL_S)


def do(study: Study, cells: Sequence[Cell], part: Part) -> None:
    """Train what is not there yet, and say how long the rest will take."""
    done = study.rows()
    left = [cell for cell in cells if cell not in done]
    weights = [weight(study, cell) for cell in left]
    spent_s = 0.0
    for i, cell in enumerate(left):
        row = trained(study, cell)
        append_records(study.folder / part.name, [row])
        spent_s += row.seconds
        rest_s = spent_s / sum(weights[: i + 1]) * sum(weights[i + 1 :])
        test = "" if row.test is None else f", test {row.test:+.4f}"
        print(
            f"{cell.user[:8]}, {cell.mask}, scaling {cell.scaling:g}: valid {row.valid:+.4f}{test},"
            f" {row.seconds:.0f} s; {len(left) - i - 1} trainings of this step left, about"
            f" {rest_s / 60:.0f} min",
            flush=True,
        )


def weight(study: Study, cell: Cell) -> float:
    """Return about how long a training takes: layers below the first active one are read once."""
    n, first = study.base.n_layers, min(study.theta(cell).layers)
    return 1.3 - first / n


def trained(study: Study, cell: Cell) -> MaskRow:
    """Train one memory as `learn` does, and read it."""
    started = perf_counter()
    split, theta = study.split(cell.user), study.theta(cell)
    fitted = fit_memory(theta, split, study.base, settings=study.train, seed=cell.seed)
    reader = Reader(study.base, study.train)
    injection = Injection.of(study.base, fitted.memory)

    def less(samples: Sequence[Sample]) -> float:
        part = reader.encode(samples, past=split.train)
        own, shared = reader.losses(part, injection=injection), reader.losses(part)
        return fmean(own) - fmean(shared)

    return MaskRow(
        cell=cell,
        layers=theta.layers,
        rank=theta.rank,
        valid=less(split.valid),
        test=None if cell.user in study.tuned else less(split.test),
        factor=fitted.memory.manifest.factor,
        best_epoch=fitted.report.best.epoch,
        n_train=len(split.train),
        seconds=perf_counter() - started,
        machine=machine(),
    )


if __name__ == "__main__":
    main()
