"""Answers of a forced length, a batch at a time: tokens a second with a memory and without.

Nothing stops an answer before its length, so that every run does the same work; the weights may be
random (`--model llama-7b-shape`), and so are the prompts.

    python benchmarks/decoding.py --device cuda --model llama-7b-shape
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from trial_bench import progress
from trial_work import SHAPES, filled, load_base

from lorecall import InjectionConfig
from lorecall.lm import Injection, LanguageModel, decode, set_threads
from report import Row, machine, result_name, write_result

VARIANTS = ("base", "memory")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the JSON."""
    options = parse(arguments)
    set_threads()
    base = load_base(options.model, device=options.device, dtype="auto")
    ends = perf_counter() + options.budget
    rows: list[Row] = []
    for n_at_once in options.batches:
        case = f"{n_at_once} answers of {options.tokens} tokens to {options.prompt_tokens}"
        for variant in VARIANTS:
            values = [
                rate(base, variant, n_at_once, options)
                for _ in range(1 + options.repeats)  # the first one is not counted
                if perf_counter() < ends
            ]
            note = "" if len(values) > 1 else "not measured: no time left"
            rows.append(Row.of(case, variant, "tokens_per_s", values=values[1:], note=note))
            progress(f"{case}, {variant}: {note or f'{max(values[1:]):,.0f} tokens/s'}")
    device = base.device
    shown = base.name if options.model in SHAPES else Path(options.model).name
    path = options.out / result_name("decoding", device, model=shown)
    settings = vars(options) | {"dtype": str(base.dtype), "base": base.name}
    del settings["out"]
    write_result(path, machine=machine(device), settings=settings, rows=rows)
    progress(f"written to {path}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Answers of a forced length.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", default="tiny", help=f"a name, tiny, or {', '.join(SHAPES)}")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt-tokens", type=int, default=123)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=float, default=120, help="seconds to begin repeats in")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args(arguments)
    if min(*options.batches, options.tokens, options.prompt_tokens, options.repeats) < 1:
        parser.error("batches, tokens and repeats must be 1 or more")
    return options


def rate(base: LanguageModel, variant: str, n_at_once: int, options: argparse.Namespace) -> float:
    """Return the tokens a second of one batch of answers."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(3, 200, (n_at_once, options.prompt_tokens), generator=generator)
    injection = memory_of(base) if variant == "memory" else None
    started = perf_counter()
    answers = decode(
        base,
        drawn.tolist(),
        max_new_tokens=options.tokens,
        stop_ids=(),  # nothing ends an answer
        injection=injection,
    )
    if base.device.type == "cuda":
        torch.cuda.synchronize(base.device)
    seconds = perf_counter() - started
    n_tokens = sum(map(len, answers))
    assert n_tokens == n_at_once * options.tokens, "an answer stopped before its length"
    return n_tokens / seconds


def memory_of(base: LanguageModel) -> Injection:
    """Return a memory as `learn` makes them: rank 1 on every layer, its pairs drawn."""
    every = tuple(range(base.n_layers))
    injection = Injection(base, InjectionConfig(layers=every, n_loras=len(every), rank=1))
    injection.load(filled(injection))
    return injection


if __name__ == "__main__":
    main()
