"""A shared memory on disk, who is in it, and the bases that are loaded with it."""

import json
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file

from lorecall.core.files import sha256_of
from lorecall.decoding import Decoding
from lorecall.errors import ArtefactError, ModelError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel, SharedName
from lorecall.lm.elsewhere import BaseAt
from lorecall.lm.families.tiny import tiny_base
from lorecall.memory import shared as module
from lorecall.memory.memory import StoredMemory
from lorecall.memory.shared import (
    DonorRecords,
    SharedManifest,
    SharedMemory,
    load_at,
    load_base,
    load_base_of,
    new_salt,
    packaged,
    shared_of,
)
from lorecall.reply.memory import Memory
from lorecall.train.fit import identity_of_base

MakeShared = Callable[..., SharedMemory]
MakeMemory = Callable[..., StoredMemory]
ROOT = Path(__file__).parents[2]
IDS = torch.tensor([[5, 9, 30, 77, 8, 200]])


def saved(folder: Path, *, seed: int = 0) -> Path:
    """Save a tiny base."""
    tiny = tiny_base(seed=seed)
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a base."""
    return str(saved(tmp_path_factory.mktemp("base")))


@pytest.fixture
def bare(folder: str) -> LanguageModel:
    """Return it without a shared memory."""
    return LanguageModel.load(folder, device="cpu", dtype="float32")


@pytest.fixture
def shared(bare: LanguageModel, make_shared: MakeShared, tmp_path: Path) -> Path:
    """Return the folder of a shared memory of that base."""
    make_shared(bare).save(tmp_path / "shared")
    return tmp_path / "shared"


@pytest.fixture
def other(bare: LanguageModel, make_shared: MakeShared, tmp_path: Path) -> Path:
    """Return the folder of another."""
    make_shared(bare, seed=1).save(tmp_path / "other")
    return tmp_path / "other"


@pytest.fixture
def in_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where the package's own are looked for; there is none yet."""
    monkeypatch.setattr(module, "_PACKAGED", str(tmp_path / "package"))
    return tmp_path / "package"


def logits(base: LanguageModel) -> torch.Tensor:
    """Return what a base says."""
    with torch.no_grad():
        return base.model(IDS).logits


def reload(path: str, **options: str | SharedName) -> LanguageModel:
    """Load a base on the CPU, in fp32."""
    return load_base(path, device="cpu", dtype="float32", **options)


