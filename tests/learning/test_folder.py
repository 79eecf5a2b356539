"""Whose a run's folder is, who works in it, and what is finished."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from lorecall.core.files import write_json
from lorecall.errors import RunError
from lorecall.learning.folder import RunFolder, history_files, open_run

IDENTITY = {"user": "ann", "seed": 0, "settings": {"layers": (1, 2), "rate": 5e-4}}
HOLD = """
import sys
from pathlib import Path
from lorecall.learning.folder import RunFolder, open_run
with open_run(Path(sys.argv[1]), {"user": "ann"}):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that works in a folder until it is ended."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


class TestOwnership:
    """One folder, one run."""

    def test_a_new_folder_is_made(self, tmp_path: Path) -> None:
        """With its parents, and the identity in it."""
        with open_run(tmp_path / "a" / "run", IDENTITY) as run:
            assert (run.path / "run.json").is_file()
            assert run.memory == run.path / "memory"
            assert run.result == run.path / "result.json"

    def test_the_files_of_the_history_are_remembered(self, tmp_path: Path) -> None:
        """They are no part of what is computed: a run goes on when they were moved."""
        with open_run(tmp_path / "run", IDENTITY, files=("/a.jsonl",)) as run:
            first = run.id
        assert history_files(run.path) == history_files(run.memory) == (Path("/a.jsonl"),)
        with open_run(tmp_path / "run", IDENTITY, files=("/b.jsonl", "/c.jsonl")) as run:
            assert run.id == first
        assert history_files(run.path) == (Path("/b.jsonl"), Path("/c.jsonl"))

    def test_of_other_data_no_file_is_known(self, tmp_path: Path) -> None:
        """An installed dataset, and a memory apart from its run."""
        with open_run(tmp_path / "run", IDENTITY) as run:
            assert history_files(run.path) == ()
        assert history_files(tmp_path / "elsewhere") == ()

    def test_an_empty_folder_is_taken(self, tmp_path: Path) -> None:
        """Whoever made it."""
        with open_run(tmp_path, IDENTITY) as run:
            assert run.path == tmp_path

    def test_the_same_run_goes_on(self, tmp_path: Path) -> None:
        """Tuples and lists are the same once written, and so is the id."""
        with open_run(tmp_path, IDENTITY) as run:
            run.save_stage("vanilla", {"loss": 1.5})
            first = run.id
        again = {**IDENTITY, "settings": {"rate": 5e-4, "layers": [1, 2]}}
        with open_run(tmp_path, again) as run:
            assert run.stage("vanilla") == {"loss": 1.5}
            assert run.id == first

    def test_another_run_is_refused_with_the_key_that_differs(self, tmp_path: Path) -> None:
        """What was recorded, what was asked, and which other keys differ."""
        with open_run(tmp_path, IDENTITY):
            pass
        other = {**IDENTITY, "seed": 1, "user": "bob"}
        with (
            pytest.raises(RunError, match=r"\(seed: 0\), got seed: 1 \(also differing: user\)"),
            open_run(tmp_path, other),
        ):
            pass
        with open_run(tmp_path, IDENTITY) as run:
            assert run.identity == IDENTITY

    def test_ids_differ_where_runs_do(self, tmp_path: Path) -> None:
        """The id names the study in a shared storage."""
        ids = set()
        for i in range(3):
            with open_run(tmp_path / str(i), {"seed": i}) as run:
                ids.add(run.id)
        assert len(ids) == 3

    @pytest.mark.parametrize("name", ["notes.txt", "result.json", ".hidden"])
    def test_a_folder_of_someone_else_is_refused(self, tmp_path: Path, name: str) -> None:
        """Nothing is written into it."""
        (tmp_path / name).write_text("mine")
        with (
            pytest.raises(RunError, match="which holds something else"),
            open_run(tmp_path, IDENTITY),
        ):
            pass
        assert [file.name for file in tmp_path.iterdir()] == [name]

    def test_a_file_in_its_place_is_refused(self, tmp_path: Path) -> None:
        """It stays as it is."""
        path = tmp_path / "file"
        path.write_text("mine")
        with pytest.raises(RunError, match="folder of its own"), open_run(path, IDENTITY):
            pass
        assert path.read_text() == "mine"

    def test_a_folder_below_a_file_is_refused(self, tmp_path: Path) -> None:
        """One clear line, no traceback of the system's."""
        (tmp_path / "file").write_text("mine")
        with pytest.raises(RunError), open_run(tmp_path / "file" / "run", IDENTITY):
            pass

    def test_a_run_killed_while_it_wrote_its_first_file_goes_on(self, tmp_path: Path) -> None:
        """A kill may leave the lock and a temporary file, and no `run.json` yet."""
        (tmp_path / ".lock").touch()
        (tmp_path / ".run.json.x1y2z3").write_text('{"us')
        with open_run(tmp_path, IDENTITY) as run:
            assert (run.path / "run.json").is_file()

    def test_a_corrupt_record_is_refused(self, tmp_path: Path) -> None:
        """It is not written over."""
        (tmp_path / "run.json").write_text("{")
        with pytest.raises(RunError, match="a run must be readable"), open_run(tmp_path, IDENTITY):
            pass
        assert (tmp_path / "run.json").read_text() == "{"

    def test_a_long_value_is_cut_in_the_message(self, tmp_path: Path) -> None:
        """One line stays one that can be read."""
        write_json(tmp_path / "run.json", {"ids": "x" * 500})
        with pytest.raises(RunError) as caught, open_run(tmp_path, {"ids": "y" * 500}):
            pass
        assert len(str(caught.value)) < 500


