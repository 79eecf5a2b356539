"""`lorecall data`: the catalogue, a file's users, and every broken line of a file."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lorecall.cli.app import app
from lorecall.data.catalog import DATASETS


def invoke(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})


def test_list_names_every_dataset() -> None:
    """As text and as JSON."""
    shown = invoke("data", "list").stdout
    listed = json.loads(invoke("data", "list", "--json").stdout)["datasets"]
    assert [entry["name"] for entry in listed] == list(DATASETS)
    assert all(name in shown for name in DATASETS)
    assert {"licence", "origin", "sha256", "n_users"} <= set(listed[0])


def test_show_of_a_file_lists_its_users(history_file: Path) -> None:
    """A JSONL file is shown as a dataset is, without the catalogue's numbers."""
    shown = json.loads(invoke("data", "show", str(history_file), "--json").stdout)
    assert shown["users"][0]["user"] == "ada"
    assert shown["users"][0]["n_samples"] == 32
    assert "ada" in invoke("data", "show", str(history_file)).stdout


@pytest.mark.real_data
def test_show_of_chitchat_has_the_papers_rows() -> None:
    """Table 1's rows, and as many users as asked for, their ids whole."""
    shown = invoke("data", "show", "chitchat", "--users", "2").stdout
    assert "Len(History)" in shown
    assert "31267496-e50f-4f91-a197-c5b1bfde803b" in shown
    assert shown.count("-4") >= 1


def test_check_of_a_good_file_passes(history_file: Path) -> None:
    """Exit code 0 and the counts."""
    checked = invoke("data", "check", str(history_file))
    assert checked.exit_code == 0
    assert "32 pairs, 1 user, 0 problems" in checked.stdout
    assert "1 of 1 user can be learnt" in checked.stdout
    assert "The memory will speak as the person" in checked.stdout


def test_check_counts_what_names_someone(tmp_path: Path) -> None:
    """By kind, each thing once, where it is asked for; a count is no problem."""
    said = ["call 555-010-4477", "555-010-4477 or @ann", "mail a@b.co or c@d.co", "no more"]
    rows = [{"user": "ann", "query": f"{i}?", "response": text} for i, text in enumerate(said)]
    file = tmp_path / "names.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    shown = " ".join(invoke("data", "check", str(file), "--pii").stdout.split())
    assert "names people outright: 2 e-mail, 1 phone, 1 handle" in shown
    value = json.loads(invoke("data", "check", str(file), "--pii", "--json").stdout)
    assert value["pii"] == {"phone": 1, "handle": 1, "e-mail": 2}
    assert "outright" not in invoke("data", "check", str(file)).stdout
    assert json.loads(invoke("data", "check", str(file), "--json").stdout)["pii"] is None


def test_a_reason_shows_nothing_of_a_person(tmp_path: Path) -> None:
    """What stands in a broken row is masked in the list and in the error."""
    row = {"user": "ann", "query": "q", "response": "r", "call 555-010-4477": 1}
    file = tmp_path / "wrong.jsonl"
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    checked = invoke("data", "check", str(file))
    assert checked.exit_code == 2
    assert "[phone]" in checked.stdout
    assert "4477" not in checked.stdout


def test_check_says_who_cannot_be_learnt(tmp_path: Path, history_file: Path) -> None:
    """A history that `learn` refuses is no clean bill: exit code 2, the rule and the next step."""
    lines = history_file.read_text(encoding="utf-8").splitlines()
    file = tmp_path / "short.jsonl"
    file.write_text("\n".join(lines[:19]), encoding="utf-8")
    checked = invoke("data", "check", str(file))
    assert checked.exit_code == 2
    text = " ".join(checked.stdout.split())
    assert "0 problems" in text
    assert "user ada: 19 samples in" in text
    assert "too short to learn" in text
    assert "nobody in it can be learnt: a user needs at least 20 usable samples in 3" in text
    value = json.loads(invoke("data", "check", str(file), "--json").stdout)
    assert (value["n_learnable"], value["users"][0]["learnable"]) == (0, False)


CHAT = "".join(
    f"[{day:02}/05/2024, 19:0{n}:00] {name}: {text} number {day}{n} [/b]\n"
    for day in range(1, 13)
    for n, (name, text) in enumerate(
        [("Ann [7]", "what about dinner"), ("Nora", "yes to the sea"), ("Ann [7]", "so be it")]
    )
)


