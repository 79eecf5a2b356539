"""Times the variants in turn, compares what they compute, and gathers the rows."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

import torch
from report import Row
from torch import Tensor
from trial_ours import Ours
from trial_work import Batch, Case, Variant, Work, draw_batches, filled, step_flops

from lorecall.lm.base import BaseModel

OUT_OF_MEMORY = "not measured: out of memory"
N_COMPARED = 2
GPU_ROOFLINES = {"H100": 989e12, "H200": 989e12}  # bf16, dense: NVIDIA's data sheets
Equivalence = dict[str, float]
Found = TypeVar("Found")
_STARTED = perf_counter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """How often each thing is done."""

    warmups: int
    repeats: int
    evaluate_warmups: int
    evaluate_repeats: int


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

    base: BaseModel
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

    def training(
        self,
        case: Case,
        start: dict[str, Tensor] | None = None,
        equal: dict[str, Equivalence] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Equivalence]]:
        """Time the steps of one case, and give the trained pairs and the equivalences.

        Args:
            case: Which.
            start: Pairs to begin with; those of a new candidate when None.
            equal: The equivalences, where they are known.
        """
        n_warmups = self.repeats.warmups
        n = n_warmups + self.repeats.repeats
        drawn = draw_batches(self.work.train, n, bucketed=case.bucketed)
        self._put_on(case)
        start = start or self.ours.injection.tensors()
        self.ours.warm([sample for batch in drawn for sample in batch])
        equal = equal or self._compare(filled(self.ours.injection), drawn)
        self.ours.load(start)
        seconds: dict[str, list[float]] = {variant.name: [] for variant in self.variants}
        for i, batch in enumerate(drawn):
            tensors = self.ours.injection.tensors()  # all start each step from the same pairs
            for variant in self._in_turn(i):
                if variant is not self.ours:
                    variant.load(tensors)
                taken = self._attempt(variant, lambda v=variant, b=batch: v.train(b))
                if taken is not None:
                    seconds[variant.name].append(taken)
            self._say(case.title, i, n, seconds)
        trained = self.ours.injection.tensors()
        self._take_off()  # step_flops wants the bare base
        for name, taken in seconds.items():
            self._add_steps(case, name, drawn[n_warmups:], taken[n_warmups:], equal.get(name))
        return trained, equal

    def evaluation(self, case: Case, tensors: dict[str, Tensor]) -> None:
        """Time one evaluation with the pairs of a case."""
        task = self.work.task
        title = f"one evaluation (loss + ROUGE-L, {len(task.encoded)} samples)"
        self._put_on(case)
        for variant in self.variants:
            variant.load(tensors)
        losses: dict[str, list[float]] = {}
        for variant in list(self.variants):
            read = self._attempt(variant, lambda v=variant: v.sample_losses(task.encoded))
            losses[variant.name] = read or []
        seconds: dict[str, list[float]] = {variant.name: [] for variant in self.variants}
        answers: dict[str, list[list[int]]] = {}
        n = self.repeats.evaluate_warmups + self.repeats.evaluate_repeats
        for i in range(n):
            for variant in self._in_turn(i):
                taken = self._attempt(variant, lambda v=variant: v.evaluate(task))
                if taken is not None:
                    seconds[variant.name].append(taken[0])
                    answers[variant.name] = taken[1]
            self._say(title, i, n, seconds)
        ours = self.ours.name
        for name, taken in seconds.items():
            equal = None
            if name != ours and name in answers:
                pairs = list(zip(answers[name], answers[ours], strict=True))
                equal = {
                    "loss": max(map(_difference, losses[name], losses[ours])),
                    "tokens_same": sum(a == b for a, b in pairs) / len(pairs),
                }
            measured = taken[self.repeats.evaluate_warmups :]
            self._add(title, name, {"evaluate_s": measured}, equal)
        self._take_off()

    def _in_turn(self, i: int) -> Sequence[Variant]:
        """Give the variants, another one first each time."""
        first = i % len(self.variants)
        return [*self.variants[first:], *self.variants[:first]]

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
        self, tensors: dict[str, Tensor], drawn: Sequence[Batch]
    ) -> dict[str, Equivalence]:
        """Find the largest relative differences from ours in loss and gradient norm.

        They are taken on the batches with the shortest rows, for they are not timed.
        """
        chosen = sorted(drawn, key=lambda batch: max(s.n_tokens for s in batch))[:N_COMPARED]
        found: dict[str, Equivalence] = {}
        wanted: list[tuple[float, float]] = []
        for variant in list(self.variants):
            variant.load(tensors)
            got = self._attempt(variant, lambda v=variant: [v.loss_and_norm(b) for b in chosen])
            wanted = wanted or got or []  # ours comes first
            if variant is not self.ours and got is not None:
                found[variant.name] = {
                    name: max(_difference(g[k], w[k]) for g, w in zip(got, wanted, strict=True))
                    for k, name in enumerate(("loss", "gradient_norm"))
                }
        return found

    def _add_steps(
        self,
        case: Case,
        name: str,
        batches: Sequence[Batch],
        seconds: Sequence[float],
        equal: Equivalence | None,
    ) -> None:
        timed = list(zip(batches, seconds, strict=False))
        figures = {
            "samples_per_s": [len(batch) / s for batch, s in timed],
            "tokens_per_s": [sum(x.n_tokens for x in batch) / s for batch, s in timed],
            "step_s": list(seconds),
        }
        if (roofline := self.rooflines.get(name)) is not None:
            figures["mfu"] = [
                step_flops(self.base, case.config, batch) / s / roofline for batch, s in timed
            ]
        self._add(case.title, name, figures, equal)

    def _add(
        self,
        title: str,
        name: str,
        figures: dict[str, list[float]],
        equal: Equivalence | None,
    ) -> None:
        note = self.dropped.get(name, "")
        for metric, values in figures.items():
            known, equivalence = ([], None) if note else (values, equal)
            row = Row.of(title, name, metric, values=known, equivalence=equivalence, note=note)
            self.rows.append(row)

    def _say(self, title: str, i: int, n: int, seconds: dict[str, list[float]]) -> None:
        last = ", ".join(f"{name} {taken[-1]:.2f} s" for name, taken in seconds.items() if taken)
        progress(f"{title}, {i + 1} of {n}: {last}")


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
    """Say where it is, with the time since the start."""
    print(f"[{perf_counter() - _STARTED:4.0f} s] {line}", file=sys.stderr, flush=True)


def _difference(value: float, wanted: float) -> float:
    return abs(value - wanted) / abs(wanted)