class TestRoundTrip:
    """What was saved is what is loaded."""

    def test_everything_comes_back(
        self, bare: LanguageModel, make_shared: MakeShared, tmp_path: Path
    ) -> None:
        """To the bit, with the hash of the weights' file in the manifest."""
        made = make_shared(bare)
        made.save(tmp_path / "m")
        loaded = SharedMemory.load(str(tmp_path / "m"))
        assert loaded.manifest == made.manifest
        assert made.sha256 == sha256_of(tmp_path / "m" / "shared.safetensors") == loaded.sha256
        assert loaded.tensors.keys() == made.tensors.keys()
        assert all(torch.equal(loaded.tensors[name], made.tensors[name]) for name in made.tensors)

    def test_it_is_kept_in_bf16(self, shared: Path) -> None:
        """Half the bytes of what was trained."""
        tensors = load_file(shared / "shared.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}

    def test_what_it_is(self, shared: Path) -> None:
        """Theta, linears, parameters, bytes, decoding."""
        memory = SharedMemory.load(shared)
        assert memory.config == memory.manifest.theta
        assert memory.linears == ("up_proj", "down_proj")
        assert memory.n_parameters == 3 * 2 * 4 * (32 + 64)
        assert memory.n_bytes == sum(file.stat().st_size for file in shared.iterdir())
        assert memory.decoding == Decoding(stop_bias=0.0, no_repeat=0)

    def test_it_is_found_in_a_folder_that_holds_it(self, shared: Path) -> None:
        """Its `shared/`."""
        assert SharedMemory.load(shared.parent).sha256 == SharedMemory.load(shared).sha256

    def test_it_is_replaced_whole(
        self, bare: LanguageModel, make_shared: MakeShared, shared: Path
    ) -> None:
        """The second one's files stand alone."""
        second = make_shared(bare, seed=1)
        second.save(shared)
        assert SharedMemory.load(shared).sha256 == second.sha256
        names = sorted(file.name for file in shared.iterdir())
        assert names == ["manifest.json", "shared.safetensors"]

    def test_nothing_is_left_where_there_is_no_room(
        self,
        bare: LanguageModel,
        make_shared: MakeShared,
        tmp_path: Path,
        file_size_limit: Callable[[int], None],
    ) -> None:
        """As on a disk that fills up."""
        made = make_shared(bare)
        file_size_limit(2000)
        with pytest.raises(OSError, match="File too large"):
            made.save(tmp_path / "m")
        assert list(tmp_path.iterdir()) == []


class TestCut:
    """The nearest of a lower rank."""

    @pytest.mark.parametrize("rank", [1, 3])
    @pytest.mark.parametrize("n_loras", [3, 5], ids=["one each", "two in some"])
    def test_it_is_the_largest_singular_values(
        self, make_shared: MakeShared, fill: Callable[..., object], rank: int, n_loras: int
    ) -> None:
        """Numpy's, of each update, to what bf16 rounds; where a layer has two modules, of both."""
        base, one = tiny_base(), make_shared(tiny_base())
        theta = replace(one.config, n_loras=n_loras)
        injection = Injection(base, theta)
        fill(injection)
        whole = SharedMemory.of(
            one.manifest.model_copy(update={"theta": theta}), injection.tensors()
        )
        cut = whole.cut(rank)
        assert cut.config == replace(theta, rank=rank)
        Injection.of(base, cut)  # the pairs are theta's
        for key in {name.rpartition(".")[0] for name in whole.tensors}:
            update, nearest = (
                (m.tensors[f"{key}.up"].float() @ m.tensors[f"{key}.down"].float()).numpy()
                for m in (whole, cut)
            )
            left, sizes, right = np.linalg.svd(update)
            n = cut.config.ranks()[int(key.split(".")[1])]
            expected = (left[:, :n] * sizes[:n]) @ right[:n]
            assert np.abs(nearest - expected).max() <= 0.02 * np.abs(expected).max()

    @pytest.mark.parametrize("rank", [4, 32])
    def test_no_more_than_there_is(
        self, bare: LanguageModel, make_shared: MakeShared, rank: int
    ) -> None:
        """The same updates, to what bf16 rounds, in singular form."""
        one = make_shared(bare)
        same = one.cut(rank)
        assert same.config == one.config
        for key in {name.rpartition(".")[0] for name in one.tensors}:
            before, after = (
                m.tensors[f"{key}.up"].float() @ m.tensors[f"{key}.down"].float()
                for m in (one, same)
            )
            torch.testing.assert_close(after, before, atol=0.02 * float(before.abs().max()), rtol=0)

    def test_it_is_another_one(self, bare: LanguageModel, make_shared: MakeShared) -> None:
        """Of another hash, with the same donors."""
        one = make_shared(bare)
        cut = one.cut(2)
        assert cut.sha256 != one.sha256
        assert cut.manifest.donors == one.manifest.donors
        assert cut.n_parameters == one.n_parameters / 2


class TestRefusals:
    """What is no whole shared memory."""

    def test_no_folder(self, tmp_path: Path) -> None:
        """Both places that were looked at are named."""
        with pytest.raises(ArtefactError, match=r"a shared memory must be there.*no such folder"):
            SharedMemory.load(tmp_path / "none")

    @pytest.mark.parametrize("keep", [0, 8, 100, -1])
    def test_truncated_weights(self, shared: Path, keep: int) -> None:
        """Wherever the file was cut."""
        weights = shared / "shared.safetensors"
        weights.write_bytes(weights.read_bytes()[:keep])
        with pytest.raises(ArtefactError, match="whole safetensors file"):
            SharedMemory.load(shared)

    def test_missing_weights(self, shared: Path) -> None:
        """A manifest alone is none."""
        (shared / "shared.safetensors").unlink()
        with pytest.raises(ArtefactError, match="FileNotFoundError"):
            SharedMemory.load(shared)

    def test_anothers_weights(self, shared: Path, other: Path) -> None:
        """The hashes tell them apart."""
        content = (other / "shared.safetensors").read_bytes()
        (shared / "shared.safetensors").write_bytes(content)
        with pytest.raises(ArtefactError, match="those of its manifest: expected sha256"):
            SharedMemory.load(shared)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("format", 2),
            ("kind", "person"),
            ("donors", None),
            ("valid", "low"),
            ("theta", {}),
            ("stop_bias", "long"),
            ("colour", "red"),
        ],
    )
    def test_another_manifest(self, shared: Path, field: str, value: object) -> None:
        """Of another version or kind, with a field of another type or one that is not known."""
        path = shared / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
        with pytest.raises(ArtefactError):
            SharedMemory.load(shared)

    @pytest.mark.parametrize("field", ["base", "consent", "licence", "donors", "recipe"])
    def test_a_missing_field(self, shared: Path, field: str) -> None:
        """By name: nobody's words without a word of consent."""
        path = shared / "manifest.json"
        raw = json.loads(path.read_text())
        del raw[field]
        path.write_text(json.dumps(raw))
        with pytest.raises(ArtefactError, match=f"got {field}: "):
            SharedMemory.load(shared)

    def test_a_persons_memory_is_none(
        self, bare: LanguageModel, make_memory: MakeMemory, shared: Path, tmp_path: Path
    ) -> None:
        """Nor the other way round."""
        make_memory(bare).save(tmp_path / "memory")
        with pytest.raises(ArtefactError, match="manifest must be whole"):
            SharedMemory.load(tmp_path / "memory")
        with pytest.raises(ArtefactError, match="manifest must be whole"):
            StoredMemory.load(shared)


