"""Builds that are forked from a process which has imported the program, and done nothing else.

A build takes seconds to import and a fraction of one to train a tiny base. So that hundreds can be
compared, `sys.executable` is for a while a small program that hands its pipes and its environment
to such a process and waits: what the store starts, what it gives it and what it reads from it stay
as they are, and nothing of one build is there in another. There is one for each number of threads,
for that must be pinned before anything is imported.
"""

import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

VARIABLES = {
    "OMP_DYNAMIC": "FALSE",
    "MKL_DYNAMIC": "FALSE",
    "PYTHONHASHSEED": "0",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "TZ": "UTC",
}
STARTED = "lorecall.store.build"
"""What a store starts: `python -m ...`."""
CLIENT = """#!{python} -IS
import array, json, os, socket, sys
given = {{"environment": dict(os.environ), "argv": sys.argv[2:], "later": int(sys.argv[3])}}
server = socket.socket(socket.AF_UNIX)
server.connect("{folder}/" + os.environ["OMP_NUM_THREADS"])
pipes = array.array("i", [0, 1, 2, given["later"]])
content = json.dumps(given).encode()
head = len(content).to_bytes(8, "big")
server.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, pipes)])
server.sendall(content)
for each in (0, 1, given["later"]):
    os.close(each)
sys.exit(int(server.recv(8) or b"1"))
"""


@contextmanager
def forked_builds(threads: Sequence[int] = (1,)) -> Iterator[None]:
    """Have builds be forked, on some numbers of threads."""
    before = sys.executable
    with tempfile.TemporaryDirectory(prefix="lorecall-forked-") as folder:
        client = Path(folder) / "python"
        client.write_text(CLIENT.format(python=before, folder=folder), encoding="utf-8")
        client.chmod(0o700)
        running = [started(before, Path(folder) / str(n), n) for n in threads]
        sys.executable = str(client)
        try:
            yield
        finally:
            sys.executable = before
            for process in running:
                process.kill()
                process.wait()


def started(python: str, path: Path, n: int) -> subprocess.Popen[bytes]:
    """Start a process that forks, and wait until it has imported the program."""
    environment = {**os.environ, **VARIABLES, "OMP_NUM_THREADS": str(n), "MKL_NUM_THREADS": str(n)}
    process = subprocess.Popen(  # noqa: S603 - this file
        [python, __file__, str(path)], env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def serve(path: str) -> None:
    """Import the program, then fork for whoever asks."""
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: F401, PLC0415

    importlib.import_module(STARTED)
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            if not os.fork():
                server.close()
                if not os.fork():  # so that nobody waits for it here
                    build(connection)
                os._exit(0)
            connection.close()
            os.wait()


def build(connection: socket.socket) -> None:
    """Become what was to be started; tell how it ended."""
    head, pipes, _, _ = socket.recv_fds(connection, 8, 4)
    content = b""
    while len(content) < int.from_bytes(head, "big"):
        content += connection.recv(1 << 16)
    given = json.loads(content)
    child = os.fork()
    if child:
        for pipe in pipes:
            os.close(pipe)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with suppress(OSError):  # who asked has ended
            connection.sendall(str(code & 0xFF).encode())
        os._exit(0)
    connection.close()
    os.environ.clear()
    os.environ.update(given["environment"])
    tempfile.tempdir = given["environment"]["TMPDIR"]
    for target, pipe in enumerate(pipes[:3]):
        os.dup2(pipe, target)
        os.close(pipe)
    module = given["argv"][0]
    sys.argv = [module, str(pipes[3])]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        os._exit(1)  # it ends itself


if __name__ == "__main__":
    serve(sys.argv[1])
