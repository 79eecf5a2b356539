"""Times the variants in turn, compares what they compute, and gathers the rows."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TypeVar

import torch
from torch import Tensor
from trial_ours import Ours
from trial_work import (
    Batch,
    Case,
    Task,
    Variant,
    Work,
    draw_batches,
    filled,
    short_batches,
    step_flops,
)

from lorecall.lm import LanguageModel
from report import Row

OUT_OF_MEMORY = "not measured: out of memory"
N_COMPARED = 2
N_FEW = 4
GPU_ROOFLINES = {"H100": 989e12, "H200": 989e12}  # bf16, dense: NVIDIA's data sheets
Equivalence = dict[str, float]
Found = TypeVar("Found")
_STARTED = perf_counter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """How often each thing is done.

    Args:
        warmups: Steps of each case that are not counted, on batches of the shortest samples.
        steps: Steps that are.
        evaluate_warmups: Evaluations that are not counted, of a few samples.
        evaluations: Evaluations that are, as far as the time allows, but at least one.
        budget_s: When to begin no further evaluation; None for no limit.
    """

    warmups: int
    steps: int
    evaluate_warmups: int
    evaluations: int
    budget_s: float | None = None


@dataclass(kw_only=True)
class Bench:
    """What is measured, and what was found so far.

    Args:
        base: The base.
        work: The data.
        variants: Ours first.
        repeats: How often.
        rooflines: Operations a second that each variant could reach, by its name.
    """

    base: LanguageModel
    work: Work
    variants: list[Variant]
    repeats: Repeats
    rooflines: dict[str, float | None]
    rows: list[Row] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> Ours:
        """The reference."""
        ours = self.variants[0]
        assert isinstance(ours, Ours)
        return ours

    def training(self, case: Case) -> dict[str, Tensor]:
        """Time the steps of one case, and give the trained pairs."""
        drawn = {"": draw_batches(self.work.train, self.repeats.steps)}
        if case.like_length and self.repeats.budget_s is None:
            like = draw_batches(self.work.train, self.repeats.steps, like_length=True)
            drawn[", batches of like length"] = like
        short = short_batches(self.work.train, N_COMPARED)
        self._put_on(case)
        self.ours.warm([x for batches in (short, *drawn.values()) for b in batches for x in b])
        start = self.ours.injection.tensors()
        equal = self._compare(filled(self.ours.injection), short)
        self.ours.load(start)
        warming = [short[i % len(short)] for i in range(self.repeats.warmups)]
        self._steps("warm-up", warming, len(self.variants))
        seconds = {
            kind: self._steps(case.title + kind, batches, 2 if kind else len(self.variants))
            for kind, batches in drawn.items()
        }
        trained = self.ours.injection.tensors()
        self._take_off()  # the work is counted on the bare base
        for kind, batches in drawn.items():
            for name, taken in seconds[kind].items():
                flops = [step_flops(self.base, case.config, batch) for batch in batches]
                figures = self._step_figures(name, batches, taken, flops)
                self._add(case.title + kind, name, figures, equal.get(name))
        return trained

    def evaluation(self, case: Case, tensors: dict[str, Tensor]) -> None:
        """Time one evaluation with the pairs of a case."""
        task = self.work.task
        few = replace(task, encoded=task.encoded[:N_FEW], references=task.references[:N_FEW])
        title = f"one evaluation (loss + ROUGE-L, {len(task.encoded)} samples)"
        self._put_on(case)
        losses: dict[str, list[float]] = {}
        for variant in list(self.variants):
            variant.load(tensors)
            read = self._attempt(variant, lambda v=variant: v.sample_losses(few.encoded))
            losses[variant.name] = read or []
        for i in range(self.repeats.evaluate_warmups):
            self._evaluate(title + ", warm-up", i, few)
        seconds: dict[str, list[float]] = {}
        answers: dict[str, list[list[int]]] = {}
        for i in range(self.repeats.evaluations):
            if seconds and self._is_late(sum(taken[-1] for taken in seconds.values())):
                break
            for name, (taken, found) in self._evaluate(title, i, task).items():
                seconds.setdefault(name, []).append(taken)
                answers[name] = found
        ours = self.ours.name
        for name, taken in seconds.items():
            equal = None
            if name != ours:
                pairs = list(zip(answers[name], answers[ours], strict=True))
                equal = {
                    "loss": max(map(_difference, losses[name], losses[ours])),
                    "tokens_same": sum(a == b for a, b in pairs) / len(pairs),
                }
            self._add(title, name, {"evaluate_s": taken}, equal)
        self._take_off()

    def _steps(
        self, title: str, batches: Sequence[Batch], n_variants: int
    ) -> dict[str, list[float]]:
        """Take a step on each batch with each variant in turn, all from the same pairs."""
        seconds: dict[str, list[float]] = {}
        for i, batch in enumerate(batches):
            tensors = self.ours.injection.tensors()
            for variant in self._in_turn(i, n_variants):
                if variant is not self.ours:
                    variant.load(tensors)
                taken = self._attempt(variant, lambda v=variant, b=batch: v.train(b))
                seconds.setdefault(variant.name, [])
                if taken is not None:
                    seconds[variant.name].append(taken)
            _say(title, i, {name: taken[-1] for name, taken in seconds.items() if taken})
        return {v.name: seconds[v.name] for v in self.variants if v.name in seconds}

    def _evaluate(self, title: str, i: int, task: Task) -> dict[str, tuple[float, list[list[int]]]]:
        """Evaluate once with each variant in turn."""
        found: dict[str, tuple[float, list[list[int]]]] = {}
        for variant in self._in_turn(i, len(self.variants)):
            result = self._attempt(variant, lambda v=variant: v.evaluate(task))
            if result is not None:
                found[variant.name] = result
        found = {v.name: found[v.name] for v in self.variants}
        _say(title, i, {name: result[0] for name, result in found.items()})
        return found

    def _is_late(self, wanted_s: float) -> bool:
        budget = self.repeats.budget_s
        late = budget is not None and perf_counter() - _STARTED + wanted_s > budget
        if late:
            progress(f"no further evaluation: {wanted_s:.0f} s more would pass the budget")
        return late

    def _in_turn(self, i: int, n: int) -> Sequence[Variant]:
        """Return the first n variants, another one first each time."""
        variants = self.variants[:n]
        first = i % len(variants)
        return [*variants[first:], *variants[:first]]

    def _put_on(self, case: Case) -> None:
        for variant in list(self.variants):
            self._attempt(variant, lambda v=variant: v.put_on(case.config))

    def _take_off(self) -> None:
        for variant in self.variants:
            variant.take_off()
        if self.base.device.type == "cuda":
            torch.cuda.empty_cache()

    def _attempt(self, variant: Variant, call: Callable[[], Found]) -> Found | None:
        """Do something with a variant; leave it out from here on when memory is not enough."""
        try:
            return call()
        except torch.OutOfMemoryError:
            if variant is self.ours:
                raise
        self.variants = [other for other in self.variants if other is not variant]
        self.dropped[variant.name] = OUT_OF_MEMORY
        progress(f"{variant.name}: {OUT_OF_MEMORY}")
        torch.cuda.empty_cache()
        return None

    def _compare(
        self, tensors: dict[str, Tensor], batches: Sequence[Batch]
    ) -> dict[str, Equivalence]:
        """Find the largest relative differences from ours in loss and gradient norm."""
        found: dict[str, Equivalence] = {}
        wanted: list[tuple[float, float]] = []
        for variant in list(self.variants):
            variant.load(tensors)
            got = self._attempt(variant, lambda v=variant: [v.loss_and_norm(b) for b in batches])
            wanted = wanted or got or []  # ours comes first
            if variant is not self.ours and got is not None:
                found[variant.name] = {
                    name: max(_difference(g[k], w[k]) for g, w in zip(got, wanted, strict=True))
                    for k, name in enumerate(("loss", "gradient_norm"))
                }
        return found

    def _step_figures(
        self, name: str, batches: Sequence[Batch], seconds: Sequence[float], flops: Sequence[float]
    ) -> dict[str, list[float]]:
        timed = list(zip(batches, seconds, strict=True))
        figures = {
            "samples_per_s": [len(batch) / s for batch, s in timed],
            "tokens_per_s": [sum(x.n_tokens for x in batch) / s for batch, s in timed],
            "step_s": list(seconds),
        }
        if (roofline := self.rooflines.get(name)) is not None:
            figures["mfu"] = [n / s / roofline for n, s in zip(flops, seconds, strict=True)]
        return figures

    def _add(
        self,
        title: str,
        name: str,
        figures: dict[str, list[float]],
        equal: Equivalence | None,
    ) -> None:
        self.rows += [
            Row.of(title, name, metric, values=values, equivalence=equal)
            for metric, values in figures.items()
        ]


def gpu_roofline(name: str) -> float | None:
    """Look up what a GPU multiplies in bf16, operations a second; None where it is not known."""
    return next((flops for part, flops in GPU_ROOFLINES.items() if part in name), None)


def cpu_roofline(dtype: torch.dtype, *, size: int = 2048, n: int = 4) -> float:
    """Multiply large matrices in a number format and give the best operations a second."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    best = float("inf")
    for _ in range(n):
        started = perf_counter()
        torch.mm(a, b)
        best = min(best, perf_counter() - started)
    return 2 * size**3 / best


def progress(line: str) -> None:
    """Print where it is, with the time since the start."""
    print(f"[{perf_counter() - _STARTED:4.0f} s] {line}", file=sys.stderr, flush=True)


def _say(title: str, i: int, seconds: dict[str, float]) -> None:
    last = ", ".join(f"{name} {taken:.2f} s" for name, taken in seconds.items())
    progress(f"{title}, {i + 1}: {last}")


def _difference(value: float, wanted: float) -> float:
    return abs(value - wanted) / abs(wanted)
