"""The benchmark of searches: problems are what they say, cells are kept and summed up."""

import importlib
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from lorecall.search.discrete import DiscreteSpace
from lorecall.search.front import hypervolume, pareto, to_maximise
from lorecall.search.space import InjectionSpace

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = ("additive", "interacting", "zdt1", "dtlz2", "bowls", "turned")
OPTUNAS = ("random", "tpe", "nsga2", "gpsampler")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the benchmarks, which are no package."""
    monkeypatch.syspath_prepend(FOLDER)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return module


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Write a table of 24 trials of a base of 4 layers, one of them vanilla and one twice."""
    space, rng = InjectionSpace(n_layers=4), np.random.default_rng(0)
    columns = DiscreteSpace(space.distributions())
    drawn = [columns.params(point) for point in columns.random(40, rng)]
    found = list({space.same_as(p): p for p in drawn if space.is_candidate(p)}.values())[:22]
    rows = [*found, found[0], {**found[0], "n_loras": 0}]
    trials = [
        {"params": row, "loss": float(3 - rng.random()), "rougeL": float(10 + rng.random())}
        for row in rows
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "tiny.json").write_text(json.dumps({"settings": {}, "trials": trials}))
    return folder


def problem_of(load: Any, name: str, data: Path = Path("no such folder")) -> Any:
    """Make a problem."""
    return load("search_problems").problems(data)[0][name]()