class TestStages:
    """What each finished stage found."""

    def test_an_unfinished_stage_is_none(self, tmp_path: Path) -> None:
        """Nothing is made up."""
        with open_run(tmp_path, IDENTITY) as run:
            assert run.stage("memory") is None

    def test_a_stage_comes_back_as_written(self, tmp_path: Path) -> None:
        """Every digit of it, and the last one written wins."""
        value = {"losses": [0.1 + 0.2, 4.5], "responses": ["né", ""]}
        with open_run(tmp_path, IDENTITY) as run:
            run.save_stage("vanilla", {"losses": []})
            run.save_stage("vanilla", value)
            assert run.stage("vanilla") == value

    def test_a_corrupt_stage_is_refused(self, tmp_path: Path) -> None:
        """It is not taken for an unfinished one."""
        with open_run(tmp_path, IDENTITY) as run:
            run.save_stage("vanilla", {})
            (tmp_path / "stages" / "vanilla.json").write_text("{")
            with pytest.raises(RunError, match="stage vanilla must be readable"):
                run.stage("vanilla")

    def test_the_storage_is_in_the_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As an absolute path, wherever the command was given."""
        monkeypatch.chdir(tmp_path)
        with open_run(Path("run"), IDENTITY) as run:
            assert run.storage_url == f"sqlite:///{tmp_path.resolve()}/run/study.db"


class TestLock:
    """One process at a time."""

    def test_a_second_process_is_locked_out_until_the_first_is_killed(self, tmp_path: Path) -> None:
        """`kill -9` leaves nothing to clean up by hand."""
        with another_process(tmp_path) as process:
            with (
                pytest.raises(RunError, match="another process working in it"),
                open_run(tmp_path, {"user": "ann"}),
            ):
                pass
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            with open_run(tmp_path, {"user": "ann"}) as run:
                assert run.identity == {"user": "ann"}

    def test_an_error_in_the_run_lets_go(self, tmp_path: Path) -> None:
        """The same process may try again."""

        def work() -> None:
            with open_run(tmp_path, IDENTITY):
                raise RuntimeError

        with pytest.raises(RuntimeError):
            work()
        with open_run(tmp_path, IDENTITY):
            pass


@pytest.mark.parametrize("name", ["plain", "w %20 ? #é'[x]", "a b&c=d"])
def test_the_study_lies_in_the_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    """A path is no URL: `?` and `%20` in it are letters like others."""
    (tmp_path / name).mkdir()
    url = RunFolder((tmp_path / name), IDENTITY).storage_url
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    engine.dispose()
    assert (tmp_path / name / "study.db").is_file()
    assert [file.name for file in tmp_path.iterdir()] == [name]
