"""What experiments over the memories of a bench share: whom they read, and where their rows go."""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from machine import machine

from lorecall import BaseModel, Memory
from lorecall.device import set_threads
from lorecall.files import write_json

Row = dict[str, Any]


def over_people(
    out: Path,
    doc: str | None,
    *,
    of_person: Callable[[BaseModel, Memory], Row],
    report: Callable[[dict[str, Row], BaseModel], Mapping[str, object]],
) -> None:
    """Read every person that is not in the results yet, and write what is known after each.

    Args:
        out: The results; its `people` are kept.
        doc: What the command line says of itself.
        of_person: Gives a person's row, with its means as `mean`.
        report: Puts all rows together; the machine is added to it.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("memories", type=Path, help="the folder `memories` of a bench")
    parser.add_argument("--people", type=int, help="at most so many")
    options = parser.parse_args()
    set_threads()
    base = BaseModel.load()
    known: dict[str, Row] = json.loads(out.read_text())["people"] if out.exists() else {}
    for folder in sorted(options.memories.iterdir())[: options.people]:
        memory = Memory.load(folder)
        user = memory.manifest.training.user
        if user not in known:
            known[user] = of_person(base, memory)
            write_json(out, {"machine": machine(), **report(known, base)})
            print(user, json.dumps(known[user]["mean"], indent=1), flush=True)