def halves(load: Any) -> Any:
    """Stand in for a surrogate: prefer points near the middle of every input."""

    def surrogate(*_: object) -> Any:
        return lambda candidates: -((candidates[:, 0] - 0.5) ** 2).sum(-1)

    return lambda problem, initial: load("search_methods").BySurrogate(
        problem, surrogate, initial=initial, seed=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_point_is_above_the_true_front(load: Any, name: str) -> None:
    """The front is one, and random points beside it add no volume."""
    problem = problem_of(load, name)
    space = DiscreteSpace(problem.distributions)
    points = space.random(300, np.random.default_rng(1))
    values = to_maximise([problem.truth(space.params(p)) for p in points], problem.directions)
    assert pareto(problem.front).all()
    assert len(problem.front) >= 7
    together = np.concatenate([problem.front, values])
    assert hypervolume(together, problem.reference) == pytest.approx(problem.best())
    assert 0 < hypervolume(values, problem.reference) < problem.best()


@pytest.mark.parametrize("name", ["additive", "interacting"])
def test_thetas_front_is_of_points_that_exist(load: Any, name: str) -> None:
    """Each of the front's values is found at a theta with just the layers that are held."""
    module = load("search_problems")
    problem, layers = problem_of(load, name), getattr(module, f"_{name.upper()}")
    space = InjectionSpace(n_layers=module.N_LAYERS)
    found: list[tuple[float, float]] = []
    for held in module._subsets(layers):
        on = {f"layer_{i:02d}": i in (held or {0}) for i in range(module.N_LAYERS)}
        for n in (max(1, len(held)), 16, 32):
            params = {**on, "n_loras": n, "rank": 32}
            assert sum(space.config(params).ranks().values()) in module._capacities(
                space, len(held)
            )
            found.append(problem.truth(params))
    values = to_maximise(found, problem.directions)
    at_front = (np.abs(values[:, None] - problem.front).max(-1) < 1e-9).any(1)
    assert at_front.any()


def test_few_inputs_matter_and_the_vanilla_model_has_a_value(load: Any) -> None:
    """A layer that does not matter changes nothing, one that does changes both objectives."""
    problem = problem_of(load, "additive")
    on = {**dict.fromkeys(problem.distributions, False), "n_loras": 32, "rank": 16}
    one = {**on, "layer_08": True}
    assert problem.truth(one) == problem.truth({**one, "layer_00": True, "layer_29": True})
    assert problem.truth(one)[0] < problem.truth({**on, "layer_00": True})[0]
    assert problem.truth(one)[1] < problem.truth({**on, "layer_00": True})[1]
    assert not problem.is_candidate(on)
    assert problem.truth(on) == problem.truth({**one, "n_loras": 0})


def test_noise_is_of_the_configuration_and_the_seed(load: Any) -> None:
    """Trying again finds the same; the same model by other parameters, too; another seed, not."""
    problem = problem_of(load, "interacting")
    params = {**dict.fromkeys(problem.distributions, False), "layer_02": True, "rank": 16}
    first = problem.observe({**params, "n_loras": 2}, 0)
    assert first == problem.observe({**params, "n_loras": 2}, 0)
    assert first == problem.observe({**params, "n_loras": 1, "rank": 32}, 0)
    assert first != problem.observe({**params, "n_loras": 2}, 1)
    assert first != problem.truth({**params, "n_loras": 2})


def test_a_table_has_each_model_once(load: Any, table: Path) -> None:
    """The vanilla row is left out; the values of a row are those of the file."""
    problem = problem_of(load, "table-tiny", table)
    assert len(problem.rows) == 22
    space = DiscreteSpace(problem.distributions)
    trials = json.loads((table / "tiny.json").read_text())["trials"]
    assert problem.truth(trials[5]["params"]) == (trials[5]["loss"], trials[5]["rougeL"])
    assert all(problem.is_candidate(space.params(row)) for row in problem.rows)
    assert load("search_problems").problems(table)[1] == []
    assert "holds no JSON" in load("search_problems").problems(table / "none")[1][0]


@pytest.mark.parametrize("name", OPTUNAS)
def test_optunas_samplers_search_a_table_to_its_end(load: Any, table: Path, name: str) -> None:
    """Every row is tried once, so all of the front is found; all begin with the same points."""
    cells, problem = load("search_cells"), problem_of(load, "table-tiny", table)
    cell = cells.run_cell(problem, name, seed=1, n_trials=22, n_initial=20)
    assert cell.hypervolume[-1] == pytest.approx(1, abs=1e-6)
    other = cells.run_cell(problem, "random", seed=1, n_trials=20, n_initial=20)
    assert cell.hypervolume[:20] == other.hypervolume
    assert list(cell.seconds) == sorted(cell.seconds)


def test_our_sampler_searches_a_table_to_its_end(load: Any, table: Path) -> None:
    """It suggests rows, so no other row has to stand for a suggestion."""
    problem = problem_of(load, "table-tiny", table)
    initial = load("search_cells").initial_points(problem, seed=1, n=21)
    method = load("search_methods").make_method("ours", problem, initial=initial, seed=1)
    space = DiscreteSpace(problem.distributions)
    tried: set[bytes] = set()
    for _ in range(22):
        point = method.suggest()
        tried.add(point.tobytes())
        method.tell(point, problem.observe(space.params(point), 1))
    assert tried == {row.tobytes() for row in problem.rows}
    assert {trial.state.name for trial in method._study.trials} == {"COMPLETE"}


def test_what_stands_for_a_suggestion_is_what_the_study_knows(load: Any, table: Path) -> None:
    """The suggestion is no trial with values; its row is, and keeps NSGA-II's generation."""
    methods, problem = load("search_methods"), problem_of(load, "table-tiny", table)
    method = methods.make_method("nsga2", problem, initial=problem.rows[:2], seed=0)
    for row in problem.rows[:2]:
        assert np.array_equal(method.suggest(), row)
        method.tell(row, (1.0, 1.0))
    method.suggest()
    method.tell(problem.rows[2], (2.0, 2.0))
    *_, asked, told = method._study.trials
    assert (asked.state.name, told.state.name) == ("FAIL", "COMPLETE")
    assert told.values == [2.0, 2.0]
    assert any("generation" in key for key in told.system_attrs)


def test_ordinals_are_integers_for_optunas_own_samplers(load: Any) -> None:
    """Booleans stay; the levels keep their numbers."""
    problem = problem_of(load, "additive")
    given = load("search_methods").ordered(problem)
    assert given["rank"] == optuna.distributions.IntDistribution(0, 4)
    assert given["layer_00"] == problem.distributions["layer_00"]
    sizes = [DiscreteSpace(kinds).sizes.tolist() for kinds in (given, problem.distributions)]
    assert sizes[0] == sizes[1]


def test_a_surrogate_is_maximised_over_valid_points_and_over_rows(load: Any, table: Path) -> None:
    """No suggestion is tried twice; in a table the best untried row comes next."""
    make = halves(load)
    for name, data in (("additive", Path("none")), ("table-tiny", table)):
        problem = problem_of(load, name, data)
        space = DiscreteSpace(problem.distributions)
        initial = load("search_cells").initial_points(problem, seed=0, n=3)
        method, seen = make(problem, initial), set()
        for _ in range(6):
            point = method.suggest()
            params = space.params(point)
            assert problem.is_candidate(params)
            seen.add(problem.same_as(params))
            method.tell(point, problem.observe(params, 0))
        assert len(seen) == 6
    left = [p for p in problem.rows if not (initial == p).all(1).any()]
    far = [((space.encode(p) - 0.5) ** 2).sum() for p in left]
    method = make(problem, initial)
    for point in initial:
        assert np.array_equal(method.suggest(), point)
        method.tell(point, (1.0, 1.0))
    assert ((space.encode(method.suggest()) - 0.5) ** 2).sum() == pytest.approx(min(far))


def test_the_plain_gp_prefers_what_is_better(load: Any) -> None:
    """Both objectives rise with the first input: its upper end scores above its lower."""
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.random((12, 2)))
    Y = torch.stack([X[:, 0], 2 * X[:, 0]], dim=1)
    surrogate = load("search_gps").PlainGp()
    for _ in range(2):  # from nothing, then from the last fit's parameters
        score = surrogate(X, Y, Y.min(0).values - 0.1, rng)
        ends = torch.tensor([[[1.2, 0.5]], [[0.1, 0.5]]], dtype=torch.float64)
        high, low = score(ends).tolist()
        assert high > low


