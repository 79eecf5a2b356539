"""What many people have in common: trained once, a function of its recipe and its salt."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch

from lorecall.data.donors import Donors, draw_donors
from lorecall.errors import ModelError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.memory.shared import SharedMemory
from lorecall.records import InjectionConfig
from lorecall.settings import TrainSettings
from lorecall.train.fit import fit_shared
from lorecall.train.reading import Reader

THETA = InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=4, scaling=2.0)
SETTINGS = TrainSettings(
    learning_rate=1e-2, batch_size=8, max_epochs=2, patience=9, max_response_tokens=24
)


@pytest.fixture
def donors(crowd: Path) -> Donors:
    """Return forty replies and eight to watch by; p3 is left out."""
    return draw_donors(str(crowd), without=["p3"], n_replies=40, n_valid=8)


@pytest.fixture
def fit(donors: Donors) -> Callable[..., SharedMemory]:
    """Train on a fresh tiny base."""

    def made(
        base: LanguageModel | None = None, *, seed: int = 0, salt: str | None = "a grain"
    ) -> SharedMemory:
        return fit_shared(
            THETA,
            donors,
            base or tiny_base(),
            settings=SETTINGS,
            consent="they were made up",
            seed=seed,
            salt=salt,
        )

    return made


def test_the_same_recipe_and_salt_are_the_same_bytes(fit: Callable[..., SharedMemory]) -> None:
    """Both files, whatever the base was used for before."""
    base = tiny_base()
    first = fit(base)
    assert fit(base).files() == first.files() == fit().files()


def test_another_seed_is_another_memory(fit: Callable[..., SharedMemory]) -> None:
    """Of the same donors."""
    one, other = fit(), fit(seed=1)
    assert one.sha256 != other.sha256
    assert one.manifest.donors == other.manifest.donors


def test_salts_are_new_unless_given(fit: Callable[..., SharedMemory]) -> None:
    """What was learnt is the same; who gave it is hashed another way."""
    one, other = fit(salt=None), fit(salt=None)
    assert one.sha256 == other.sha256
    assert one.manifest.donors.salt != other.manifest.donors.salt
    assert not {*one.manifest.donors.people} & {*other.manifest.donors.people}


def test_the_manifest_says_what_it_was_made_from(
    fit: Callable[..., SharedMemory], donors: Donors
) -> None:
    """Base, theta, settings, whose words by which right, and which replies."""
    manifest = fit().manifest
    assert manifest.base.fingerprint == tiny_base().fingerprint
    assert manifest.theta == manifest.recipe.thetas[0] == THETA
    assert manifest.recipe.settings == SETTINGS
    assert (manifest.dataset, manifest.licence) == (donors.dataset, donors.licence)
    assert manifest.consent == "they were made up"
    assert all(manifest.donors.has_person(user) for user in donors.people)
    assert not manifest.donors.has_person("p3")
    assert len(manifest.donors.people) == len(donors.people)
    assert all(manifest.donors.has_sample(sample.id) for sample in donors.train)
    assert not any(manifest.donors.has_sample(sample.id) for sample in donors.valid)
    assert manifest.stop_ids


def test_it_is_watched_by_the_replies_of_other_conversations(
    fit: Callable[..., SharedMemory], donors: Donors
) -> None:
    """Its curve begins with the base's own loss, and ends after all epochs; it learns."""
    memory = fit()
    base = tiny_base()
    reader = Reader(base, SETTINGS)
    part = reader.encode(donors.valid)
    curve = memory.manifest.valid
    assert curve[0] == (0, pytest.approx(fmean(reader.losses(part))))
    counted = [n for n, _ in curve]
    assert counted == sorted({*counted})
    assert (len(curve), counted[2], counted[-1]) == (5, 40, 80)  # read twice an epoch of forty
    lowest = min(loss for _, loss in curve)
    assert lowest < curve[0][1]
    memory.merge_into(base, name="shared")
    merged = Reader(base, SETTINGS)
    assert fmean(merged.losses(part)) == pytest.approx(lowest, abs=0.01)  # bf16 of fp32


def test_it_is_in_bf16(fit: Callable[..., SharedMemory]) -> None:
    """All of it."""
    assert {tensor.dtype for tensor in fit().tensors.values()} == {torch.bfloat16}


def test_it_goes_on_a_bare_base_alone(fit: Callable[..., SharedMemory]) -> None:
    """One on another is refused before it is trained."""
    base = tiny_base()
    fit().merge_into(base, name="first")
    with pytest.raises(ModelError, match=r"learnt on a bare base: .*tiny-llama with first"):
        fit(base)


def test_steps_are_told(donors: Donors) -> None:
    """As shares of the whole."""
    heard: list[float] = []
    fit_shared(
        THETA,
        donors,
        tiny_base(),
        settings=replace(SETTINGS, max_epochs=1),
        consent="they were made up",
        on_step=heard.append,
    )
    assert sum(heard) == pytest.approx(1.0)
