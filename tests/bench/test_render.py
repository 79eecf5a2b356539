"""A bench made readable: every table, every warning, nothing that a text could break."""

import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from lorecall.bench.cells import SCORES_FILE, finished_cells
from lorecall.bench.grids import ablation_grid, gain_grid, scores_grid
from lorecall.bench.plan import BenchPlan
from lorecall.bench.render import MARKDOWN, PAGE, TABLES, bench_view, render_bench
from lorecall.bench.settings import BenchSettings
from lorecall.bench.statistics import tabulate
from lorecall.bench.swaps import SWAPS_FILE
from lorecall.core.jsonl import write_records
from lorecall.errors import RunError
from lorecall.judge.judge import StandInJudge
from lorecall.judge.pairs import read_pairs
from lorecall.judge.win_rate import judge_pairs
from lorecall.learning.folder import RUN_FILE
from lorecall.metrics.registry import Metric, metrics

Make = Callable[..., Path]
KEPT = sorted((Path(__file__).parents[2] / "experiments" / "tables").glob("*/"))


class Tags(HTMLParser):
    """Notes the tags of a page, and whether they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it; nothing on the page may be fetched."""
        self.seen.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the last one that is open."""
        assert self.open.pop() == tag


def test_every_table_is_there(finished_folder: Make) -> None:
    """Tables 3 and 5, comparisons, gains, the control, costs and cases, in both forms."""
    folder = finished_folder()
    view = render_bench(folder)
    titles = [grid.title for grid in view.datasets[0].grids]
    assert titles == [
        "Table 3: systems and metrics",
        "memory against each other system",
        "Relative gains of memory",
        "Table 5: what is searched",
        "Persona F1 and its control",
        "Costs, a user",
    ]
    markdown, page = ((folder / name).read_text() for name in (MARKDOWN, PAGE))
    for title in (*titles, "Cases", "Signatures"):
        assert title in markdown
        assert title in page
    scores = view.datasets[0].grids[0]
    assert [row[0] for row in scores.rows[: scores.n_own]] == [
        *("vanilla", "dictionary-faithful", "malp", "default-lora", "retrieval", "memory")
    ]
    assert all(len(row) == len(g.columns) for g in view.datasets[0].grids for row in g.rows)
    assert len(list((folder / "pairs").iterdir())) == 9


@pytest.mark.parametrize("table", KEPT, ids=lambda folder: folder.name)
def test_a_kept_table_is_made_again_of_its_scores(table: Path, tmp_path: Path) -> None:
    """Whoever has the plan and the scores, and no text, gets the same numbers."""
    for name in (RUN_FILE, SCORES_FILE, SWAPS_FILE):
        if (table / name).exists() or name != SWAPS_FILE:
            shutil.copy(table / name, tmp_path)
    render_bench(tmp_path, texts=False)
    numbers = [json.loads((folder / TABLES).read_text()) for folder in (table, tmp_path)]
    assert numbers[0] == numbers[1]
    assert not (tmp_path / "pairs").exists()
    with pytest.raises(RunError, match="must be readable"):
        render_bench(tmp_path)


def test_texts_mean_nothing(finished_folder: Make) -> None:
    """Scripts, marks and lines in answers are only read; addresses are masked."""
    folder = finished_folder()
    render_bench(folder)
    markdown, page = ((folder / name).read_text() for name in (MARKDOWN, PAGE))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "&lt;script&gt;" in page
    for text in (markdown, page):
        assert "<script>" not in text
        assert "a@b.co" not in text
        assert "e-mail" in text
    for line in markdown.splitlines():
        if line.startswith("| ") and "---" not in line:
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r" \||^\|", line))


def test_numbers_are_kept_too(finished_folder: Make) -> None:
    """`tables.json` holds what the page shows, unrounded."""
    folder = finished_folder()
    view = render_bench(folder)
    kept = json.loads((folder / TABLES).read_text())
    (dataset,) = kept["datasets"]
    row = next(row for row in dataset["rows"] if row["system"] == "memory")
    shown = next(row for row in view.datasets[0].grids[0].rows if row[0] == "memory")
    assert shown[1].startswith(f"{row['means']['loss']['value']:.3f} [")
    assert {c["against"] for c in dataset["comparisons"]} >= {"vanilla", "memory:layer"}
    assert kept["facts"]["Cells"] == "21 of 21"


def test_the_papers_numbers_are_marked(finished_folder: Make) -> None:
    """Where a dataset is of the paper's kind they stand below ours, as the paper's."""
    folder = finished_folder()
    plan = BenchPlan.from_json(
        {
            key: value
            for key, value in json.loads((folder / "run.json").read_text()).items()
            if key in ("sources", "systems", "seeds", "settings")
        }
    )
    (tables,) = tabulate(plan, finished_cells(folder))
    assert scores_grid(tables).n_own == len(scores_grid(tables).rows)
    tables = replace(tables, dataset="chitchat")
    scores, gains, ablation = scores_grid(tables), gain_grid(tables), ablation_grid(tables)
    assert ("paper: memory, LLaMA2-7B on Reddit", "-", "18.63", "16.81", "0.76") in scores.rows
    assert all(row[0].startswith("paper") for row in scores.rows[scores.n_own :])
    assert gains.rows[-1][2:] == ("+25.1 %", "+27.0 %", "+42.6 %")
    assert ablation is not None
    assert [(row[0], row[-1]) for row in ablation.rows] == [
        ("Layer", "0.597"),
        ("Num+Size+Layer", "0.864"),
    ]


def test_win_rates_are_shown_when_there_are_labels(finished_folder: Make, tmp_path: Path) -> None:
    """Table 4, from a judge's labels of the pairs that the bench wrote."""
    folder = finished_folder()
    assert not any("Table 4" in g.title for g in render_bench(folder).datasets[0].grids)
    labels = tmp_path / "labels.jsonl"
    (pairs,) = (folder / "pairs").glob("*--memory--vanilla.jsonl")
    write_records(labels, judge_pairs(StandInJudge(), read_pairs(pairs)))
    view = render_bench(folder, judged=[labels])
    (grid,) = (g for g in view.datasets[0].grids if "Table 4" in g.title)
    assert grid.rows[0][:2] == ("memory", "vanilla")
    assert "StandInJudge" in grid.rows[0][4]
    assert "Table 4" in (folder / PAGE).read_text()


