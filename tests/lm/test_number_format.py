"""How much faster bf16 is: measured once a machine, and what is made of it."""

from pathlib import Path

import pytest
import torch

from lorecall.lm.number_format import Speedup, Times, bf16_speedup, time_products


class FakeTimer:
    """Says given seconds, and counts how often it is asked."""

    def __init__(self, *, full: Times, half: Times) -> None:
        self.times = {torch.float32: full, torch.bfloat16: half}
        self.n = 0

    def __call__(self, dtype: torch.dtype) -> Times:
        """Return the seconds of a format."""
        self.n += 1
        return self.times[dtype]


@pytest.fixture
def timer() -> FakeTimer:
    """Return one where bf16 is twice as fast in training, and half as fast in decoding."""
    return FakeTimer(full=Times(training=2.0, decoding=1.0), half=Times(training=1.0, decoding=2.0))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache of the test's own."""
    monkeypatch.setenv("LORECALL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("training", "decoding", "pays"),
    [(1.0, 1.0, False), (1.2, 1.2, True), (2.0, 0.5, False), (0.6, 2.5, True), (0.5, 2.0, False)],
)
def test_neither_product_decides_alone(training: float, decoding: float, *, pays: bool) -> None:
    """Their geometric mean does, and it must be above 1.1."""
    assert Speedup(training=training, decoding=decoding).pays == pays


def test_both_figures_are_told() -> None:
    """With two digits."""
    told = str(Speedup(training=0.5567, decoding=1.42))
    assert told == "bf16 0.56x fp32 in training, 1.4x in decoding"


def test_it_is_measured_once_a_machine(timer: FakeTimer) -> None:
    """Another machine, or another number of threads on it, is measured for itself."""
    first = bf16_speedup("one", timer=timer)
    assert first == Speedup(training=2.0, decoding=0.5)
    assert bf16_speedup("one", timer=timer) == first
    assert timer.n == 2
    bf16_speedup("other", timer=timer)
    assert timer.n == 4


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"machine": "one"}', '{"machine": "one", "training": "x", "decoding": 1.0}']
    + [f'{{"machine": "one", "training": {x}, "decoding": 1.0}}' for x in (-1.0, 0.0, 1, "NaN")],
)
def test_what_is_kept_may_be_broken(timer: FakeTimer, cache: Path, content: str) -> None:
    """It is measured again."""
    first = bf16_speedup("one", timer=timer)
    (kept,) = (cache / "formats").iterdir()
    kept.write_text(content)
    assert bf16_speedup("one", timer=timer) == first
    assert timer.n == 4


def test_a_cache_that_cannot_be_written_costs_time_alone(timer: FakeTimer, cache: Path) -> None:
    """A file is in its place."""
    cache.write_bytes(b"")
    assert bf16_speedup("one", timer=timer) == bf16_speedup("one", timer=timer)
    assert timer.n == 4


def test_real_products_take_some_time_and_draw_nothing() -> None:
    """In both formats; the global generator is left alone."""
    before = torch.random.get_rng_state()
    for dtype in (torch.float32, torch.bfloat16):
        times = time_products(dtype)
        assert times.training > 0
        assert times.decoding > 0
    assert torch.equal(torch.random.get_rng_state(), before)
