"""Where tensors are kept: in memory first, then in files, then not at all."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lorecall.train.activation_cache import ByteBudget

PLENTY = 2**30


@pytest.mark.parametrize("where", ["memory", "files"])
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.bool]
)
def test_tensors_come_back_as_they_were(where: str, dtype: torch.dtype) -> None:
    """Format, shape and bits; a copy, so that the original may change."""
    room = ByteBudget(memory_bytes=PLENTY * (where == "memory"), disk_bytes=PLENTY)
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 5, 7), (1,), (0, 4), (), (130,))
    drawn = [(10 * torch.randn(s, generator=generator)).to(dtype) for s in shapes]
    kept = [room.keep(x) for x in drawn]
    n_bytes = sum(x.numel() * x.element_size() for x in drawn)
    assert (room.in_memory, room.in_files) == ((n_bytes, 0) if where == "memory" else (0, n_bytes))
    for x, place in zip(drawn, kept, strict=True):
        assert place is not None
        assert place.dtype == dtype
        assert torch.equal(place, x)
        x.zero_()
    assert any(place is not None and place.any() for place in kept)


def test_limits_hold_to_the_byte() -> None:
    """What does not fit in memory goes to files, what fits in neither is not kept."""
    room = ByteBudget(memory_bytes=100, disk_bytes=40)
    x = torch.arange(10.0)
    assert [room.keep(x) is not None for _ in range(4)] == [True, True, True, False]
    assert (room.in_memory, room.in_files) == (80, 40)
    assert room.keep(torch.arange(5.0)) is not None
    assert (room.in_memory, room.in_files) == (100, 40)


def test_more_than_a_file_holds_goes_to_another() -> None:
    """Also one tensor that is larger than a file by itself."""
    room = ByteBudget(memory_bytes=0, disk_bytes=PLENTY)
    sizes = (3 * 2**22, 3 * 2**22, 2**24 + 5, 7)
    kept = [room.keep(torch.full((n,), float(i))) for i, n in enumerate(sizes)]
    assert room.in_files == 4 * sum(sizes)
    for i, (place, n) in enumerate(zip(kept, sizes, strict=True)):
        assert place is not None
        assert place.shape == (n,)
        assert bool((place == i).all())


def test_the_files_have_no_name() -> None:
    """They are gone with the process, however it ends."""
    before = set(Path(tempfile.gettempdir()).glob("lorecall-*"))
    room = ByteBudget(memory_bytes=0, disk_bytes=PLENTY)
    assert room.keep(torch.ones(9)) is not None
    assert set(Path(tempfile.gettempdir()).glob("lorecall-*")) <= before


def test_gradients_are_left_behind() -> None:
    """What is kept is numbers alone."""
    for limits in ((PLENTY, 0), (0, PLENTY)):
        room = ByteBudget(memory_bytes=limits[0], disk_bytes=limits[1])
        kept = room.keep(torch.ones(3, requires_grad=True) * 2)
        assert kept is not None
        assert not kept.requires_grad


def test_a_disk_that_refuses_is_asked_no_more(file_size_limit: Callable[[int], None]) -> None:
    """Nothing is kept then, and nothing breaks; memory still serves."""
    file_size_limit(2**20)
    room = ByteBudget(memory_bytes=40, disk_bytes=PLENTY)
    x = torch.arange(10.0)
    assert room.keep(x) is not None
    assert room.keep(x) is None
    assert (room.in_memory, room.in_files, room.disk_bytes) == (40, 0, 0)
    file_size_limit(PLENTY)
    assert room.keep(x) is None
