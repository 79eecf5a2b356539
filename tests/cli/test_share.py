"""`lorecall share`, from a file of people to a memory that stands on what they have in common."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.errors import DataError, InputError
from lorecall.lm.families.tiny import tiny_base
from lorecall.memory.memory import StoredMemory
from lorecall.memory.shared import SharedMemory, load_base
from made_up import write_crowd

CONSENT = "they were made [up]"
MakeShared = Callable[..., SharedMemory]
MakeMemory = Callable[..., StoredMemory]


def invoke(*arguments: str | Path) -> Result:
    """Run a command in this process, on a wide terminal."""
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def refused(*arguments: str | Path) -> str:
    """Run a command that must be refused; return the line."""
    result = invoke(*arguments)
    assert isinstance(result.exception, InputError), result.output
    assert result.output == ""
    return str(result.exception)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a crowd, a base and a shared memory learnt by the command."""
    folder = tmp_path_factory.mktemp("share")
    tiny = tiny_base()
    tiny.model.save_pretrained(folder / "base")
    tiny.tokenizer.save_pretrained(folder / "base")
    write_crowd(folder / "crowd.jsonl")
    (folder / "left-out.txt").write_text("# who is tested\n\np3\n  p5  \n")
    result = invoke(*learn(folder, "--without", str(folder / "left-out.txt"), "--without", "p7"))
    assert result.exit_code == 0, (result.output, result.exception)
    return folder


def learn(folder: Path, *extra: str, out: str = "shared") -> list[str]:
    """Return the arguments of `share learn` on the crowd."""
    sets = ("replies=40", "valid=8", "rank=2")
    return [
        *("share", "learn", "--data", str(folder / "crowd.jsonl"), "--consent", CONSENT),
        *("--out", str(folder / out), "--model", str(folder / "base"), "--device", "cpu"),
        *(part for each in sets for part in ("--set", each)),
        *extra,
    ]


def test_the_group_alone_shows_its_help() -> None:
    """Nothing is done by surprise."""
    shown = invoke("share")
    assert shown.exit_code == 2
    assert all(name in shown.output for name in ("learn", "show", "check", "export"))


