"""Places of equal size: which are asked, how they are tuned and read, and what it comes to."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lorecall.data import split_history
from lorecall.lm.base import LanguageModel
from lorecall.memory import SharedMemory
from lorecall.records import History, Sample
from lorecall.settings import TrainSettings

MASKS = {"low": (0,), "high": (2,)}
TUNED, READ = ("cem", "dan"), ("eve", "fay")


@pytest.fixture
def study(
    load: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    llama: LanguageModel,
    make_shared: Callable[..., SharedMemory],
    make_samples: Callable[..., tuple[Sample, ...]],
    one_epoch: TrainSettings,
) -> object:
    """Return a study of two masks on a tiny base: two people to tune on and two to read."""
    module = load("mask_study")
    monkeypatch.setattr(module, "MOST_SCALINGS", 3)
    shared = make_shared(llama)
    shared.save(tmp_path / "shared")
    shared.merge_into(llama, name=str(tmp_path / "shared"))
    splits = {
        user: split_history(
            History(
                dataset="made up",
                user=user,
                samples=tuple(replace(each, user=user) for each in make_samples(20, first=i)),
            )
        )
        for i, user in enumerate(TUNED + READ)
    }
    return module.Study(
        base=llama,
        folder=tmp_path / "masks",
        tuned=TUNED,
        read=READ,
        masks=MASKS,
        scalings=(1.0, 2.0),
        train=replace(one_epoch, factors=(1.0,)),
        splits=splits,
    )


def test_masks_are_twelve_of_one_size(load: Callable[[str], ModuleType]) -> None:
    """Of thirty layers twelve different sixes, the same at every call."""
    module = load("mask_study")
    masks = module.masks_of(30)
    assert masks["12-17"] == (12, 13, 14, 15, 16, 17)
    assert masks["every fifth"] == (2, 7, 12, 17, 22, 27)
    assert len({*masks.values()}) == 12
    assert {len(layers) for layers in masks.values()} == {6}
    assert masks == module.masks_of(30)


def test_people_are_those_for_choices(load: Callable[[str], ModuleType]) -> None:
    """Of the file's second part, each once; nobody of the tested is found there."""
    masks, study = load("masks"), load("mask_study")
    people = study.people_for_choices(masks.LEFT_OUT, (*masks.TUNED, *masks.READABLE))
    assert len({*people}) == 3 + 17
    assert {len(person) for person in people} == {36}
    with pytest.raises(SystemExit, match="1 people are asked for, 0 are in"):
        study.people_for_choices(masks.LEFT_OUT, ("0df2a726",))


