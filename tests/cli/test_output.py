"""What the commands share."""

import gc

import pytest

from lorecall.cli.output import to_stay


def test_what_is_to_stay_is_not_looked_through() -> None:
    """Python looks for garbage again afterwards, but not in what was loaded."""
    before = gc.get_freeze_count()
    with to_stay():
        assert not gc.isenabled()
        loaded = [[] for _ in range(100)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(loaded)
    gc.unfreeze()


def test_a_failure_to_load_leaves_it_on() -> None:
    """The error goes on."""
    with pytest.raises(OSError, match="gone"), to_stay():
        raise OSError("gone")
    assert gc.isenabled()
    gc.unfreeze()