class TestDonors:
    """Hashes that say who is in it to who asks for someone."""

    def test_who_and_what_is_in_it(self) -> None:
        """People and replies, by their whole ids alone."""
        donors = DonorRecords.of(["ann", "bob"], ["17c3"], salt="a grain")
        assert donors.has_person("ann")
        assert donors.has_person("bob")
        assert not donors.has_person("an")
        assert not donors.has_person("17c3")
        assert donors.has_sample("17c3")
        assert not donors.has_sample("ann")

    def test_no_id_stands_in_a_manifest(self, shared: Path) -> None:
        """Nor a hash without the salt."""
        text = (shared / "manifest.json").read_text()
        assert not any(name in text.replace("sha256", "") for name in ("ann", "bob", "17c3"))

    def test_hashes_differ_with_the_salt(self) -> None:
        """So that two shared memories tell nothing of one another."""
        one, two = (DonorRecords.of(["ann"], ["17c3"], salt=salt) for salt in ("one", "two"))
        assert not {*one.people, *one.samples} & {*two.people, *two.samples}
        assert new_salt() != new_salt()
        assert len(new_salt()) == 32

    def test_their_order_tells_nothing(self) -> None:
        """Whoever was drawn first."""
        ids = [f"user-{i}" for i in range(20)]
        one = DonorRecords.of(ids, ids, salt="s")
        assert one == DonorRecords.of(reversed(ids), reversed(ids), salt="s")
        assert list(one.people) == sorted(one.people)

    def test_a_record_is_not_changed(self) -> None:
        """It says what was learnt."""
        donors = DonorRecords.of(["ann"], [], salt="s")
        with pytest.raises(ValidationError):
            donors.people = ()


