"""Forgetting, again and again: the bytes of a store that never had it, and nothing left of it.

People of a dataset are remembered in a store and learnt on a tiny base, each build a process of its
own. Then something of each is forgotten: a record, a conversation, or all of before a time, in
turn. After every forgetting a second store is given what is left and nothing else; what it builds
must be the same bytes: the exports of both, records and memory, are compared. What the store and
its keys hold is searched for the text, beside the search of the forgetting itself, and the
certificate is checked from its file alone.

Builds are forked from a process that has imported the program (`forked.py`), unless `--own` is
given: then each starts anew, as in use, which takes seconds. With `--folder` the stores stay there,
and the same command goes on where it was stopped.

    python experiments/forgets.py --people 20 --forgets 200 --folder forgets
    python experiments/forgets.py --people 2 --forgets 5
"""

import argparse
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from zipfile import ZipFile

from forked import forked_builds
from machine import machine
from rich.console import Console

import lorecall
from lorecall.bench import choose_users
from lorecall.core import append_records, whole_records, write_json
from lorecall.lm import tiny_base
from lorecall.settings import DesignSettings, TrainSettings
from lorecall.store import BasePlace, BuildSettings, Certificate, Person

KINDS = ("record", "conversation", "time")
SETTINGS = BuildSettings(
    design=DesignSettings(rank=2),
    train=TrainSettings(max_epochs=1, max_response_tokens=16, factors=(1.0,)),
)
FEWEST = 60
"""Records of someone; where fewer are left, all are remembered again."""
SHORTEST = 12
"""Bytes of a text that is searched for; a shorter one may be anywhere by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """One forgetting.

    Args:
        user: Whose.
        kind: By what.
        n_records: How many records went.
        is_equal: Whether the bytes are the twin's.
        residues: How often the store's search found something.
        texts_found: In how many files a text was found by this script.
        verdict: The certificate's.
        is_verified: Whether the certificate holds, read from its file without the store.
        seconds: From the command to the certificate.
    """

    user: str
    kind: str
    n_records: int
    is_equal: bool
    residues: int
    texts_found: int
    verdict: str
    is_verified: bool
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether all of it is as it must be."""
        found = self.residues or self.texts_found or self.verdict != "forgotten"
        return self.is_equal and self.is_verified and not found


