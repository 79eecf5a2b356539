"""The one way a memory is made, and that it is a function of its recipe."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lorecall.data.history import samples_hash
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.prompts import Recall
from lorecall.memory.memory import StoredMemory
from lorecall.records import InjectionConfig, Sample, Split
from lorecall.settings import TrainSettings
from lorecall.train.fit import fit_memory
from lorecall.train.trial import TrialRunner

MakeSamples = Callable[..., tuple[Sample, ...]]
SMALL = InjectionConfig(layers=(1,), n_loras=1, rank=2)
LARGE = InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=8)
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, max_response_tokens=12)
ELSEWHERE = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from lorecall.lm.families.tiny import tiny_base
from lorecall.records import InjectionConfig, Sample, Split
from lorecall.settings import TrainSettings
from lorecall.train.fit import fit_memory

def sample(i):
    return Sample(id=f"s{i}", user="ann", conversation=f"c{i}", query=f"what of {i}?",
                  response="so " * (i % 4 + 1) + "it is")

split = Split(user="ann", dataset="made up", train=tuple(sample(i) for i in range(9)),
              valid=tuple(sample(i) for i in range(9, 12)), test=(), own_content=())
settings = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, max_response_tokens=12)
thetas = (InjectionConfig(layers=(1,), n_loras=1, rank=2),
          InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=8))
base = tiny_base()
if sys.argv[2] == "busy":  # another person's memory was made by this process before
    fit_memory(thetas[0], split, base, settings=settings, seed=9)
fit_memory(thetas, split, base, settings=settings, seed=3).memory.save(Path(sys.argv[1]))
"""


@pytest.fixture
def split(make_samples: MakeSamples) -> Split:
    """Return a small person."""
    return Split(
        user="ann",
        dataset="made up",
        train=make_samples(9),
        valid=make_samples(3, first=9),
        test=make_samples(2, first=20),
        own_content=(),
    )


def test_two_processes_make_the_same_bytes(tmp_path: Path) -> None:
    """Whatever a process has done before: every file of the memory is the same."""
    for name in ("fresh", "busy"):
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE, str(tmp_path / name), name], check=True, timeout=150
        )
    files = sorted(file.name for file in (tmp_path / "fresh").iterdir())
    assert files == ["manifest.json", "memory.safetensors"]
    for name in files:
        assert (tmp_path / "fresh" / name).read_bytes() == (tmp_path / "busy" / name).read_bytes()


def test_the_manifest_says_what_it_was_made_from(split: Split, llama: LanguageModel) -> None:
    """Samples, settings, seed, and what the bits depend on: versions, format, threads, chip."""
    manifest = fit_memory(SMALL, split, llama, settings=SETTINGS, seed=3).memory.manifest
    assert manifest.theta == SMALL
    assert manifest.training.samples_sha256 == samples_hash(split.train)
    assert manifest.training.valid_sha256 == samples_hash(split.valid)
    assert (manifest.training.user, manifest.training.seed) == ("ann", 3)
    assert manifest.training.split == {"train": 9, "valid": 3, "test": 2}
    recipe = manifest.recipe
    assert recipe.thetas == (SMALL,)
    assert recipe.settings == SETTINGS
    assert recipe.notes == ""
    assert (recipe.dtype, recipe.device) == ("float32", "cpu")
    assert recipe.n_threads == torch.get_num_threads()
    assert recipe.instruction_set == torch.backends.cpu.get_cpu_capability()
    assert recipe.versions["torch"] == torch.__version__.split("+")[0] or recipe.versions["torch"]


def test_the_recipe_says_which_notes_were_in_the_prompts(
    split: Split, llama: LanguageModel, note: Recall
) -> None:
    """So that memories of other prompts have other recipes."""
    alone, with_notes = (
        fit_memory(SMALL, split, llama, settings=SETTINGS, recall=recall).memory.manifest.recipe
        for recall in (None, note)
    )
    assert with_notes.notes == note.signature
    assert with_notes.model_copy(update={"notes": ""}) == alone != with_notes


def test_of_several_the_lowest_loss_is_kept(split: Split, llama: LanguageModel) -> None:
    """Wherever it stands; it is what it would be if it were trained alone."""
    alone = [fit_memory(theta, split, llama, settings=SETTINGS) for theta in (SMALL, LARGE)]
    losses = [fitted.report.best.loss for fitted in alone]
    best = losses.index(min(losses))
    for thetas in ((SMALL, LARGE), (LARGE, SMALL)):
        together = fit_memory(thetas, split, llama, settings=SETTINGS)
        assert thetas[together.taken] == together.memory.config == (SMALL, LARGE)[best]
        assert together.report.curve == alone[best].report.curve
        assert together.train_s > together.report.seconds
        kept = alone[best].memory.tensors
        assert all(torch.equal(together.memory.tensors[name], kept[name]) for name in kept)


def test_of_equals_the_first_is_kept(split: Split, llama: LanguageModel) -> None:
    """Two that are the same."""
    assert fit_memory((SMALL, SMALL), split, llama, settings=SETTINGS).taken == 0


def test_the_test_part_is_not_looked_at(split: Split, llama: LanguageModel) -> None:
    """Without it the same memory comes out."""
    with_test, without = (
        fit_memory(SMALL, each, llama, settings=SETTINGS).memory
        for each in (split, replace(split, test=()))
    )
    assert all(
        torch.equal(with_test.tensors[name], without.tensors[name]) for name in without.tensors
    )
    assert with_test.decoding == without.decoding


def test_replies_are_as_long_as_the_persons(split: Split, llama: LanguageModel) -> None:
    """The decoding is fitted with the memory, unless its length is to be left free."""
    memory = fit_memory(SMALL, split, llama, settings=SETTINGS).memory
    assert memory.decoding.stop_bias != 0.0
    free = replace(SETTINGS, reply_length="free")
    assert fit_memory(SMALL, split, llama, settings=free).memory.decoding.stop_bias == 0.0


def test_steps_are_told(split: Split, llama: LanguageModel) -> None:
    """As shares of one whole training, for each theta."""
    heard: list[float] = []
    settings = replace(SETTINGS, patience=9)
    fit_memory((SMALL, LARGE), split, llama, settings=settings, on_step=heard.append)
    assert sum(heard) == pytest.approx(2.0)


def test_a_memory_is_stored_and_read_back(
    split: Split, llama: LanguageModel, tmp_path: Path
) -> None:
    """The recipe with it."""
    memory = fit_memory(SMALL, split, llama, settings=SETTINGS).memory
    memory.save(tmp_path / "m")
    kept = StoredMemory.load(tmp_path / "m")
    assert kept.manifest.recipe == memory.manifest.recipe
    assert kept.config == SMALL


def test_what_a_search_keeps_changes_nothing(split: Split) -> None:
    """A runner's cache is its own: trials before a training leave its bits alone."""
    base = tiny_base()
    first = fit_memory(SMALL, split, base, settings=SETTINGS).memory
    runner = TrialRunner(base, settings=SETTINGS, seed=0)
    runner.run(LARGE, runner.data(split, split.train[:4]))
    second = fit_memory(SMALL, split, base, settings=SETTINGS).memory
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