class TestLoadBase:
    """Which shared memory a base is loaded with."""

    def test_the_package_may_have_none(self, folder: str, in_package: Path) -> None:
        """Then `auto` is the bare base."""
        assert packaged() == {}
        assert not in_package.exists()
        base = reload(folder)
        assert base.shared is None
        assert base.fingerprint == base.weights_hash

    def test_what_comes_with_the_package_is_whole(self) -> None:
        """Each can be loaded, says who agreed, and is small."""
        for name, place in packaged().items():
            memory = SharedMemory.load(place)
            assert memory.manifest.consent
            assert memory.n_bytes <= 8 * 2**20, name

    @pytest.mark.parametrize("file", ["manifest.json", "shared.safetensors"])
    def test_what_is_put_there_goes_into_the_wheel(self, file: str) -> None:
        """It takes the whole package but for what git ignores."""
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        assert settings["tool"]["hatch"]["build"]["targets"]["wheel"] == {
            "packages": ["src/lorecall"]
        }
        git = shutil.which("git")
        if git is None or not (ROOT / ".git").exists():
            pytest.skip("this is no git repository")
        place = f"src/lorecall/{module._PACKAGED}/any/{file}"
        asked = subprocess.run([git, "check-ignore", "-q", place], cwd=ROOT, check=False)
        assert asked.returncode == 1

    def test_auto_is_the_one_of_this_base(
        self, bare: LanguageModel, make_shared: MakeShared, folder: str, in_package: Path
    ) -> None:
        """By the hash of the weights; others of the package stay where they are."""
        make_shared(tiny_base("gpt2")).save(in_package / "a-gpt2")
        made = make_shared(bare)
        made.save(in_package / "ours")
        assert sorted(packaged()) == ["a-gpt2", "ours"]
        assert reload(folder).shared == SharedName(name="ours", sha256=made.sha256)

    def test_none_is_the_bare_base(
        self, shared: Path, folder: str, in_package: Path, bare: LanguageModel
    ) -> None:
        """Also where there is one for it."""
        SharedMemory.load(shared).save(in_package / "ours")
        base = reload(folder, shared="none")
        assert base.shared is None
        assert torch.equal(logits(base), logits(bare))

    def test_a_name_of_the_package(self, shared: Path, folder: str, in_package: Path) -> None:
        """It is kept as that name, wherever the package is installed."""
        SharedMemory.load(shared).save(in_package / "ours")
        found = reload(folder, shared="ours").shared
        assert found is not None
        assert found.name == "ours"

    def test_a_folder(
        self, shared: Path, folder: str, bare: LanguageModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By its whole path, so that it is found from elsewhere; its update is in the weights."""
        monkeypatch.chdir(shared.parent)
        base = reload(folder, shared="shared")
        memory = SharedMemory.load(shared)
        assert base.shared == SharedName(name=str(shared), sha256=memory.sha256)
        assert base.weights_hash == bare.weights_hash
        assert base.fingerprint != bare.fingerprint
        assert (logits(base) - logits(bare)).abs().max() > 1e-3
        memory.merge_into(bare, name="by hand")
        assert torch.equal(logits(base), logits(bare))

    def test_the_very_one_of_before(self, shared: Path, folder: str) -> None:
        """By name and hash, whatever number format the base is in."""
        before = reload(folder, shared=str(shared))
        assert before.shared is not None
        assert reload(folder, shared=before.shared).fingerprint == before.fingerprint
        in_bf16 = load_base(folder, shared=before.shared, device="cpu", dtype="bfloat16")
        assert in_bf16.fingerprint == before.fingerprint

    def test_another_in_its_place_is_refused(self, shared: Path, other: Path, folder: str) -> None:
        """Both hashes are in the line."""
        wanted = SharedName(name=str(shared), sha256=SharedMemory.load(other).sha256)
        with pytest.raises(ModelError, match="the shared memory it was trained on") as caught:
            reload(folder, shared=wanted)
        assert wanted.sha256[:12] in str(caught.value)
        assert SharedMemory.load(shared).sha256[:12] in str(caught.value)

    def test_another_bases_is_refused(self, shared: Path, tmp_path: Path) -> None:
        """With what can be done."""
        elsewhere = saved(tmp_path / "elsewhere", seed=1)
        with pytest.raises(ModelError, match=r"the base it was learnt for.*base\.shared=none"):
            reload(str(elsewhere), shared=str(shared))

    @pytest.mark.parametrize("name", ["nobody-knows-it", "./nowhere"])
    def test_one_that_is_not_there(self, folder: str, name: str) -> None:
        """Neither in the package nor a folder."""
        with pytest.raises(ArtefactError, match="a shared memory must be there"):
            reload(folder, shared=name)

    def test_a_base_in_four_bits_has_none(
        self, shared: Path, folder: str, in_package: Path
    ) -> None:
        """Unless it is asked for, which is refused."""
        pytest.importorskip("bitsandbytes", reason="the extra four-bit is not installed")
        SharedMemory.load(shared).save(in_package / "ours")
        assert load_base(folder, device="cpu", dtype="float32", four_bit=True).shared is None
        with pytest.raises(ModelError, match="a base in 4 bits"):
            load_base(folder, shared="ours", device="cpu", dtype="float32", four_bit=True)


class TestOnTop:
    """What is trained on a shared memory needs that one."""

    @pytest.fixture
    def memory(self, shared: Path, folder: str, make_memory: MakeMemory, tmp_path: Path) -> Path:
        """Return the folder of a person's memory on the shared one."""
        make_memory(reload(folder, shared=str(shared))).save(tmp_path / "person")
        return tmp_path / "person"

    def test_it_replies_on_its_own(self, memory: Path, folder: str, shared: Path) -> None:
        """The base that it names is loaded with it; the one it was made on will do, too."""
        stored = StoredMemory.load(memory)
        own = load_base_of(stored.manifest.base)
        made_on = reload(folder, shared=str(shared))
        assert own.fingerprint == stored.manifest.base.fingerprint == made_on.fingerprint
        assert shared_of(stored.manifest.base) == own.shared
        assert Memory.load(memory).base.fingerprint == made_on.fingerprint
        assert isinstance(Memory.load(memory, base=made_on).reply("hi"), str)

    def test_a_memory_of_the_bare_base_has_the_bare_base(
        self, bare: LanguageModel, shared: Path, folder: str, in_package: Path
    ) -> None:
        """Also where the package brings one for it by now."""
        SharedMemory.load(shared).save(in_package / "ours")
        assert load_base_of(identity_of_base(bare)).shared is None
        assert shared_of(identity_of_base(bare)) == "none"
        assert reload(folder).shared is not None

    def test_the_bare_base_is_refused(self, memory: Path, bare: LanguageModel) -> None:
        """The line says what it was trained on."""
        with pytest.raises(ModelError, match=r"works on the base .* with .*shared .*, got"):
            Memory.load(memory, base=bare)

    def test_another_shared_memory_is_refused(self, memory: Path, other: Path, folder: str) -> None:
        """It is another base; the line has both."""
        with pytest.raises(ModelError, match=r"with .*shared .* got .* with .*other"):
            Memory.load(memory, base=reload(folder, shared=str(other)))

    def test_another_in_the_folder_is_refused(
        self, memory: Path, shared: Path, other: Path
    ) -> None:
        """By its hash."""
        SharedMemory.load(other).save(shared)
        with pytest.raises(ModelError, match="the shared memory it was trained on"):
            _ = Memory.load(memory).base

    def test_another_process_loads_the_same(self, shared: Path, folder: str) -> None:
        """From what is sent to it as JSON."""
        base = reload(folder, shared=str(shared))
        sent = TypeAdapter(BaseAt).dump_json(BaseAt.of(base, 1))
        there = load_at(TypeAdapter(BaseAt).validate_json(sent))
        assert there.fingerprint == base.fingerprint
        assert there.shared == base.shared
        assert torch.equal(logits(there), logits(base))

    def test_another_process_loads_the_bare_base(
        self, shared: Path, bare: LanguageModel, in_package: Path
    ) -> None:
        """Where that is what is computed with, though the package brings one for it."""
        SharedMemory.load(shared).save(in_package / "ours")
        assert load_at(BaseAt.of(bare, 1)).shared is None


def test_a_manifest_is_written_as_json(shared: Path) -> None:
    """Plain values that come back as they were."""
    raw = json.loads((shared / "manifest.json").read_text(encoding="utf-8"))
    assert (raw["kind"], raw["consent"], raw["valid"][0]) == ("shared", "they were made up", [0, 3])
    assert SharedManifest.model_validate(raw) == SharedMemory.load(shared).manifest
