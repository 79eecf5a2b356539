"""The benchmark of a trial runs on a tiny model, and its variants compute the same."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"
VARIANTS = ("ours", "peft + Trainer", "peft fp32")
LIKE_LENGTH = "3 layers x rank 16, batches of like length"
TRAINING = (
    "3 layers x rank 16",
    LIKE_LENGTH,
    "12 modules of rank 32 on 3 layers",
    "first active layer 2 of 3, rank 16",
)
EVALUATION = "one evaluation (loss + ROUGE-L, 4 samples)"
TINY = ("--model", "tiny", "--dtype", "float32", "--evaluated", "4", "--max-new-tokens", "8")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the benchmarks, which are no package."""
    monkeypatch.syspath_prepend(FOLDER)

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return module


@pytest.mark.real_data
def test_every_case_has_its_rows_and_the_variants_agree(load: Any, tmp_path: Path) -> None:
    """In fp32 to 1e-5, and token for token."""
    once = ("--repeats", "1", "--warmups", "0", "--no-memory", "--out", str(tmp_path))
    load("trial").main([*TINY, *once])
    (file,) = tmp_path.glob("trial-cpu-*-tiny.json")
    result = json.loads(file.read_text())
    assert set(result) == {"machine", "settings", "rows"}
    assert {"cpu", "cores", "flags", "packages"} <= set(result["machine"])
    rows = {(row["case"], row["variant"], row["metric"]): row for row in result["rows"]}
    wanted = {(c, v, m) for c in TRAINING for v in VARIANTS for m in ("samples_per_s", "mfu")}
    wanted -= {(LIKE_LENGTH, "peft fp32", metric) for metric in ("samples_per_s", "mfu")}
    wanted |= {(EVALUATION, variant, "evaluate_s") for variant in VARIANTS}
    assert wanted <= set(rows)
    for key in wanted:
        row = rows[key]
        assert 0 < row["min"] <= row["median"] <= row["max"]
        if row["variant"] == "ours":
            assert row["equivalence"] is None
            continue
        assert row["equivalence"]["loss"] < 1e-5
        if row["case"] == EVALUATION:
            assert row["equivalence"]["tokens_same"] == 1
        else:
            assert row["equivalence"]["gradient_norm"] < 1e-5
    left_out = rows["all cases", "peft bf16", ""]
    assert left_out["median"] is None
    assert left_out["note"].startswith("not measured: ")


@pytest.mark.real_data
def test_memory_is_measured_in_a_process_of_its_own() -> None:
    """The last line is JSON; a peak is no less than what was there before."""
    done = subprocess.run(
        [sys.executable, FOLDER / "trial.py", *TINY, "--only-memory", "ours"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["before_bytes"] < found["loaded_bytes"] <= found["train_peak_bytes"]
    assert found["before_bytes"] < found["evaluate_peak_bytes"]


def test_a_ratio_says_how_many_times_better(load: Any) -> None:
    """More samples a second are better, and so are fewer seconds."""
    report = load("report")

    def row(metric: str, *values: float) -> Any:
        return report.Row.of("a case", "a variant", metric, values=values)

    assert report.ratio(row("samples_per_s", 3, 6, 9), row("samples_per_s", 2)) == "3.00x"
    assert report.ratio(row("evaluate_s", 2), row("evaluate_s", 5)) == "2.50x"
    assert report.ratio(row("evaluate_s", 2), row("evaluate_s")) == "-"
    assert report.ratio(row("evaluate_s", 2), None) == "-"


def test_nominal_work_is_counted_by_hand(load: Any) -> None:
    """Two operations a weight and token forward; gradients only where they are needed."""
    work = load("trial_work")
    base = work.load_base("tiny", device="cpu", dtype="float32")
    config = work.InjectionConfig(layers=(1, 2), n_loras=2, rank=4)
    batch = [work.Encoded(prompt=(1, 2, 3), response=(4, 5))]
    attention = 32 * 32 * 2 + 32 * 16 * 2
    layer = attention + 3 * 32 * 64
    pairs = 2 * 2 * 4 * (32 + 64)
    head = len(base.tokenizer) * 32
    by_hand = 2 * 5 * (3 * layer + 1 * layer + 3 * pairs) + 2 * 2 * 2 * head
    assert work.step_flops(base, config, batch) == by_hand
    assert work.cases(30)[1].config.layers == (0, 4, 8, 12, 17, 21, 25, 29)
    assert work.cases(30)[2].config.layers[0] == 20


def test_the_heaviest_batch_is_the_one_of_the_longest_sample(load: Any) -> None:
    """Also where it is not full."""
    work = load("trial_work")
    encoded = tuple(work.Encoded(prompt=(1,) * n, response=(2,)) for n in (3, 1, 2, 4, 9))
    references = tuple("abcde")
    task = work.Task(encoded=encoded, references=references, format=None, max_new_tokens=2)
    assert work.heaviest_batch(task, 2).references == ("e",)
    assert work.heaviest_batch(task, 3).references == ("d", "e")
    assert work.heaviest_batch(task, sys.maxsize) == task


def test_losses_are_means_over_each_samples_labels(load: Any) -> None:
    """Samples of one and two labels."""
    variants = load("peft_variants")
    logits = torch.zeros(2, 4, 8)
    logits[1, 1, 3] = 100.0  # certain of the first label, indifferent to the second
    labels = torch.tensor([[-100, 5, -100, -100], [-100, -100, 3, 6]])
    even = torch.tensor(8.0).log()
    wanted = torch.stack([even, even / 2])
    torch.testing.assert_close(variants.mean_losses(logits, labels), wanted)


def test_a_model_that_is_not_there_ends_with_one_line() -> None:
    """And exit code 2, though a process of its own finds it."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / "trial.py"), "--model", "nope"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "error: the base must be there" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [(("--device", "cuda:9"), "invalid choice"), (("--budget", "-3"), "--budget must be above 0")],
)
def test_bad_options_end_with_one_line(
    load: Any, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], line: str
) -> None:
    """And exit code 2."""
    with pytest.raises(SystemExit) as ended:
        load("trial").main(options)
    assert ended.value.code == 2
    assert line in capsys.readouterr().err.splitlines()[-1]