@pytest.fixture
def _with_ctrl_c() -> Iterator[None]:
    """Start commands that heed Ctrl-C also where this suite was started to ignore it, with `&`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class TestLearn:
    """`lorecall share learn`."""

    def test_those_of_a_file_and_of_the_command_are_left_out(self, place: Path) -> None:
        """Notes and blank lines of the file are nobody."""
        donors = SharedMemory.load(place / "shared").manifest.donors
        assert not any(donors.has_person(name) for name in ("p3", "p5", "p7"))
        assert donors.has_person("p0")
        assert len(donors.samples) == 40

    def test_a_bad_id_in_a_file_is_named_by_its_line(self, place: Path, tmp_path: Path) -> None:
        """Nobody, or several: the line says where it stands."""
        file = tmp_path / "who.txt"
        for bad, rule in (("q9", "the user must be in the data"), ("p", "must fit one user")):
            file.write_text(f"# people\np3\n{bad}\n")
            result = invoke(*learn(place, "--without", str(file), out="none"))
            assert isinstance(result.exception, DataError)
            assert rule in str(result.exception)
            assert f"in line 3 of {file}" in str(result.exception)
        assert not (place / "none").exists()

    def test_a_bad_id_of_the_command_is_named(self, place: Path) -> None:
        """It has no line."""
        result = invoke(*learn(place, "--without", "q9", out="none"))
        assert isinstance(result.exception, DataError)
        assert "got 'q9' (14 users, none fits)." in str(result.exception)

    @pytest.mark.parametrize(
        ("extra", "line"),
        [
            (("--set", "share.rank=0"), "rank must be in range"),
            (("--set", "trials=3"), "an option must be known"),
            (("--consent", " "), "from people who agreed to it"),
            (("--data", "nowhere.jsonl"), "the source must be a dataset or a file"),
            (("--model", "./nowhere"), "nowhere"),
        ],
    )
    def test_bad_options_are_one_line(self, place: Path, extra: tuple[str, str], line: str) -> None:
        """Nothing is written."""
        result = invoke(*learn(place, *extra, out="none"))
        assert isinstance(result.exception, InputError)
        assert line in str(result.exception)
        assert not (place / "none").exists()

    def test_a_folder_in_use_is_refused(self, place: Path) -> None:
        """The one that holds a shared memory already."""
        assert "a folder of its own" in refused(*learn(place))

    @pytest.mark.usefixtures("_with_ctrl_c")
    def test_stopped_it_leaves_nothing(self, place: Path) -> None:
        """Ctrl-C while it trains: exit code 130, and what becomes of what was done."""
        command = learn(place, "--set", "share.epochs=100000", out="stopped")
        before = {*place.iterdir()}
        with subprocess.Popen(
            [sys.executable, "-u", "-m", "lorecall", *command], stderr=subprocess.PIPE, text=True
        ) as run:
            assert run.stderr is not None
            for line in run.stderr:
                if "training what they have in common" in line:
                    break
            os.kill(run.pid, signal.SIGINT)
            _, said = run.communicate(timeout=100)
        assert run.returncode == 130, said
        assert "nothing was stored" in said
        assert {*place.iterdir()} == before


class TestShow:
    """`lorecall share show`."""

    def test_what_it_is(self, place: Path) -> None:
        """Base, donors, licence, consent as it was written, losses, size, hash."""
        memory = SharedMemory.load(place / "shared")
        shown = invoke("share", "show", place / "shared").output
        for part in (
            str(place / "base"),
            "40 replies of crowd.jsonl",
            CONSENT,
            "the chat's own",
            "after 0, ",
            f"{memory.n_parameters:,} parameters",
            memory.sha256[:16],
        ):
            assert part in " ".join(shown.split()), part

    def test_as_json(self, place: Path) -> None:
        """With counts of the donors in place of their hashes."""
        found = json.loads(invoke("share", "show", place / "shared", "--json").output)
        memory = SharedMemory.load(place / "shared")
        assert found["weights_sha256"] == memory.sha256
        assert found["donors"]["samples"] == 40
        assert found["donors"]["people"] == len(memory.manifest.donors.people)
        assert found["bytes"] == memory.n_bytes
        assert found["n_parameters"] == memory.n_parameters

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        """Is refused."""
        assert "a shared memory must be there" in refused("share", "show", tmp_path / "none")


class TestCheck:
    """`lorecall share check`."""

    def check(self, place: Path, *users: str) -> Result:
        """Ask for people."""
        asked = [part for user in users for part in ("--user", user)]
        return invoke(
            "share", "check", place / "shared", "--data", place / "crowd.jsonl", "--json", *asked
        )

    def test_who_was_left_out_is_not_in_it(self, place: Path) -> None:
        """Exit code 0."""
        result = self.check(place, "p3", "p7")
        assert result.exit_code == 0, result.output
        nobody = {"donor": False, "learnt": 0}
        found = json.loads(result.output)["people"]
        assert {name: {**it, "of": 0} for name, it in found.items()} == {
            "p3": {**nobody, "of": 0},
            "p7": {**nobody, "of": 0},
        }

    def test_whose_words_are_in_it(self, place: Path) -> None:
        """Exit code 2, with how many of their replies; also where another is not in it."""
        people = [f"p{i}" for i in range(14)]
        result = self.check(place, *people)
        assert result.exit_code == 2
        found = json.loads(result.output)["people"]
        assert sum(it["learnt"] for it in found.values()) == 40
        donors = SharedMemory.load(place / "shared").manifest.donors
        assert {name for name, it in found.items() if it["donor"]} == {
            name for name in people if donors.has_person(name)
        }

    def test_for_a_person(self, place: Path) -> None:
        """In words."""
        result = invoke(
            "share", "check", place / "shared", "--data", place / "crowd.jsonl", "--user", "p3"
        )
        assert result.exit_code == 0
        assert result.output.strip() == "p3: no donor, 0 of 14 replies"

    def test_somebody_who_is_not_there(self, place: Path) -> None:
        """Is refused: nothing is known of them."""
        result = self.check(place, "q9")
        assert isinstance(result.exception, DataError)


def test_it_is_exported_as_an_adapter(place: Path, tmp_path: Path) -> None:
    """For the base it was learnt for, with the tokens that end a reply beside it."""
    result = invoke("share", "export", place / "shared", "--peft", tmp_path / "adapter")
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(place / "base")
    tensors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    memory = SharedMemory.load(place / "shared")
    assert sum(tensor.numel() for tensor in tensors.values()) == memory.n_parameters


class TestAsk:
    """`lorecall ask` with a memory that stands on a shared one."""

    @pytest.fixture
    def person(self, place: Path, make_memory: MakeMemory, tmp_path: Path) -> Path:
        """Return a person's memory on a copy of the shared one."""
        SharedMemory.load(place / "shared").save(tmp_path / "shared")
        base = load_base(str(place / "base"), shared=str(tmp_path / "shared"), device="cpu")
        make_memory(base).save(tmp_path / "person")
        return tmp_path / "person"

    def test_it_replies_on_it(self, person: Path) -> None:
        """Without being told which it is."""
        result = invoke("ask", "--memory", person, "--device", "cpu", "--compare", "--json", "hi")
        assert result.exit_code == 0, (result.output, result.exception)
        assert set(json.loads(result.output)["replies"]) == {"without", "memory"}

    def test_another_shared_memory_is_refused(
        self, person: Path, place: Path, make_shared: MakeShared
    ) -> None:
        """One clear line and exit code 2."""
        bare = load_base(str(place / "base"), shared="none", device="cpu")
        make_shared(bare).save(person.parent / "shared")
        command = [sys.executable, "-m", "lorecall", "ask", "--memory", str(person), "hi"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        rule = "error: a memory works on the shared memory it was trained on: expected"
        assert line.startswith(rule)

    def test_the_bare_base_is_refused(self, person: Path) -> None:
        """Where the shared memory is gone."""
        for file in (person.parent / "shared").iterdir():
            file.unlink()
        line = refused("ask", "--memory", person, "--device", "cpu", "hi")
        assert "a shared memory must be there" in line

    def test_another_base_is_refused(self, person: Path, tmp_path: Path) -> None:
        """The shared memory is none of its own."""
        tiny = tiny_base(seed=1)
        tiny.model.save_pretrained(tmp_path / "elsewhere")
        tiny.tokenizer.save_pretrained(tmp_path / "elsewhere")
        line = refused("ask", "--memory", person, "--model", tmp_path / "elsewhere", "hi")
        assert "a shared memory works on the base it was learnt for" in line
