"""A PostgreSQL server of one's own: in a temporary folder, behind a Unix socket, for a while.

It runs as a user that is not root, which PostgreSQL refuses to be. Tests start it, and the
benchmark of the store.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INSTALL = "install Debian's postgresql to run them"
_USER = "postgres"
_PLACES = "/usr/lib/postgresql"
_START_S = 60


def why_not() -> str:
    """Return why no server can be started; nothing where one can."""
    if _programs() is None:
        return f"PostgreSQL is not installed: {INSTALL}"
    if os.getuid() == 0 and not _is_known(_USER):
        return f"PostgreSQL does not run as root, and there is no user {_USER}: {INSTALL}"
    return ""


@contextmanager
def server() -> Generator[str]:
    """Run a server; yield the URL of its database."""
    programs = _programs()
    assert programs is not None, why_not()
    folder = Path(tempfile.mkdtemp(prefix="lorecall-pg-"))
    given: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL}
    if os.getuid() == 0:
        shutil.chown(folder, _USER)
        given |= {"user": _USER, "group": _USER, "extra_groups": []}
    try:
        subprocess.run(  # noqa: S603 - the system's own
            [
                *(programs / "initdb", "--pgdata=data", f"--username={_USER}", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            **given,
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - the same
                [
                    *(programs / "postgres", "-D", "data", "-k", str(folder)),
                    *("-c", "listen_addresses=", "-c", "max_connections=200"),
                ],
                stderr=log,
                **given,
            )
        try:
            _wait(programs, folder, process)
            yield f"postgresql://{_USER}@/{_USER}?host={folder}"
        finally:
            process.send_signal(signal.SIGQUIT)  # nothing of it is kept
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """Return where the newest server's programs are."""
    found = sorted(Path(_PLACES).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    named = shutil.which("initdb")
    newest = found[-1] if found else None if named is None else Path(named).resolve()
    return None if newest is None else newest.parent


def _is_known(user: str) -> bool:
    return any(each.pw_name == user for each in pwd.getpwall())


def _wait(programs: Path, folder: Path, process: "subprocess.Popen[Any]") -> None:
    end = time.monotonic() + _START_S
    ready = [programs / "pg_isready", "--quiet", f"--host={folder}"]
    while subprocess.run(ready, check=False).returncode:  # noqa: S603 - the same
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError((folder / "log").read_text(errors="replace")[-2000:])
        time.sleep(0.05)