def test_two_processes_share_a_folder_and_go_on(
    load: Callable[[str], ModuleType], study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trains its own part once, waits for the other's tuning, and tells the same."""
    masks, effects = load("masks"), load("mask_effects")
    masks.check(study)
    trained: list[object] = []
    real = masks.trained

    def noting(study: object, cell: object) -> object:
        trained.append(cell)
        return real(study, cell)

    monkeypatch.setattr(masks, "trained", noting)
    monkeypatch.setattr(masks.time, "sleep", ends)
    first, second = (masks.Part(k=k, n=2) for k in (1, 2))
    while True:  # turn about: each ends where it has to wait
        ended = 0
        for part in (first, second):
            try:
                masks.work(study, part)
                ended += 1
            except TimeoutError:
                assert study.rows()
        if ended == 2:
            break
    rows = study.rows()
    assert len(trained) == len({*trained}) == len(rows)
    assert {file.name for file in study.folder.glob("*.jsonl")} == {first.name, second.name}
    read = [row for row in rows.values() if row.cell.user in READ]
    assert len(read) == 2 * 3 + 2 * 2  # masks and the design; masks again with another seed
    assert all((row.test is None) == (row.cell.user in TUNED) for row in rows.values())
    told = effects.told(study)
    assert "2 people. Spread of the masks' own effects" in told
    assert effects.DESIGN in told
    assert "Another seed" in told


def test_what_is_no_honest_test_is_refused(
    load: Callable[[str], ModuleType], study: Any, llama: LanguageModel
) -> None:
    """A donor, a base without a shared memory, and the folder of another study."""
    masks = load("masks")
    masks.check(study)
    masks.check(study)
    with pytest.raises(SystemExit, match="words are in the shared memory: ann"):
        masks.check(replace(study, read=("ann", "eve")))
    with pytest.raises(SystemExit, match="holds another study: rank"):
        masks.check(replace(study, rank=2))
    llama.shared = None
    with pytest.raises(SystemExit, match="needs a base with a shared memory"):
        masks.check(study)


def test_a_layout_is_taken_apart(load: Callable[[str], ModuleType]) -> None:
    """By hand: two masks, two people; masks differ by 3 in the mean, what remains is 0.5 each."""
    effects = load("mask_effects").mask_effects(
        {
            "low": {"a": 0.0, "b": 2.0},
            "high": {"a": 4.0, "b": 4.0},
        }
    )
    # means 1 and 4: MS_mask = 2 * (1.5^2 + 1.5^2) = 9; rests are 0.5 four times: MS_rest = 1
    assert effects.means == {"low": 1.0, "high": 4.0}
    assert effects.rest == pytest.approx(1.0)
    assert effects.spread == pytest.approx(2.0)  # sqrt((9 - 1) / 2)
    assert effects.best_less_mean == pytest.approx(-1.5 * 8 / 9)
    assert effects.low <= effects.spread <= effects.high


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_noise_is_no_spread(load: Callable[[str], ModuleType], spread: float) -> None:
    """Over many drawn layouts the squared spread is right in the mean, masks' own or none."""
    module, rng = load("mask_effects"), np.random.default_rng(0)
    found: list[float] = []
    for _ in range(200):
        y = (
            spread * rng.standard_normal((12, 1))
            + 0.1 * rng.standard_normal((1, 12))
            + 0.02 * rng.standard_normal((12, 12))
        )
        layout = {str(m): {str(p): y[m, p] for p in range(12)} for m in range(12)}
        found.append(module.mask_effects(layout).spread ** 2)
    assert np.sqrt(np.mean(found)) == pytest.approx(spread, abs=0.004)


def test_the_verdict_follows_the_rule(load: Callable[[str], ModuleType]) -> None:
    """Below 0.01 layers are dropped; with fewer people than planned it is not due."""
    module = load("mask_effects")
    alike = module.mask_effects(
        {str(m): {str(p): 0.001 * ((m * 7 + p * 3) % 5) for p in range(4)} for m in range(3)}
    )
    assert "layers are dropped (due at 12 people)" in module.verdict(alike, n=12)
    apart = replace(alike, spread=0.0101)
    assert module.verdict(apart, n=4).endswith("layers stay.")


def test_a_scaling_at_the_end_is_gone_beyond(load: Callable[[str], ModuleType], study: Any) -> None:
    """Half of the masks at the largest: twice that; none at an end: no more; a part counts not."""
    module = load("mask_study")

    def rows(valid: dict[tuple[str, float], float]) -> dict[object, object]:
        return {
            module.Cell(user=user, mask=mask, scaling=scaling): module.MaskRow(
                cell=module.Cell(user=user, mask=mask, scaling=scaling),
                layers=(0,),
                rank=1,
                valid=value,
                test=None,
                factor=1.0,
                best_epoch=1.0,
                n_train=9,
                seconds=1.0,
                machine={},
            )
            for (mask, scaling), value in valid.items()
            for user in TUNED
        }

    upper = {("low", 1.0): 0.0, ("low", 2.0): -1.0, ("high", 1.0): -0.2, ("high", 2.0): -0.3}
    assert module.further_scaling(study, rows(upper)) == (4.0,)
    assert module.further_scaling(study, rows(upper | {("low", 4.0): -2.0})) == (4.0,)
    further = upper | {("low", 4.0): 0.0, ("high", 4.0): 0.0}
    assert module.further_scaling(study, rows(further)) == ()
    assert module.tuned_scalings(study, rows(further)) == {"low": 2.0, "high": 2.0}
    lower = {key: -value for key, value in upper.items()}
    assert module.further_scaling(study, rows(lower)) == (0.5,)


def test_the_folder_says_what_its_rows_depend_on(
    load: Callable[[str], ModuleType], study: Any
) -> None:
    """People, masks, the base and its shared memory, and how each is trained."""
    load("masks").check(study)
    kept = json.loads((study.folder / "study.json").read_text(encoding="utf-8"))
    assert kept["masks"] == {"low": [0], "high": [2]}
    assert kept["shared"] == study.base.shared.sha256
    assert kept["train"]["factors"] == [1.0]


def ends(_: float) -> None:
    """Stand for a process that is killed where it waits."""
    raise TimeoutError