def test_a_chat_export_is_taken_as_it_is(tmp_path: Path, model_folder: Path) -> None:
    """Checked, shown and learnt from, its format never named; the user's case does not matter."""
    file = tmp_path / "chat.txt"
    file.write_text(CHAT + CHAT.replace("/05/", "/06/").replace("number", "in June"))
    checked = invoke("data", "check", str(file))
    assert checked.exit_code == 0, checked.output
    assert "read as WhatsApp" in checked.stdout
    assert "2 of 2 users can be learnt" in checked.stdout
    assert "Ann [7]: 24 samples" in invoke("data", "check", str(file)).stdout
    assert "Nora" in invoke("data", "show", str(file)).stdout
    result = invoke(
        *("learn", "--history", str(file), "--user", "nora", "--device", "cpu", "--json"),
        *("--model", str(model_folder), "--out", str(tmp_path / "out")),
        *("--set", "trials=1", "--set", "initial=1", "--set", "samples=8", "--set", "max_epochs=1"),
    )
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (found["user"], found["dataset"]) == ("Nora", "whatsapp")


def test_check_says_what_cannot_be_ordered(tmp_path: Path) -> None:
    """Pairs without a time, where others have one."""
    file = tmp_path / "half.jsonl"
    rows = [{"user": "a [/b]", "query": f"q{n}", "response": "r"} for n in range(3)]
    rows[1:] = [row | {"time": 5} for row in rows[1:]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    checked = invoke("data", "check", str(file)).stdout
    assert "1 pair without a time: they stay between" in checked
    assert "user a [/b]: 3 samples" in checked
    assert "a [/b]" in invoke("data", "show", str(file)).stdout


def test_check_names_every_broken_line(tmp_path: Path) -> None:
    """Exit code 2; each broken line is named with its reason, in text and in JSON."""
    file = tmp_path / "broken.jsonl"
    file.write_text('{"user": "a", "query": "q", "response": "r"}\n{"user": 1}\nnot json\n')
    checked = invoke("data", "check", str(file))
    assert checked.exit_code == 2
    assert "line 2" in checked.stdout
    assert "line 3" in checked.stdout
    value = json.loads(invoke("data", "check", str(file), "--json").stdout)
    assert [problem["line"] for problem in value["problems"]] == [2, 3]


@pytest.fixture
def posts(tmp_path: Path) -> list[str]:
    """Return `--path` for two files of posts, one line of them broken, one answer given twice."""
    rows = (
        ["q one###r one is long###before\tmore", "broken", "q two###r two###before\tmore"],
        ["q three###r two###before\tmore", "q four###r four###else"],
    )
    options: list[str] = []
    for n, lines in enumerate(rows):
        file = tmp_path / f"posts{n}.txt"
        file.write_text("\n".join(lines), encoding="utf-8")
        options += ["--path", str(file)]
    return options


def test_show_of_files_has_the_papers_rows_and_the_drops(posts: list[str]) -> None:
    """Table 1 worked by hand: two users, three samples, five texts and two, the drops by reason."""
    shown = json.loads(invoke("data", "show", "reddit", *posts, "--json").stdout)
    assert (shown["# User"], shown["# Samples"], shown["# Len(History)"]) == (2, 3, 3.5)
    assert shown["Avg. Len(Content)"] == pytest.approx((4 + 2 + 2 + 1 + 1 + 2 + 1) / 7)
    assert shown["Avg. Len(Response)"] == pytest.approx((4 + 2 + 2) / 3)
    assert shown["dropped"] == {"not post###response###history": 1, "repeated response": 1}
    assert shown["n_problems"] == 1
    text = invoke("data", "show", "reddit", *posts).stdout
    for part in ("Len(History)", "3.5", "1 repeated response", "1 not post###response###history"):
        assert part in " ".join(text.split())


def test_check_of_files_names_every_broken_row(posts: list[str]) -> None:
    """Exit code 2, as for a JSONL file."""
    checked = invoke("data", "check", "reddit", *posts)
    assert "  1 dropped: repeated response\n" in checked.stdout
    assert checked.exit_code == 2
    assert "posts0.txt, line 2: 1 parts by ###" in checked.stdout
    assert json.loads(invoke("data", "check", "reddit", *posts, "--json").stdout)["n_replies"] == 4


def test_a_pool_is_learned_from(tmp_path: Path, model_folder: Path) -> None:
    """A dataset's files, every user as if they were one: the run says that it is pooled."""
    file = tmp_path / "posts.txt"
    rows = (f"what of {n}###it is {n} indeed###I like {n // 2}" for n in range(40))
    file.write_text("\n".join(rows), encoding="utf-8")
    result = invoke(
        *("learn", "--data", "reddit", "--history", str(file), "--user", "pooled"),
        *("--model", str(model_folder), "--device", "cpu", "--out", str(tmp_path / "out")),
        *("--set", "trials=1", "--set", "initial=1", "--set", "samples=8"),
        *("--set", "max_epochs=1", "--json"),
    )
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (found["user"], found["dataset"]) == ("pooled", "reddit")
    assert sum(found["split"].values()) == 40
