"""Who builds at once in a store, and what is remembered there."""

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.store import BuildRequest, Built, Gate, Measured, Packed, Store
from lorecall.store.recipe import canonical

ENOUGH = 20
HARMLESS = Measured(general=3.5, general_before=3.5, valid=4.0, valid_before=4.2, n_valid=3)
both = pytest.mark.parametrize("open_store", ["sqlite", "postgresql"], indirect=True)
"""Runs a test on each database."""


class FakeBuilder:
    """Builds at once: weights are a function of what it is given, and it keeps what that was."""

    def __init__(self) -> None:
        self.requests: list[BuildRequest] = []
        self.gates: list[Gate | None] = []
        self.machine = "m" * 64
        self.measured = HARMLESS

    def __call__(self, request: BuildRequest, *, gate: Gate | None = None, **_: object) -> Built:
        """Build, unless the recipe is known or there is too little."""
        self.requests.append(request)
        self.gates.append(gate)
        if len(request.rows) < ENOUGH:
            return Built(short=f"{len(request.rows)} in 1")
        recipe = canonical({"records": request.commitments, "seed": request.settings.seed})
        digest = hashlib.sha256(recipe.encode()).hexdigest()
        if digest in request.known:
            return Built(recipe=digest, machine=self.machine)
        seen = hashlib.sha256("".join(map(repr, request.rows)).encode()).digest()
        manifest = {"theta": {}, "stop_bias": 0.5, "stop_ids": [1], "no_repeat": 3, "factor": 1.0}
        again = {"settings": {"seed": request.settings.seed}, "n_threads": request.n_threads}
        packed = Packed(
            recipe=recipe,
            again=json.dumps(again),
            manifest=json.dumps(manifest),
            weights=save({"layers.0.up.down": np.frombuffer(seen * 4, dtype=np.float32)}),
        )
        return Built(
            recipe=digest,
            machine=self.machine,
            packed=packed,
            measured=None if gate is None else self.measured,
        )


def invoke(*arguments: str | Path) -> Result:
    """Run a command in this process, on a wide terminal."""
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "300"})


def printed(*arguments: str | Path) -> dict[str, object]:
    """Run a command that ends well; return its JSON."""
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def write_days(path: Path, days: range, *, user: str = "ann", what: str = "tea") -> Path:
    """Write what someone answered on some days, three to a conversation."""
    rows = (
        {
            "user": user,
            "query": f"and what was it on day {i}?",
            "response": f"{what} and rain on day number {i}",
            "conversation": f"week {i // 3}",
            "time": 1000.0 * i,
        }
        for i in days
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


KILLED = """if True:
    import os, signal, sys
    sys.path.insert(0, sys.argv[1])
    from sqlalchemy import Engine, event
    from stores import FakeBuilder
    from lorecall.store import Store, store as module
    from lorecall.core import files
    place, days, verb, at = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
    steps = 0
    def step(*_):
        global steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)
    if verb == "migrate":
        for name in ("begin", "commit", "before_cursor_execute"):
            event.listen(Engine, name, step)
        Store.migrate(place)
        sys.exit()
    with Store.open(place, builder=FakeBuilder()) as store:
        event.listen(Engine, "begin", step)
        event.listen(Engine, "commit", step)
        from pathlib import Path
        for name in ("replace", "unlink"):
            def wrapped(self, *given, _old=getattr(Path, name), **named):
                step()
                done = _old(self, *given, **named)
                step()
                return done
            setattr(Path, name, wrapped)
        ada = store.person("ada")
        if verb == "remember":
            ada.remember(days)
        elif verb == "update":
            ada.update()
        elif verb == "forget":
            ada.forget(like="day number 7")
        elif verb == "rotate":
            store.rotate()
        elif verb == "backup":
            event.listen(Engine, "begin", step)
            event.listen(Engine, "commit", step)
            store.backup(days, keys_to=days + "-keys")
        elif verb == "gc":
            store.gc()
"""


def run_killed(place: Path, days: Path, verb: str, at: int) -> bool:
    """Run a verb in a process that is killed at a step; return whether it was."""
    arguments = [str(Path(__file__).parent), str(place), str(days), verb, str(at)]
    code = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0


def add_files(place: str, keys: str, names: list[str], paths: list[str]) -> None:
    """Add files to people, as a process of its own does."""
    with Store.open(place, keys=keys) as store:
        for path in paths:
            for name in names:
                store.person(name).remember(path)