def test_a_bench_can_be_read_before_its_end(finished_folder: Make) -> None:
    """It says how much is missing, and leaves out whom and what is not finished."""
    folder = finished_folder()
    path = folder / SCORES_FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines[:15] if '"malp"' not in line))
    view = render_bench(folder)
    assert any("13 of 21 cells" in warning for warning in view.warnings)
    assert any("no cell of malp" in warning for warning in view.warnings)
    assert view.datasets[0].lead.startswith("2 users of 3")
    path.write_text("")
    assert render_bench(folder).datasets == ()
    assert "No user has every system finished yet." in (folder / PAGE).read_text()


def test_lines_of_before_name_no_machine(finished_folder: Make) -> None:
    """Nothing is made up; lines that name one are heeded, each machine once."""
    folder = finished_folder()
    assert "Machine" not in render_bench(folder).facts
    path = folder / SCORES_FILE
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row | {"machine": f"CPU {i % 2}"} for i, row in enumerate(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert render_bench(folder).facts["Machine"] == "CPU 0; CPU 1"


def test_smoke_says_that_it_says_nothing(finished_folder: Make, settings: BenchSettings) -> None:
    """The other presets do not."""
    folder = finished_folder(settings=replace(settings, preset="laptop"))
    assert render_bench(folder).warnings == ()
    identity = json.loads((folder / "run.json").read_text())
    identity["settings"]["preset"] = "smoke"
    (folder / "run.json").write_text(json.dumps(identity))
    assert "Nothing here says how good" in render_bench(folder).warnings[0]


def test_what_is_no_bench_is_refused(tmp_path: Path) -> None:
    """An empty folder, and the folder of another run."""
    with pytest.raises(RunError, match=r"run\.json"):
        render_bench(tmp_path)
    (tmp_path / "run.json").write_text('{"user": "ann"}')
    with pytest.raises(RunError, match="bench"):
        render_bench(tmp_path)


def test_a_further_metric_is_in_every_table(
    finished_folder: Make, made_up_metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown, compared and signed beside the others; Persona F1 keeps its own control."""
    folder = finished_folder()
    before = {grid.title: grid for grid in render_bench(folder).datasets[0].grids}
    path = folder / SCORES_FILE
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["scores"]["words"] = [7.0 + len(row["cell"]["system"])] * len(row["sample_ids"])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setitem(metrics(), made_up_metric.key, made_up_metric)
    view = render_bench(folder)
    after = {grid.title: grid for grid in view.datasets[0].grids}
    for title in ("Table 3: systems and metrics", "Table 5: what is searched"):
        assert "Words ↓" in after[title].columns
        assert len(after[title].columns) == len(before[title].columns) + 1
    assert after["Table 3: systems and metrics"].rows[0][-1] == "14.0 [14.0, 14.0]"
    assert "Words in words" in after["Table 3: systems and metrics"].note
    assert after["memory against each other system"].rows[0][-1].startswith("-1.0 [-1.0, -1.0]")
    assert after["Persona F1 and its control"] == before["Persona F1 and its control"]
    assert view.datasets[0].signature["words"].startswith("words|by spaces|n=")
    assert '"words"' in (folder / TABLES).read_text()


def test_a_metric_that_old_cells_lack_is_left_out(
    finished_folder: Make, made_up_metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables are of what every finished cell has."""
    folder = finished_folder()
    before = render_bench(folder)
    monkeypatch.setitem(metrics(), made_up_metric.key, made_up_metric)
    assert render_bench(folder) == before


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_score_is_whole_on_any_terminal(finished_folder: Make, width: int) -> None:
    """A table where it fits, rows one under another where it does not."""
    view = render_bench(finished_folder())
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for part in bench_view(view):
        console.print(part)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, shown.splitlines())) <= width
    for row in view.datasets[0].grids[0].rows:
        for number in re.findall(r"\d[\d.]*", " ".join(row[1:])):
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", shown)


def test_a_case_shows_what_was_said_before(finished_folder: Make) -> None:
    """On the page and in Markdown: the answers depend on it; an address in it is masked."""
    folder = finished_folder()
    for file in (folder / "people").iterdir():
        kept = json.loads(file.read_text())
        for sample in kept["tested"]:
            sample["earlier"] = [{"by_author": True, "text": "<b>call me</b> at a@example.org"}]
        file.write_text(json.dumps(kept))
    render_bench(folder)
    page = (folder / PAGE).read_text()
    assert "replied earlier" in page
    assert "&lt;b&gt;call me&lt;/b&gt; at [e-mail]" in page
    assert "- replied earlier: " in (folder / MARKDOWN).read_text()
