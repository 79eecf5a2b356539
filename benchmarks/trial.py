"""A trial's step and evaluation against what a user of peft would write.

One process, one model, the same batches in the same order, the variants in turn:

    ours             the fast engine, in the device's own number format
    peft + Trainer   LoRA by peft, trained by transformers' Trainer at its defaults, in fp32
    peft bf16        the same in bf16, in a loop written by hand (in fp32 where a CPU has no bf16)

    make bench-trial
    python benchmarks/trial.py --device cuda --model llama-7b-shape

Peak memory alone is taken in processes of their own, before the others: what several variants
hold at once says nothing of one.
"""

import argparse
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from rich.console import Console
from transformers.utils import logging as transformers_logging
from trial_bench import OUT_OF_MEMORY, Bench, Repeats, cpu_roofline, gpu_roofline, progress
from trial_memory import in_fresh_process, measure_memory
from trial_ours import Ours
from trial_work import (
    BATCH_SIZE,
    SHAPE_TOKENS,
    SHAPE_VOCABULARY,
    SHAPES,
    USER,
    Variant,
    Work,
    cases,
    load_base,
    load_work,
)

from lorecall.lm import LanguageModel, choose_compute, set_threads
from lorecall.settings import DEFAULT_BASE
from report import Row, command, comparison, machine, result_name, write_result

