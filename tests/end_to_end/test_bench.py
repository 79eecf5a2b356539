"""A whole bench through the command line: done, killed and gone on with, refused, rendered."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.data.donors import draw_donors
from lorecall.errors import ConfigError, DataError, LorecallError, RunError
from lorecall.lm.device import cpu_name
from lorecall.memory.shared import SharedMemory, load_base
from lorecall.records import default_lora
from lorecall.settings import TrainSettings
from lorecall.train.fit import fit_shared
from made_up import write_crowd

Command = Callable[..., list[str]]
SYSTEMS = ("vanilla", "retrieval", "default-lora", "personal", "memory", "memory-with-retrieval")


@pytest.fixture(scope="module")
def two_users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of two users with 24 samples each."""
    path = tmp_path_factory.mktemp("two") / "two.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for user, likes in (("ada", "tea and rain"), ("bob", "jazz and the open sea")):
            for i in range(24):
                row = {
                    "user": user,
                    "query": f"what do you like best on day {i}?",
                    "response": f"on day {i} i still like {likes} best of all, {user} says",
                    "time": 1_700_000_000 + 60 * i,
                    "conversation": f"c{i // 3}",
                }
                file.write(json.dumps(row) + "\n")
    return path


@pytest.fixture(scope="module")
def bench_command(two_users: Path, model_folder: Path) -> Command:
    """Return the arguments of a quick `lorecall bench`, with options appended."""

    def command(out: Path, *extra: str) -> list[str]:
        return [
            "bench",
            *("--data", str(two_users), "--users", "ada,bob", "--out", str(out)),
            *("--preset", "smoke", "--model", str(model_folder), "--device", "cpu"),
            *("--systems", ",".join(SYSTEMS), "--set", "test_samples=2"),
            *("--set", "swap_systems=personal"),
            *extra,
        ]

    return command


def invoke(*arguments: str) -> Result:
    """Run a command in this process; errors of the package come back in `.exception`."""
    return CliRunner().invoke(app, list(arguments))


def lines(folder: Path) -> list[str]:
    """Return the lines of `scores.jsonl` that are whole."""
    path = folder / "scores.jsonl"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def cells(folder: Path) -> list[tuple[str, str]]:
    """Give (user, system) of each line."""
    found = [json.loads(line)["cell"] for line in lines(folder)]
    return [(cell["user"], cell["system"]) for cell in found]


