"""The script that kills a store's verbs at each step: what it counts, and that it sees harm."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture
def faults(load: Load, tmp_path: Path) -> ModuleType:
    """Return the script, with the files that it remembers in a folder."""
    module = load("store_faults")
    module.write_days(tmp_path / "days.jsonl", 30)
    module.write_days(tmp_path / "more.jsonl", 40)
    return module


def test_each_verb_may_be_killed(faults: ModuleType, tmp_path: Path) -> None:
    """At a step of its own; nothing is lost, and the same command finishes."""
    done = [*faults.all_faults(tmp_path, ["update", "rotate"], n=3, seed=1)]
    assert len(done) == 3
    assert not [fault for fault in done if fault.violations]


def test_what_is_not_as_it_must_be_is_told(
    faults: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verb that is said to lose records does; a step that is never reached kills nobody."""
    case = faults.VERBS["remember-more"]
    monkeypatch.setitem(faults.VERBS, "remember-more", replace(case, records=(30, 39)))
    faults.prepared(tmp_path, "remember-more")
    told = faults.one_fault(tmp_path, "remember-more", 500).violations
    assert told[0] == "it was not killed"
    assert any("40 records, and not (39,)" in line for line in told)
