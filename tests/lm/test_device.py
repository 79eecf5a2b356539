"""Where the base runs, and in which number format."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lorecall.errors import ConfigError
from lorecall.lm.device import choose_compute, cpu_name, machine_name, set_threads
from lorecall.lm.number_format import Times

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")


@pytest.fixture(autouse=True)
def _same_threads_after() -> Iterator[None]:
    """Leave the number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_a_format_that_is_asked_for_is_taken(name: str, dtype: torch.dtype) -> None:
    """The reason says so."""
    compute = choose_compute("cpu", name)
    assert (compute.device, compute.dtype) == (torch.device("cpu"), dtype)
    assert compute.reason == "asked for"


@pytest.mark.parametrize(("half_s", "dtype"), [(0.5, torch.bfloat16), (2.0, torch.float32)])
def test_the_automatic_format_is_explained(
    half_s: float, dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes bf16 where the processor has it and is faster in it, and gives the figures."""
    monkeypatch.setenv("LORECALL_CACHE", str(tmp_path))

    def timer(timed: torch.dtype) -> Times:
        seconds = half_s if timed == torch.bfloat16 else 1.0
        return Times(training=seconds, decoding=seconds)

    compute = choose_compute("cpu", timer=timer)
    if "does not" in compute.reason:
        assert compute.dtype == torch.float32
    else:
        assert compute.dtype == dtype
        assert f"bf16 {1 / half_s:.2g}x fp32 in training" in compute.reason


@no_gpu
def test_auto_takes_the_cpu_where_there_is_nothing_else() -> None:
    """A machine without a GPU needs no option."""
    assert choose_compute().device == torch.device("cpu")


@no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_a_gpu_that_is_not_there_is_refused(name: str) -> None:
    """Before anything is loaded."""
    with pytest.raises(ConfigError, match=f"expected auto, cpu or one of 0 CUDA.*got '{name}'"):
        choose_compute(name)


@pytest.mark.parametrize("name", ["", "banana", "meta", "mps"])
def test_an_unknown_device_is_refused(name: str) -> None:
    """Also devices that torch knows and this package does not run on."""
    with pytest.raises(ConfigError, match="the device must be there"):
        choose_compute(name)


def test_an_unknown_format_is_refused() -> None:
    """The known ones are listed."""
    with pytest.raises(ConfigError, match="expected auto or float32 or bfloat16, got 'float16'"):
        choose_compute("cpu", "float16")


def test_threads_are_set_to_what_is_given() -> None:
    """The argument comes before everything else."""
    assert set_threads(2) == 2
    assert torch.get_num_threads() == 2


def test_the_variable_sets_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the caller gives none."""
    monkeypatch.setenv("LORECALL_THREADS", "2")
    assert set_threads() == 2


@pytest.mark.parametrize("value", ["", "0", "-1", "many"])
def test_an_odd_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """All cores this process may use are taken then."""
    monkeypatch.setenv("LORECALL_THREADS", value)
    assert set_threads() == len(os.sched_getaffinity(0))


def test_the_processor_has_a_name() -> None:
    """One line of it, without blanks around."""
    name = cpu_name()
    assert name == name.strip() != ""
    assert "\n" not in name


def test_a_machine_is_named_with_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU by its own name."""
    torch.set_num_threads(1)
    assert machine_name(torch.device("cpu")) == f"{cpu_name()}, 1 thread"
    torch.set_num_threads(2)
    assert machine_name(torch.device("cpu")) == f"{cpu_name()}, 2 threads"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert machine_name(torch.device("cuda:3")) == "GPU 3"