EVERY = {(user, system) for user in ("ada", "bob") for system in SYSTEMS}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, bench_command: Command) -> Path:
    """Return the folder of a bench done by one process."""
    out = tmp_path_factory.mktemp("benches") / "one"
    result = invoke(*bench_command(out), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["failed"] == []
    return out


def test_a_finished_bench(finished: Path) -> None:
    """Every cell once; one searched memory a user, shared with retrieval; tables and pairs."""
    assert sorted(cells(finished)) == sorted(EVERY)
    assert len(list((finished / "searches").iterdir())) == 2
    assert {each.name.split("-s0-")[1][:8] for each in (finished / "memories").iterdir()} == {
        "personal"
    }
    scores = {(s["cell"]["user"], s["cell"]["system"]): s for s in map(json.loads, lines(finished))}
    memory, both = (scores["ada", name] for name in ("memory", "memory-with-retrieval"))
    assert both["train_s"] == memory["train_s"]
    assert max(memory["extra_prompt_tokens"]) == 0
    assert min(both["extra_prompt_tokens"]) > 0
    assert scores["ada", "vanilla"]["n_bytes"] == 0
    assert memory["n_bytes"] > 0
    for name in ("bench.md", "bench.html", "tables.json"):
        assert (finished / name).stat().st_size > 1000
    assert len(list((finished / "pairs").iterdir())) == 9
    swaps = [json.loads(line) for line in (finished / "swaps.jsonl").read_text().splitlines()]
    assert {(swap["cell"]["user"], *swap["losses"]["others"]) for swap in swaps} == {
        *(("ada", "bob"), ("bob", "ada"))
    }
    written = (finished / "bench.md").read_text()
    assert "Personal gain" in written
    assert "default-lora" in written


def test_a_finished_bench_is_only_read(finished: Path, bench_command: Command) -> None:
    """The same command changes nothing but the tables."""
    before, tables = lines(finished), (finished / "tables.json").read_text()
    result = invoke(*bench_command(finished))
    assert result.exit_code == 0, result.output
    assert lines(finished) == before
    assert (finished / "tables.json").read_text() == tables
    assert "Table 3" in result.output
    assert f"{len(EVERY)} cells finished before" in result.stderr


def test_tables_are_rendered_again(finished: Path) -> None:
    """From the folder alone."""
    page = finished / "bench.html"
    before = page.read_text()
    page.unlink()
    result = invoke("bench", "render", str(finished))
    assert result.exit_code == 0, result.output
    assert page.read_text() == before


def test_tables_say_where_they_were_made(finished: Path) -> None:
    """Each cell's machine, once."""
    machine = json.loads((finished / "tables.json").read_text())["facts"]["Machine"]
    assert {each["machine"] for each in map(json.loads, lines(finished))} == {machine}
    assert cpu_name() in machine


def test_tables_can_be_given_away(finished: Path) -> None:
    """Without a text of a user."""
    result = invoke("bench", "render", str(finished), "--no-texts")
    assert result.exit_code == 0, result.output
    texts = [(finished / name).read_text() for name in ("bench.md", "bench.html")]
    invoke("bench", "render", str(finished))
    assert all("Table 3" in text and "Cases" not in text for text in texts)
    assert all("Cases" in (finished / name).read_text() for name in ("bench.md", "bench.html"))


def test_two_benches_do_not_share_a_folder(finished: Path, bench_command: Command) -> None:
    """Another seed or another system is another bench."""
    before = lines(finished)
    for extra in (("--seeds", "1"), ("--systems", "vanilla"), ("--set", "trials=3")):
        result = invoke(*bench_command(finished, *extra))
        assert isinstance(result.exception, RunError)
        assert "a folder holds one run" in str(result.exception)
    assert lines(finished) == before


def test_a_killed_bench_goes_on(tmp_path: Path, bench_command: Command, finished: Path) -> None:
    """`kill -9` of it and its workers, a torn line: no cell is lost, none is done twice."""
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "lorecall", *bench_command(out, "--workers", "2")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        end = time.monotonic() + 120
        while len(lines(out)) < 3 and time.monotonic() < end and run.poll() is None:
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    await_silence(out)
    before = lines(out)
    assert 3 <= len(before) < len(EVERY)
    with (out / "scores.jsonl").open("a") as file:
        file.write(before[0][: len(before[0]) // 2])
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"{len(before)} cells finished before" in again.stderr
    assert lines(out)[: len(before)] == before
    assert sorted(cells(out)) == sorted(EVERY)
    wanted = losses(finished)
    assert {cell: pytest.approx(x, rel=1e-4) for cell, x in losses(out).items()} == wanted


def await_silence(folder: Path) -> None:
    """Wait until the workers of a killed bench have ended: no claim is held any more."""
    held = "import sys, fcntl; fcntl.flock(open(sys.argv[1], 'a'), fcntl.LOCK_EX)"
    for claim in (folder / "claims").iterdir():
        subprocess.run([sys.executable, "-c", held, str(claim)], check=True, timeout=60)


def losses(folder: Path) -> dict[tuple[str, str], list[float]]:
    """Return the losses of each cell: the same, however a bench came to its end."""
    return {
        (s["cell"]["user"], s["cell"]["system"]): s["scores"]["loss"]
        for s in map(json.loads, lines(folder))
    }


def test_one_process_at_a_time_holds_the_folder(tmp_path: Path, bench_command: Command) -> None:
    """The same command beside itself is refused; `--workers` is how to have more."""
    out = tmp_path / "held"
    command = [sys.executable, "-m", "lorecall", *bench_command(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        end = time.monotonic() + 120
        while not (out / "claims").exists() and time.monotonic() < end:
            time.sleep(0.05)
        beside = invoke(*bench_command(out))
        os.kill(run.pid, signal.SIGKILL)
    assert isinstance(beside.exception, RunError)
    assert "another process" in str(beside.exception)


def test_what_fails_is_said(finished: Path, bench_command: Command, tmp_path: Path) -> None:
    """The others are done; the command ends with an error, and the next start tries again."""
    out = tmp_path / "failing"
    shutil.copytree(finished, out)
    whole = lines(out)
    memories = [line for line in whole if '"system": "memory' in line]
    (out / "scores.jsonl").write_text("".join(f"{x}\n" for x in whole if x not in memories))
    shutil.rmtree(out / "searches")
    (out / "searches").write_text("in the way")
    failing = invoke(*bench_command(out))
    assert isinstance(failing.exception, RunError)
    assert "4 failures, the first: memory for ada" in str(failing.exception)
    assert "8 of 12 cells are finished" in failing.output
    assert len((out / "failures.jsonl").read_text().splitlines()) == 4
    (out / "searches").unlink()
    again = invoke(*bench_command(out))
    assert again.exit_code == 0, again.output
    assert sorted(cells(out)) == sorted(EVERY)


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        (("--systems", "vanilla,brain"), ConfigError),
        (("--users", "nobody"), DataError),
        (("--users", "9"), DataError),
        (("--seeds", "one"), ConfigError),
        (("--set", "search.trials=0"), ConfigError),
        (("--set", "swap_systems=vanilla"), ConfigError),
        (("--set", "swap_samples=0"), ConfigError),
        (("--data", "chitchat", "--path", "x"), ConfigError),
    ],
)
def test_bad_input_is_refused_before_any_work(
    tmp_path: Path, bench_command: Command, extra: tuple[str, ...], error: type[LorecallError]
) -> None:
    """With one line, and nothing is left behind."""
    out = tmp_path / "none"
    result = invoke(*bench_command(out, *extra))
    assert isinstance(result.exception, error)
    assert not out.exists()


def test_a_bench_needs_a_folder() -> None:
    """Where it is to go is not guessed."""
    result = invoke("bench", "--preset", "smoke")
    assert isinstance(result.exception, ConfigError)
    assert "--out DIR" in str(result.exception)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """Return a shared memory of a crowd, for the base of these tests."""
    folder = tmp_path_factory.mktemp("shared")
    base = load_base(str(model_folder), shared="none", device="cpu")
    shared = fit_shared(
        default_lora(base.n_layers),
        draw_donors(str(write_crowd(folder / "crowd.jsonl")), n_replies=40, n_valid=8),
        base,
        settings=TrainSettings(max_epochs=10, learning_rate=3e-2, max_response_tokens=16),
        consent="they were made up",
    )
    shared.save(folder / "crowd")
    return folder / "crowd"


def test_all_systems_stand_on_the_shared_memory(
    tmp_path: Path, bench_command: Command, shared_folder: Path, finished: Path
) -> None:
    """The tables name it, the bare base is read beside it, and another is another bench."""
    out = tmp_path / "on-shared"
    given = ("--systems", "vanilla,personal", "--workers", "2")
    on_it = ("--set", f"base.shared={shared_folder}")
    result = invoke(*bench_command(out, *given, *on_it))
    assert result.exit_code == 0, result.output
    shared = json.loads((out / "run.json").read_text())["shared"]
    assert shared == {"name": "crowd", "sha256": SharedMemory.load(shared_folder).sha256}
    assert f"Shared memory: crowd ({shared['sha256'][:12]})" in (out / "bench.md").read_text()
    bare, ours = losses(finished), losses(out)
    assert ours["ada", "vanilla"] != pytest.approx(bare["ada", "vanilla"], abs=0.05)
    for line in (out / "swaps.jsonl").read_text().splitlines():
        swap = json.loads(line)
        alone = swap["cell"]["user"], "vanilla"
        assert swap["losses"]["shared"] == pytest.approx(ours[alone], abs=0.02)
        assert swap["losses"]["base"] == pytest.approx(bare[alone], abs=0.02)
    again = invoke(*bench_command(out, *given))
    assert isinstance(again.exception, RunError)
    assert "base_fingerprint" in str(again.exception)


def memory_of(bench: Path, user: str) -> Path:
    """Return the folder of someone's memory."""
    return next(p for p in (bench / "memories").iterdir() if f"-{user}-" in p.name)


def test_a_scorecard_of_a_memory(finished: Path, two_users: Path, model_folder: Path) -> None:
    """Asked of the bench's own memory: numbers beside the base's, as text and as JSON."""
    command = (
        *("scorecard", str(memory_of(finished, "ada")), "--data", str(two_users)),
        *("--model", str(model_folder), "--device", "cpu", "--test-samples", "2"),
        *("--memory", str(memory_of(finished, "bob"))),
    )
    text = invoke(*command)
    assert text.exit_code == 0, text.output
    assert "Does it know ada" in text.output
    assert "personal gain (PG)" in text.output
    card = json.loads(invoke(*command, "--json").stdout)
    assert card["user"] == "ada"
    assert card["recall"]["n"] > 0
    assert card["personal"]["n_memories"] == 2
    assert {"style", "absence", "ability", "verdicts", "is_damaged"} <= set(card)


def test_a_scorecard_needs_the_memorys_own_data(
    finished: Path, tmp_path: Path, two_users: Path, model_folder: Path
) -> None:
    """Other samples than it was trained on are refused; nobody beside is less to ask."""
    memory = memory_of(finished, "ada")
    rows = two_users.read_text().splitlines(keepends=True)
    changed, alone = tmp_path / "changed.jsonl", tmp_path / "alone.jsonl"
    changed.write_text("".join(rows).replace("tea", "coffee"))
    alone.write_text("".join(row for row in rows if '"ada"' in row))
    options = ("--model", str(model_folder), "--device", "cpu", "--test-samples", "2", "--json")
    result = invoke("scorecard", str(memory), "--data", str(changed), *options)
    assert isinstance(result.exception, DataError)
    assert "was trained on" in str(result.exception)
    card = json.loads(invoke("scorecard", str(memory), "--data", str(alone), *options).stdout)
    assert (card["recall"], card["personal"], card["style"]["other"]) == (None, None, None)
    assert "nobody else's memory" in card["verdicts"][0]
    assert card["style"]["n"] == 2


def test_a_scorecard_makes_the_others_memories_itself(
    finished: Path, two_users: Path, model_folder: Path
) -> None:
    """As many as it is told to, as the one was made."""
    result = invoke(
        *("scorecard", str(memory_of(finished, "ada")), "--data", str(two_users), "--json"),
        *("--model", str(model_folder), "--device", "cpu", "--test-samples", "2", "--others", "1"),
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["personal"]["n_memories"] == 2