OURS, TRAINER, LOOP_BF16, LOOP_FP32 = "ours", "peft + Trainer", "peft bf16", "peft fp32"
NO_BF16 = "not measured: this CPU has no bf16 instructions"
NO_TIME = "not measured: left out for time; run without --budget"
ASKED_FP32 = "not measured: fp32 was asked for"
MEMORY_CASE = "peak memory of {}, whole process"
SHOWN = ("samples_per_s", "evaluate_s", "train_peak_bytes", "evaluate_peak_bytes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and write the JSON."""
    options = parse(arguments)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing")  # about its own code
    set_threads()
    if options.only_memory:
        found = measure_memory(
            lambda: load_variant(options, options.only_memory), cuda=options.device == "cuda"
        )
        print(json.dumps(found))
        return
    names = variant_names(options)
    memory = [] if options.no_memory else memory_rows(options, names)
    bench = measure(options, names)
    rows = [*bench.rows, *memory]
    rows += [
        Row.of("all cases", name, "", values=[], note=note) for name, note in bench.dropped.items()
    ]
    if LOOP_BF16 not in names:
        native = choose_compute(options.device).dtype == torch.bfloat16
        note = ASKED_FP32 if native else NO_BF16
        rows.append(Row.of("all cases", LOOP_BF16, "", values=[], note=note))
        if LOOP_FP32 not in names:
            rows.append(Row.of("all cases", LOOP_FP32, "", values=[], note=NO_TIME))
    device = bench.base.device
    shown = "" if options.model == DEFAULT_BASE else Path(options.model).name
    path = options.out / result_name("trial", device, model=shown)
    settings = settings_of(options, bench)
    write_result(path, machine=machine(device), settings=settings, rows=rows)
    table = comparison(
        rows,
        reference=OURS,
        against=[name for name in names if name != OURS],
        title=f"{bench.base.name} on {device.type}: median (least to most)",
        metrics=SHOWN,
    )
    Console(width=None if Console().is_terminal else 180).print(table)
    progress(f"written to {path}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A trial against peft, with and without Trainer.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument(
        "--model", default=DEFAULT_BASE, help=f"a name or folder, tiny, or {', '.join(SHAPES)}"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--warmups", type=int, default=2)
    parser.add_argument("--evaluate-repeats", type=int, default=3)
    parser.add_argument("--evaluate-warmups", type=int, default=1)
    parser.add_argument("--evaluated", type=int, default=32, help="samples of an evaluation")
    parser.add_argument("--max-new-tokens", type=int, default=32, help="longest answer")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument(
        "--budget",
        type=float,
        help="seconds to stay within: fewer evaluations, no fp32 loop, no batches of like length",
    )
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    parser.add_argument("--only-memory", metavar="VARIANT", help="measure one, print JSON")
    options = parser.parse_args(arguments)
    if min(options.repeats, options.evaluate_repeats, options.evaluated) < 1:
        parser.error("there must be a repeat, and a sample to evaluate")
    if options.budget is not None and options.budget <= 0:
        parser.error("--budget must be above 0 seconds")
    return options


def variant_names(options: argparse.Namespace) -> list[str]:
    """Name the variants that this device can run in reasonable time."""
    native = choose_compute(options.device, options.dtype).dtype == torch.bfloat16
    if native:
        return [OURS, TRAINER, LOOP_BF16]
    return [OURS, TRAINER] if options.budget is not None else [OURS, TRAINER, LOOP_FP32]


def make_variant(base: LanguageModel, name: str) -> Variant:
    """Make a variant on a base."""
    if name == OURS:
        return Ours(base)
    from peft_variants import PeftLoop, PeftTrainer  # noqa: PLC0415 - ours does without peft

    if name == TRAINER:
        return PeftTrainer(base)
    return PeftLoop(base, torch.bfloat16 if name == LOOP_BF16 else torch.float32)


def load_variant(options: argparse.Namespace, name: str) -> tuple[Variant, Work, int]:
    """Load one variant alone, from weights in its own number format."""
    dtypes = {OURS: options.dtype, LOOP_BF16: "bfloat16"}
    base = load_base(options.model, device=options.device, dtype=dtypes.get(name, "float32"))
    return make_variant(base, name), work_of(options, base), base.n_layers


def work_of(options: argparse.Namespace, base: LanguageModel) -> Work:
    """Load the data of the cases."""
    return load_work(
        base,
        n_evaluated=options.evaluated,
        max_new_tokens=options.max_new_tokens,
        equal_lengths=options.model in SHAPES,
    )


def memory_rows(options: argparse.Namespace, names: Sequence[str]) -> list[Row]:
    """Measure the peak memory of each variant in a process of its own."""
    passed = ["--device", options.device, "--dtype", options.dtype, "--model", options.model]
    passed += ["--max-new-tokens", str(options.max_new_tokens)]
    passed += ["--evaluated", str(options.evaluated)]
    rows: list[Row] = []
    for name in names:
        found = in_fresh_process(Path(__file__), name, passed)
        note = "" if found else OUT_OF_MEMORY
        progress(f"memory of {name}: {found or note}")
        for stage, title in (("train", "a step"), ("evaluate", "an evaluation")):
            figures: dict[str, list[float]] = {f"{stage}_peak_bytes": []}
            if found:
                peak = found[f"{stage}_peak_bytes"]
                figures[f"{stage}_peak_bytes"] = [peak]
                figures[f"{stage}_increase_bytes"] = [peak - found["loaded_bytes"]]
            rows += [
                Row.of(MEMORY_CASE.format(title), name, metric, values=values, note=note)
                for metric, values in figures.items()
            ]
    return rows


def measure(options: argparse.Namespace, names: Sequence[str]) -> Bench:
    """Time every case in this process."""
    base = load_base(options.model, device=options.device, dtype=options.dtype)
    variants: list[Variant] = []
    dropped: dict[str, str] = {}
    for name in names:
        try:
            variants.append(make_variant(base, name))
        except torch.OutOfMemoryError:
            dropped[name] = OUT_OF_MEMORY
    bench = Bench(
        base=base,
        work=work_of(options, base),
        variants=variants,
        repeats=Repeats(
            warmups=options.warmups,
            steps=options.repeats,
            evaluate_warmups=min(options.warmups, options.evaluate_warmups),
            evaluations=min(options.repeats, options.evaluate_repeats),
            budget_s=options.budget,
        ),
        rooflines=rooflines_of(variants, base),
        dropped=dropped,
    )
    progress(f"{base.name} is loaded")
    first, *others = cases(base.n_layers)
    trained = bench.training(first)
    for case in others:
        bench.training(case)
    bench.evaluation(first, trained)  # with pairs that were trained, if briefly
    return bench


def rooflines_of(variants: Sequence[Variant], base: LanguageModel) -> dict[str, float | None]:
    """Return what the device could do: measured on a CPU, a GPU's bf16 figure for every variant."""
    if base.device.type == "cuda":
        known = gpu_roofline(torch.cuda.get_device_name(base.device))
        return dict.fromkeys((variant.name for variant in variants), known)
    measured = {dtype: cpu_roofline(dtype) for dtype in {variant.dtype for variant in variants}}
    return {variant.name: measured[variant.dtype] for variant in variants}


def settings_of(options: argparse.Namespace, bench: Bench) -> dict[str, object]:
    """Write down everything that the figures depend on."""
    task = bench.work.task
    shape = options.model in SHAPES
    return {
        "model": bench.base.name,
        "weights": f"random; vocabulary {SHAPE_VOCABULARY}" if shape else "as published",
        "device": options.device,
        "dtypes": {v.name: str(v.dtype).removeprefix("torch.") for v in bench.variants},
        "data": f"chitchat, user {USER}, training part; evaluation: valid and test",
        "sample_tokens": SHAPE_TOKENS if shape else "as they are",
        "batch_size": BATCH_SIZE,
        "repeats": asdict(bench.repeats),
        "batches_per_repeat": 1,
        "max_new_tokens": task.max_new_tokens,
        "evaluated_samples": len(task.encoded),
        "cases": {case.title: asdict(case.config) for case in cases(bench.base.n_layers)},
        "roofline_flops": bench.rooflines,
        "frozen_store": "warm in every case, as from the second epoch of a search's first trial",
        "attention": "sdpa in the peft variants, transformers' default",
        "peft_modules": "k modules on a layer are k active adapters, in the weights' own format",
        "step": "forward, backward, clipping, AdamW, schedule; ours and the loop collate, too",
        "trainer": "defaults; timed from on_step_begin to on_step_end, collation left out",
        "order": "batches at random, the same for all; another variant first in each repeat",
        "warm_up": "batches of the shortest samples; evaluation: its first 4 samples",
        "evaluation": "pairs of the first case after its timed steps; ROUGE-L included",
        "equivalence": (
            "largest relative difference from ours, one loss definition for all, on the two "
            "batches of the shortest samples, B filled at random; gradient_norm over all pairs; "
            "evaluation: loss of its first 4 samples, tokens_same: share of identical answers"
        ),
        "mfu": (
            "nominal operations of real tokens (trial_work.step_flops) over the roofline; above 1 "
            "where what is nominal need not be computed: common starts, frozen layers"
        ),
        "peak_memory": (
            "a process each: two steps of the first case, then one evaluation with answers of two "
            "tokens; increase: from what was loaded, pairs included"
        ),
    }


if __name__ == "__main__":
    command(main)