def test_the_nearest_row_differs_in_the_fewest_inputs(load: Any) -> None:
    """Then by the codes; a row itself is nearest to itself."""
    space = DiscreteSpace(problem_of(load, "zdt1").distributions)
    point = np.zeros(30, dtype=np.int64)
    rows = np.zeros((4, 30), dtype=np.int64)
    rows[0, :2], rows[1, 3], rows[2, 4], rows[3, :5] = 1, 8, 2, 1
    nearest = load("search_cells").nearest
    assert nearest(space, point, rows) == 2
    assert nearest(space, rows[3], rows) == 3


def test_finished_cells_are_kept_and_torn_lines_are_passed_over(load: Any, tmp_path: Path) -> None:
    """After a kill in mid-line the next cell has a line of its own; the longest cell counts."""
    cells, path = load("search_cells"), tmp_path / "search.jsonl"
    cell = cell_of(load, "random", 0, (0.1, 0.2, 0.3))
    cells.append_cell(path, cell)
    with path.open("a") as file:
        file.write('{"problem": "addi')
    cells.append_cell(path, cell_of(load, "tpe", 0, (0.1, 0.2)))
    cells.append_cell(path, cell.first(2))
    found = cells.load_cells(path)
    assert found[cell.key] == cell
    assert {key[2] for key in found} == {"random", "tpe"}
    cells.forget(path, problems=["a problem"], methods=["random"])
    assert {key[2] for key in cells.load_cells(path)} == {"tpe"}


def test_the_headline_counts_trials_and_what_is_below_random(load: Any) -> None:
    """Ours has at trial 20 what TPE has at the end, and is below random at trials 41 to 45."""
    rows = load("search_rows")
    ours = np.r_[np.full(19, 0.2), np.full(41, 0.8)]
    random = np.r_[np.full(40, 0.1), np.full(5, 0.9), np.full(15, 0.5)]
    tpe = np.r_[np.full(50, 0.3), np.full(10, 0.7)]
    traces = {"ours": ours, "random": random, "tpe": tpe}
    bands = rows.bands_of(
        [
            cell_of(load, m, s, t + shift)
            for m, t in traces.items()
            for s, shift in enumerate((-0.1, 0, 0.1))
        ]
    )
    found = {(row.variant, row.metric): row for row in rows.headline(bands, "a problem")}
    assert found["ours", "trials_to_best_other"].median == 20
    assert found["ours", "trials_to_best_other_share"].median == pytest.approx(1 / 3)
    assert found["tpe", "trials_to_best_other"].median == 51
    assert found["ours", "trials_below_random_past_30"].median == 5
    assert "41" in found["ours", "trials_below_random_past_30"].note
    all_rows = {(row.variant, row.metric): row for row in rows.rows_of(bands)}
    at_end = all_rows["tpe", "hypervolume_at_60"]
    assert (at_end.min, at_end.median, at_end.max) == pytest.approx((0.6, 0.7, 0.8))
    assert all_rows["tpe", "hypervolume_at_60_q1"].median == pytest.approx(0.65)
    assert all_rows["tpe", "hypervolume_at_60"].equivalence["initial_hypervolume"] > 0
    worse = rows.bands_of([cell_of(load, "ours", 0, tpe), cell_of(load, "tpe", 0, ours)])
    note = rows.headline(worse, "a problem")[0]
    assert note.median is None
    assert note.note.startswith("not reached: 0.7000 after 60; the best other is tpe: 0.8000")


