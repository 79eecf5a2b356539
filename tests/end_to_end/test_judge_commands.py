"""`lorecall judge`: run, sheet and agree, one after the other, and what they refuse."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.core.jsonl import write_records
from lorecall.errors import LorecallError
from lorecall.judge.pairs import Pair

N = 24
STAND_IN = ("--judge", "stand-in")


def invoke(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "80"})


def refused(*arguments: object) -> str:
    """Run a command that must be refused; give what it says."""
    done = invoke(*arguments)
    assert isinstance(done.exception, LorecallError), done.output
    return str(done.exception)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Return pairs that word overlap judges well: truths repeat what the person wrote."""
    made = [
        Pair(
            id=f"p{i}",
            user="ada",
            query=f"fancy topic{i} tonight",
            truth=f"topic{i} hobby{i}",
            system_a="memory",
            system_b="vanilla",
            response_a=f"hobby{i}" if i % 4 else "nonsense",
            response_b="rubbish answer",
            user_content=(f"topic{i} means hobby{i}",),
        )
        for i in range(N)
    ]
    write_records(tmp_path / "pairs.jsonl", made)
    return tmp_path / "pairs.jsonl"


def fill_in(sheet: Path, labels: Path, *, prefer: str) -> Path:
    """Label a sheet's CSV as one who prefers a system, as a spreadsheet saves it."""
    key = {
        str(entry["pair"]): entry for entry in json.loads((sheet / "key.json").read_text())["pairs"]
    }
    with (sheet / "sheet.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        entry = key[row["pair"]]
        row["label"] = "1" if entry[f"system_{entry['first']}"] == prefer else "-1"
    with labels.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return labels


def test_from_pairs_to_agreement(pairs: Path, tmp_path: Path) -> None:
    """A judge wins 18 of 24 for the memory, people all: they agree in 18 of 24."""
    judge, sheet = tmp_path / "judge.jsonl", tmp_path / "sheet"
    found = json.loads(invoke("judge", "run", pairs, *STAND_IN, "--out", judge, "--json").stdout)
    (rate,) = found["win_rates"]
    assert (rate["wins"], rate["ties"], rate["n"]) == (18, 6, N)
    assert found["probe"]["outcome"] == "passed"
    assert "StandInJudge" in rate["headline"]
    assert "StandInJudge" in rate["signature"]
    lines = [json.loads(line) for line in judge.read_text().splitlines()]
    assert {line["probe"] for line in lines} == {"passed"}
    assert len(lines) == N

    made = json.loads(invoke("judge", "sheet", pairs, "--n", N, "--out", sheet, "--json").stdout)
    assert Path(made["key"]).is_file()
    ann = fill_in(sheet, sheet / "ann.csv", prefer="memory")
    bob = fill_in(sheet, sheet / "bob.csv", prefer="memory")
    agreed = json.loads(invoke("judge", "agree", ann, bob, "--judge", judge, "--json").stdout)
    assert [row["rater"] for row in agreed["against"]] == ["all raters", "ann", "bob"]
    assert agreed["against"][0]["accuracy"]["value"] == pytest.approx(18 / N)
    assert agreed["against"][0]["pearson"] is None  # people gave one label throughout
    assert agreed["raw"]["value"] == 1
    assert agreed["humans"][0]["wins"] == N


def test_what_a_person_reads(pairs: Path, tmp_path: Path) -> None:
    """The same as tables of 80 columns: the judge's name, its probe, both rates, notes."""
    judge, sheet = tmp_path / "judge.jsonl", tmp_path / "sheet"
    shown = invoke("judge", "run", pairs, *STAND_IN, "--out", judge).stdout
    for part in ("StandInJudge", "probe passed", "memory against vanilla", "75.0%", "flips"):
        assert part in shown
    assert "wrote" in shown
    shown = invoke("judge", "sheet", pairs, "--n", 8, "--out", sheet).stdout
    assert "keep from them" in shown
    ann = fill_in(sheet, sheet / "ann.csv", prefer="memory")
    bob = fill_in(sheet, sheet / "bob.csv", prefer="vanilla")
    shown = invoke("judge", "agree", ann, bob, "--judge", judge).stdout
    for part in ("Krippendorff's alpha", "0.0%", "Pearson", "accuracy", "passed its probe"):
        assert part in shown
    assert max(map(len, shown.splitlines())) <= 80
    shown = invoke("judge", "agree", ann).stdout
    assert "Krippendorff" not in shown
    assert "by the raters' labels" in shown


def test_a_judge_that_fails_its_probe_is_refused(pairs: Path, tmp_path: Path) -> None:
    """Nothing is written; told to go on, it says so everywhere."""
    out = tmp_path / "judge.jsonl"
    arguments = ("judge", "run", pairs, *STAND_IN, "--out", out, "--probe-n", 5)
    assert "probe FAILED" in refused(*arguments)
    assert not out.exists()
    answers = tmp_path / "judge.jsonl.answers"
    assert len(answers.read_text().splitlines()) == 10  # five samples, both orders
    shown = invoke(*arguments, "--despite-probe").stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == ["judge.jsonl", "pairs.jsonl"]
    assert "FAILED ITS PROBE" in " ".join(shown.split())
    assert all(json.loads(line)["probe"] == "FAILED" for line in out.read_text().splitlines())
    sheet = tmp_path / "sheet"
    invoke("judge", "sheet", pairs, "--n", 8, "--out", sheet)
    ann = fill_in(sheet, sheet / "ann.csv", prefer="memory")
    assert "FAILED ITS PROBE" in invoke("judge", "agree", ann, "--judge", out).stdout


def test_what_is_refused(pairs: Path, tmp_path: Path) -> None:
    """Before any work: an unknown kind, an endpoint without an address, too few pairs."""
    out = ("--out", tmp_path / "out")
    unknown = invoke("judge", "run", pairs, "--judge", "gpt", *out)
    assert unknown.exit_code == 2
    said = " ".join(unknown.output.replace("│", " ").split())
    assert "local" in said
    assert "endpoint" in said
    endpoint = ("judge", "run", pairs, "--judge", "endpoint", *out)
    assert "no --model" in refused(*endpoint, "--url", "http://127.0.0.1:9/v1")
    assert "no --url" in refused(*endpoint, "--model", "m")
    assert "from 1 to 24" in refused("judge", "sheet", pairs, *out)
    assert not (tmp_path / "out").exists()


def test_agree_needs_the_key_for_a_judge(pairs: Path, tmp_path: Path) -> None:
    """It is looked for beside the labels, and can be named."""
    sheet, judge = tmp_path / "sheet", tmp_path / "judge.jsonl"
    invoke("judge", "sheet", pairs, "--n", 8, "--out", sheet)
    invoke("judge", "run", pairs, *STAND_IN, "--out", judge)
    ann = fill_in(sheet, tmp_path / "ann.csv", prefer="memory")
    assert "the sheet's key, got none" in refused("judge", "agree", ann, "--judge", judge)
    named = invoke("judge", "agree", ann, "--judge", judge, "--key", sheet / "key.json", "--json")
    assert json.loads(named.stdout)["against"][0]["n"] == 8


def test_a_local_base_judges(pairs: Path, tmp_path: Path, model_folder: Path) -> None:
    """A tiny one says nothing that could be read: it fails, and told to go on, labels nothing."""
    out, few = tmp_path / "judge.jsonl", tmp_path / "few.jsonl"
    few.write_text("".join(pairs.read_text().splitlines(keepends=True)[:3]))
    arguments = ("judge", "run", few, "--judge", "local", "--model", model_folder)
    options = ("--device", "cpu", "--out", out, "--probe-n", 2)
    command = [sys.executable, "-m", "lorecall", *map(str, (*arguments, *options))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    progress, refusal = done.stderr.splitlines()
    assert progress == "1 of 5: probing the judge"
    assert refusal.startswith("error: a judge must pass its sanity probe")
    found = json.loads(invoke(*arguments, *options, "--despite-probe", "--json").stdout)
    assert found["win_rates"][0]["unparsable"] == 3
    assert {json.loads(line)["label"] for line in out.read_text().splitlines()} == {None}


def test_help_is_instant() -> None:
    """`judge --help` loads no model library."""
    code = "import sys; from lorecall.cli.app import app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "sheet" in invoke("judge", "--help").stdout