def main() -> None:
    """Forget, print how it went, and end with 1 where anything was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="chitchat")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--forgets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--own", action="store_true", help="start each build anew")
    parser.add_argument("--folder", type=Path, help="where the stores are; a temporary one")
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    options = parser.parse_args()
    with ExitStack() as stack:
        if not options.own:
            stack.enter_context(forked_builds())
        temporary = tempfile.TemporaryDirectory(prefix="lorecall-forgets-")
        place = own_places(options.folder or Path(stack.enter_context(temporary)))
        store = stack.enter_context(lorecall.Store.open(place / "people"))
        rows: list[Forgotten] = []
        for done in forgotten(store, place, options):
            rows.append(done)
            Console().print(f"{len(rows)} of {options.forgets}: {done}", highlight=False)
            write_json(options.out / "forgets.json", summary(rows, options))
    if not all(row.is_right for row in rows):
        raise SystemExit(1)


def forgotten(
    store: lorecall.Store, place: Path, options: argparse.Namespace
) -> Iterator[Forgotten]:
    """Forget, and yield what came of each; first what was done before this was stopped."""
    lines = place / "forgets.jsonl"
    known = whole_records(lines, Forgotten, error=lorecall.RunError, next_step="Remove the folder.")
    yield from known[: options.forgets]
    users = choose_users(options.data, (), str(options.people), seed=options.seed)
    for i in range(len(known), options.forgets):
        person = store.person(users[i % len(users)])
        if person.name in store.people():
            person.resume()
        if person.name not in store.people() or len(records_of(person, place)) < FEWEST:
            learnt(person, place, options.data)
        draw = random.Random(f"{options.seed} {i}")
        done = one(person, place, kind=KINDS[i // len(users) % len(KINDS)], draw=draw)
        append_records(lines, [done])
        yield done


def own_places(folder: Path) -> Path:
    """Have a base, a cache and a temporary folder of their own; return where."""
    for name in ("temporary", "cache", "base"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    os.environ["LORECALL_CACHE"] = str(folder / "cache")
    tempfile.tempdir = str(folder / "temporary")
    tiny = tiny_base()  # the same each time
    tiny.model.save_pretrained(folder / "base")
    tiny.tokenizer.save_pretrained(folder / "base")
    return folder


def learnt(person: Person, place: Path, data: str) -> None:
    """Remember someone, what of them was forgotten before among it, and learn them."""
    person.remember(data, user=person.name)
    base = BasePlace(name=str(place / "base"), shared="none")
    person.update(base, settings=SETTINGS, n_threads=1)


def one(person: Person, place: Path, *, kind: str, draw: random.Random) -> Forgotten:
    """Forget something, and look at what is left."""
    rows = records_of(person, place)
    chosen = draw.choice(rows)
    texts = {str(chosen[name]) for name in ("text", "query")}
    started = perf_counter()
    match kind:
        case "conversation":
            certificate = person.forget(conversation=str(chosen["conversation"]))
        case "time" if chosen["time"] is not None:
            early = sorted(float(str(row["time"])) for row in rows if row["time"] is not None)
            limit = early[len(early) // 20]  # the first twentieth
            certificate = person.forget(before=limit + 1)
        case _:
            certificate = person.forget(like=max(texts, key=len))
    seconds = perf_counter() - started
    certificate.save(place / "certificate.json")
    left = records_of(person, place)
    gone = texts_in(rows) - texts_in(left)
    return Forgotten(
        user=person.name,
        kind=kind,
        n_records=len(listed(certificate, "records")),
        is_equal=is_twin(person, place),
        residues=sum(int(str(each["hits"])) for each in listed(certificate, "residues")),
        texts_found=found_in(place, gone),
        verdict=certificate.verdict,
        is_verified=Certificate.load(place / "certificate.json") == certificate,
        seconds=round(seconds, 2),
    )


def is_twin(person: Person, place: Path) -> bool:
    """Whether a store that is given the records that are left builds the same bytes."""
    for name in ("twins", "twins-keys"):
        shutil.rmtree(place / name, ignore_errors=True)
    person.export(place / "one.zip")
    with lorecall.Store.open(place / "twins") as twins:
        done = twins.take_in(place / "one.zip")
        twin = twins.person(done.person)
        if done.base is not None:  # where too little is left there is no memory to compare
            twin.update(done.base, settings=done.settings, n_threads=done.n_threads)
        twin.export(place / "two.zip")
    same = (place / "one.zip").read_bytes() == (place / "two.zip").read_bytes()
    for name in ("one.zip", "two.zip"):
        (place / name).unlink()
    return same


def records_of(person: Person, place: Path) -> list[dict[str, object]]:
    """Return what is remembered of someone, in its order."""
    person.export(place / "records.zip")
    with ZipFile(place / "records.zip") as file:
        lines = file.read("records.jsonl").decode().split("\n")
    (place / "records.zip").unlink()
    return [json.loads(line) for line in lines if line]


def texts_in(rows: Sequence[Mapping[str, object]]) -> set[str]:
    """Return what is said in records, where it is long enough to be looked for."""
    texts = {str(row[name]) for row in rows for name in ("text", "query")}
    return {text for text in texts if len(text.encode()) >= SHORTEST}


def found_in(place: Path, texts: set[str]) -> int:
    """Return in how many files one is: the store, the keys, the cache, the temporary folder."""
    folders = ("people", "people-keys", "cache", "temporary")
    files = [path for name in folders for path in (place / name).rglob("*") if path.is_file()]
    contents = (path.read_bytes() for path in files)
    return sum(any(text.encode() in content for text in texts) for content in contents)


def listed(certificate: Certificate, name: str) -> list[dict[str, object]]:
    """Return a list in a certificate."""
    found = certificate.payload[name]
    return found if isinstance(found, list) else []


def summary(rows: Sequence[Forgotten], options: argparse.Namespace) -> dict[str, object]:
    """Return what came of all, by kind."""
    kinds = {kind: [row for row in rows if row.kind == kind] for kind in KINDS}
    return {
        "command": f"python experiments/forgets.py --people {options.people}"
        f" --forgets {options.forgets}{' --own' * options.own}",
        "machine": machine(),
        "people": len({row.user for row in rows}),
        "forgets": len(rows),
        "equal_bytes": sum(row.is_equal for row in rows),
        "residues": sum(row.residues for row in rows),
        "texts_found": sum(row.texts_found for row in rows),
        "verified": sum(row.is_verified for row in rows),
        "seconds": sorted(row.seconds for row in rows)[len(rows) // 2] if rows else None,
        "by_kind": {
            kind: {"forgets": len(of), "records": sum(row.n_records for row in of)}
            for kind, of in kinds.items()
        },
    }


if __name__ == "__main__":
    main()
