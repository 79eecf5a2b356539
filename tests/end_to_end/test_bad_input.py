"""Whatever a person gets wrong: one clear line, exit code 2, no traceback, nothing half-written."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., list[str]]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "lorecall", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(*arguments: str) -> str:
    """Run a command that must be refused; give its one line."""
    done = run(*arguments)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert "expected" in lines[0]
    assert "got" in lines[0]
    return lines[0]


@pytest.mark.real_data
def test_unknown_user_names_the_nearest(tmp_path: Path) -> None:
    """An unknown user of chitchat is refused with users to choose from."""
    line = refused(
        "learn", "--data", "chitchat", "--user", "4fde054x", "--out", str(tmp_path / "o")
    )
    assert "4fde054d-4dd0-4f63-bcb2-23dd7a65433f" in line
    assert not (tmp_path / "o").exists()


@pytest.mark.real_data
def test_ambiguous_prefix_lists_the_matches(tmp_path: Path) -> None:
    """A prefix of several users is refused with their ids."""
    line = refused("learn", "--data", "chitchat", "--user", "4f", "--out", str(tmp_path / "o"))
    assert "fits 2" in line


def test_too_few_samples_says_how_many(tmp_path: Path) -> None:
    """A history of three samples is refused before a model is loaded."""
    file = tmp_path / "short.jsonl"
    rows = [{"user": "bo", "query": f"q{i}", "response": f"r{i}"} for i in range(3)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = refused("learn", "--history", str(file), "--user", "bo", "--out", str(tmp_path / "o"))
    assert "at least 20" in line
    assert "3 in 3" in line
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b'{"user": "bo", "query": "q", "response": "r"}\n{"user": "bo"', "line 2"),
        (b'{"user": "bo", "query": "q"}\n', "response"),
        (b'{"user": "bo", "query": "q", "response": "\xff"}\n', "UTF-8"),
        (b"", "empty"),
    ],
)
def test_broken_history_names_the_line(content: bytes, wanted: str, tmp_path: Path) -> None:
    """A malformed, incomplete, wrongly encoded or empty file is refused with the place."""
    file = tmp_path / "broken.jsonl"
    file.write_bytes(content)
    out = tmp_path / "o"
    line = refused("learn", "--history", str(file), "--user", "bo", "--out", str(out))
    assert wanted in line
    assert not out.exists()


def test_folder_with_other_things_is_left_alone(tmp_path: Path, learn_command: Command) -> None:
    """A folder that holds something else is refused and stays as it was."""
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("do not touch")
    assert "folder of its own" in refused(*learn_command(out))
    assert [file.name for file in out.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "url",
    ["postgresql://127.0.0.1:1/lorecall", "nonsense://x", "sqlite:////nonexistent/folder/study.db"],
)
def test_unreachable_storage_takes_no_folder(
    url: str, tmp_path: Path, learn_command: Command
) -> None:
    """A storage that cannot be reached is refused before anything is written."""
    refused(*learn_command(tmp_path / "o", "--set", f"storage={url}"))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"model_type": "nothing-known"}', "model_type llama, "),
        ('{"model_type": "t5", "is_encoder_decoder": true}', "encodes one text and decodes"),
    ],
)
def test_what_can_be_no_base_is_refused(
    tmp_path: Path, learn_command: Command, config: str, said: str
) -> None:
    """Before its weights are read; the line lists what has a family."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(config)
    assert said in refused(*learn_command(tmp_path / "o", "--model", str(folder)))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["show", "report"])
def test_no_run_there(name: str, tmp_path: Path) -> None:
    """Looking at a run that is not there is refused."""
    assert "no run" in refused(name, str(tmp_path / "nothing"))


def test_no_memory_there(tmp_path: Path) -> None:
    """Asking a memory that is not there is refused."""
    assert "no such folder" in refused("ask", "--memory", str(tmp_path / "nothing"), "hello")


def test_out_of_range_setting_is_refused(tmp_path: Path, learn_command: Command) -> None:
    """A number outside its range is refused by name."""
    assert "trials" in refused(*learn_command(tmp_path / "o", "--set", "trials=0"))


def test_no_history_is_refused(tmp_path: Path) -> None:
    """One must be given."""
    assert "got neither" in refused("learn", "--out", str(tmp_path / "o"))


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        (("--model", "./nowhere"), "no such folder"),
        (("--model", "a/b/c"), "no such folder"),
        (("--set", "run.storage=nonsense://x"), "nonsense"),
        (("--set", "storage=sqlite:////nonexistent/folder/study.db"), "no folder /nonexistent"),
        (("--set", "learning_rat=1"), "expected train.learning_rate"),
        (("--config", "nowhere.toml"), "nowhere.toml"),
        (("--preset", "phone"), "'phone' is not one of 'smoke', 'laptop', 'paper'"),
        (("--search", "alpha"), "'alpha' is not one of"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_heavy_is_loaded(
    extra: tuple[str, str], wanted: str, tmp_path: Path, learn_command: Command
) -> None:
    """A base, a storage, an option: with neither torch nor optuna there."""
    code = (
        "import sys; from lorecall.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end:\n"
        "    heavy = {'torch', 'transformers', 'optuna', 'botorch', 'jax'} & set(sys.modules)\n"
        "    sys.exit(f'{heavy}' if heavy else end.code)"
    )
    command = learn_command(tmp_path / "o", *extra)
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert wanted in done.stderr
    assert not (tmp_path / "o").exists()


def test_help_loads_nothing_heavy() -> None:
    """`--help` and the data commands start without torch, transformers or optuna."""
    code = (
        "import sys; from typer.testing import CliRunner; from lorecall.cli.app import app;"
        "r = CliRunner().invoke(app, ['--help']); assert r.exit_code == 0;"
        "r = CliRunner().invoke(app, ['learn', '--help']); assert r.exit_code == 0;"
        "r = CliRunner().invoke(app, ['options', '--json']); assert r.exit_code == 0;"
        "r = CliRunner().invoke(app, ['data', 'list', '--json']); assert r.exit_code == 0;"
        "heavy = {'torch', 'transformers', 'optuna', 'botorch', 'jax'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999"])
def test_seed_out_of_range_takes_no_folder(
    seed: str, tmp_path: Path, learn_command: Command
) -> None:
    """A setting is refused before the folder is claimed for it."""
    assert "seed" in refused(*learn_command(tmp_path / "o", "--seed", seed))
    assert not (tmp_path / "o").exists()


def test_impossible_folder_is_one_line(learn_command: Command) -> None:
    """A path that the system refuses is no traceback."""
    refused(*learn_command(Path("/proc/x")))
