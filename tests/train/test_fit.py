"""The one way a memory is made, and that it is a function of its recipe."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch

from lorecall.data.history import samples_hash
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.prompts import Retriever
from lorecall.memory.artefact import in_bf16
from lorecall.memory.memory import StoredMemory
from lorecall.records import InjectionConfig, Sample, Split
from lorecall.settings import TrainSettings
from lorecall.train.fit import fit_factor, fit_memory
from lorecall.train.reading import EncodedPart, Reader
from lorecall.train.trial import TrialData, TrialRunner

MakeMemory = Callable[..., StoredMemory]
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
    split: Split, llama: LanguageModel, note: Retriever
) -> None:
    """So that memories of other prompts have other recipes."""
    alone, with_notes = (
        fit_memory(
            SMALL, split, llama, settings=SETTINGS, retriever=retriever
        ).memory.manifest.recipe
        for retriever in (None, note)
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


class Scripted(Reader):
    """Reads the losses that a script has for the factor of what it is given.

    Args:
        base: The base.
        losses: Factor -> mean loss.
        one: A memory whose factor is 1.
    """

    def __init__(
        self, base: LanguageModel, losses: Mapping[float, float], one: StoredMemory
    ) -> None:
        super().__init__(base, replace(SETTINGS, factors=tuple(losses)))
        self.script = losses
        self.up = next(tensor for name, tensor in one.tensors.items() if name.endswith(".up"))

    def losses(self, part: EncodedPart, *, injection: Injection | None = None) -> tuple[float, ...]:
        """Return the loss of the factor for each sample."""
        assert injection is not None
        factor = injection.pairs[0].up.norm() / self.up.float().norm()
        nearest = min(self.script, key=lambda known: abs(known - factor.item()))
        return (self.script[nearest],) * len(part.samples)


class TestFactor:
    """What a memory is multiplied by, as the validation part likes it."""

    @pytest.fixture
    def data(self, split: Split, llama: LanguageModel) -> TrialData:
        """Return the parts in tokens; the base's own loss is 3."""
        runner = TrialRunner(llama, settings=SETTINGS, seed=0)
        return replace(runner.data(split, split.train), base_losses=(3.0, 3.0, 3.0))

    @pytest.mark.parametrize(
        ("losses", "best"),
        [
            ({0.0: 3.0, 0.5: 3.1, 1.0: 3.2, 1.25: 3.4}, 0.0),
            ({0.0: 3.0, 0.5: 2.9, 1.0: 2.8, 1.25: 2.7, 1.5: 2.75}, 1.25),
            ({0.0: 3.0, 0.5: 2.8, 1.0: 2.9}, 0.5),
            ({0.0: 3.0, 1.0: 3.0}, 0.0),
            ({0.0: 3.0, 0.5: 2.8, 1.0: 2.8}, 0.5),
            ({0.5: 3.2, 1.0: 3.1}, 1.0),
        ],
        ids=["nothing helps", "more", "less", "no evidence", "of equals", "0 is not allowed"],
    )
    def test_the_lowest_loss_is_taken(
        self,
        losses: dict[float, float],
        best: float,
        data: TrialData,
        llama: LanguageModel,
        make_memory: MakeMemory,
    ) -> None:
        """0 where nothing helps, above 1 where that is best, the smallest of equal ones."""
        memory = make_memory(llama)
        found = fit_factor(memory, Scripted(llama, losses, memory), data)
        assert found.manifest.factor == best
        for name, tensor in memory.tensors.items():
            times = best if name.endswith(".up") else 1.0
            assert torch.equal(found.tensors[name], times * tensor)

    @pytest.mark.parametrize("factor", [1.0, 0.0])
    def test_where_one_is_allowed_nothing_is_read(
        self, factor: float, data: TrialData, llama: LanguageModel, make_memory: MakeMemory
    ) -> None:
        """As the paper has it."""
        memory = make_memory(llama)
        reader = Scripted(llama, {factor: float("nan")}, memory)
        assert fit_factor(memory, reader, data).manifest.factor == factor

    def test_a_harmful_memory_is_taken_away(
        self, split: Split, llama: LanguageModel, make_memory: MakeMemory
    ) -> None:
        """Drawn pairs, which know nobody, on the base's own losses."""
        reader = TrialRunner(llama, settings=SETTINGS, seed=0)
        data = reader.data(split, split.train)
        drawn = make_memory(llama, LARGE)
        found = fit_factor(drawn, reader, data)
        losses = {
            factor: fmean(
                reader.losses(data.valid, injection=Injection.of(llama, drawn.multiplied(factor)))
            )
            for factor in SETTINGS.factors
        }
        assert losses[found.manifest.factor] == min(losses.values())
        assert losses[0.0] == pytest.approx(data.base_loss, rel=1e-6)

    def test_a_fitted_memory_holds_its_factor(self, split: Split, llama: LanguageModel) -> None:
        """No other that is allowed has a lower loss; its weights are multiplied already."""
        memory = fit_memory(SMALL, split, llama, settings=SETTINGS, seed=3).memory
        whole = fit_memory(SMALL, split, llama, settings=replace(SETTINGS, factors=(1.0,)), seed=3)
        assert whole.memory.manifest.factor == 1.0
        factor = memory.manifest.factor
        assert factor in SETTINGS.factors
        multiplied = whole.memory.multiplied(factor).tensors
        assert all(torch.equal(memory.tensors[name], multiplied[name]) for name in multiplied)
        reader = TrialRunner(llama, settings=SETTINGS, seed=3)
        data = reader.data(split, split.train)
        losses = [
            fmean(
                reader.losses(
                    data.valid, injection=Injection.of(llama, whole.memory.multiplied(each))
                )
            )
            for each in SETTINGS.factors
        ]
        assert losses[SETTINGS.factors.index(factor)] == min(losses)

    def test_factors_multiply(self, llama: LanguageModel, make_memory: MakeMemory) -> None:
        """The manifest says by what in all."""
        memory = make_memory(llama).multiplied(0.5).multiplied(0.5)
        assert memory.manifest.factor == 0.25

    @pytest.mark.parametrize("plain", [False, True])
    def test_nothing_times_a_memory_is_the_base(
        self, split: Split, base: LanguageModel, make_memory: MakeMemory, *, plain: bool
    ) -> None:
        """Exactly: every loss and every reply, on both engines, stored and read back in bf16."""
        drawn = make_memory(base, LARGE)
        nothing = replace(drawn, tensors=in_bf16(drawn.tensors)).multiplied(0.0)
        reader = Reader(base, replace(SETTINGS, plain=plain))
        part = reader.encode(split.valid)
        with_it = reader.read(part, max_new_tokens=8, injection=Injection.of(base, nothing))
        without = reader.read(part, max_new_tokens=8)
        assert with_it.losses == without.losses
        assert with_it.responses == without.responses
        other = reader.read(part, max_new_tokens=8, injection=Injection.of(base, drawn))
        assert other.losses != without.losses


def test_memories_are_kept_in_bf16(split: Split, llama: LanguageModel) -> None:
    """In the memory that is returned as in the one that is read back."""
    memory = fit_memory(SMALL, split, llama, settings=SETTINGS).memory
    assert {tensor.dtype for tensor in memory.tensors.values()} == {torch.bfloat16}
    exact = {"a.up": torch.tensor([[1.0, 1e-3, 3.14159]])}
    assert torch.equal(in_bf16(exact)["a.up"], exact["a.up"].to(torch.bfloat16))