def test_ours_may_have_fewer_trials(load: Any) -> None:
    """The share is of the others' trials; random is compared with as far as both went."""
    rows = load("search_rows")
    cells = [
        cell_of(load, "ours", 0, np.r_[np.full(9, 0.2), np.full(31, 0.8)]),
        cell_of(load, "random", 0, np.r_[np.full(30, 0.1), np.full(50, 0.9)]),
        cell_of(load, "tpe", 0, np.full(80, 0.7)),
    ]
    found = {(r.variant, r.metric): r for r in rows.headline(rows.bands_of(cells), "a problem")}
    share = found["ours", "trials_to_best_other_share"]
    assert share.median is None
    assert share.note == (
        "not reached: 0.8000 after 40; the best other is random: 0.9000 after 80 trials"
    )
    assert found["ours", "trials_below_random_past_30"].median == 10
    without = {
        (r.variant, r.metric): r for r in rows.headline(rows.bands_of(cells[::2]), "a problem")
    }
    assert without["ours", "trials_to_best_other_share"].median == pytest.approx(10 / 80)


def test_a_band_on_the_clock_is_of_all_seeds(load: Any) -> None:
    """At each second a seed has what its finished trials have."""
    rows = load("search_rows")
    quick = cell_of(load, "tpe", 0, (0.2, 0.4, 0.6))
    slow = replace(quick, seed=1, seconds=(1.5, 2.5, 6.0))
    clock, quartiles = rows.bands_of([quick, slow])["a problem", "tpe"].against_seconds()
    assert clock[-1] == pytest.approx(3)
    assert clock[0] == pytest.approx(2.5)
    assert quartiles[1, -1] == pytest.approx((0.6 + 0.4) / 2)
    assert quartiles[1, 0] == pytest.approx(0.4)


def test_a_run_writes_table_json_and_plot_and_goes_on(
    load: Any, tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With initial points alone ours fits nothing; what is finished is not run again."""
    chosen = ["--problems", "table-tiny", "zdt1", "--methods", "ours", "random", "botorch"]
    sizes = ["--seeds=2", "--trials=7", "--ours-trials=6", "--initial=6", "--threads=1"]
    where = ["--data", str(table), "--out", str(tmp_path / "out")]
    before = torch.get_num_threads()
    try:
        load("search").main([*chosen, *sizes, *where])
        first = capsys.readouterr()
        load("search").main([*chosen, *sizes, *where])
        second = capsys.readouterr()
    finally:
        torch.set_num_threads(before)
    assert first.err.count(" in ") == 12
    assert second.err.count(" in ") == 0
    assert "table-tiny" in first.out
    (file,) = (tmp_path / "out").glob("search-cpu-*.json")
    result = json.loads(file.read_text())
    assert set(result) == {"machine", "settings", "rows"}
    assert result["settings"]["trials"] == {
        name: {"ours": 6, "random": 7, "botorch": 7} for name in ("table-tiny", "zdt1")
    }
    rows = {(row["case"], row["variant"], row["metric"]): row for row in result["rows"]}
    random = rows["zdt1", "random", "hypervolume_at_7"]
    assert 0 < random["min"] <= random["median"] <= random["max"] < 1
    assert random["equivalence"] == {"initial_hypervolume": 0}
    assert ("zdt1", "ours", "trials_to_best_other") in rows
    drawing = ET.fromstring(file.with_suffix(".svg").read_text())  # noqa: S314 - our own file
    lines = drawing.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2 * 2 * 3
    assert len({line.get("stroke-dasharray") for line in lines}) == 3


def test_an_unknown_problem_is_refused(load: Any, tmp_path: Path) -> None:
    """Before anything is run."""
    with pytest.raises(SystemExit, match="unknown problems"):
        load("search").main(["--problems", "zdt7", "--out", str(tmp_path)])


def cell_of(load: Any, method: str, seed: int, trace: Any) -> Any:
    """Make a cell of a trace, a second a trial."""
    return load("search_cells").Cell(
        problem="a problem",
        fingerprint="0",
        method=method,
        seed=seed,
        n_initial=2,
        hypervolume=tuple(float(share) for share in trace),
        seconds=tuple(float(i + 1) for i in range(len(trace))),
    )
