"""Weights read as they lie in a file: what transformers reads, or nothing."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.weights import read_directly

FILE = "model.safetensors"
EVERY = (
    *("llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2", "gemma2", "gemma3_text", "phi3"),
    *("gpt2", "gpt_neox", "roberta"),
)


def config_of(folder: Path) -> PretrainedConfig:
    """Read a configuration as a base does."""
    config = AutoConfig.from_pretrained(folder)
    config.is_decoder = True
    return config


@pytest.mark.parametrize("family", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_what_transformers_reads(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """Weights and buffers to the bit, the configurations, and what it computes."""
    tiny_base(family, n_layers=2, width=16).model.save_pretrained(tmp_path)
    ours = read_directly(tmp_path, config_of(tmp_path), dtype)
    assert ours is not None
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, config=config_of(tmp_path), dtype=dtype)
    for values in ("state_dict", "named_buffers"):
        mine, other = (dict(getattr(model, values)()) for model in (ours, theirs))
        assert mine.keys() == other.keys()
        assert all(torch.equal(mine[name], other[name]) for name in mine)
        assert {t.dtype for t in mine.values()} == {t.dtype for t in other.values()}
    assert ours.config.to_dict() == theirs.config.to_dict()
    assert ours.generation_config.to_dict() == theirs.generation_config.to_dict()
    assert not ours.training
    ids = torch.arange(5, 12)[None]
    assert torch.equal(ours(ids).logits, theirs(ids).logits)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a tiny model."""
    tiny_base("llama", n_layers=1, width=16).model.save_pretrained(tmp_path)
    return tmp_path


def test_several_files_are_read(folder: Path) -> None:
    """As the index names them."""
    tensors = load_file(folder / FILE)
    whole = read_directly(folder, config_of(folder), torch.float32)
    names = sorted(tensors)
    for part, chosen in (("a", names[::2]), ("b", names[1::2])):
        save_file({n: tensors[n].clone() for n in chosen}, folder / f"{part}.safetensors")
    (folder / FILE).unlink()
    where = {n: f"{'ab'[i % 2]}.safetensors" for i, n in enumerate(names)}
    (folder / f"{FILE}.index.json").write_text(json.dumps({"weight_map": where}))
    parts = read_directly(folder, config_of(folder), torch.float32)
    assert whole is not None
    assert parts is not None
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True)
    )


@pytest.mark.parametrize("what", ["renamed", "missing", "extra", "shape", "cut", "none", "index"])
def test_what_is_otherwise_is_left_to_transformers(folder: Path, what: str) -> None:
    """Names or shapes of another model, a damaged file, or none."""
    tensors = {name: tensor.clone() for name, tensor in load_file(folder / FILE).items()}
    first = min(tensors)
    changed = {
        "renamed": {**tensors, f"old.{first}": tensors[first]},
        "missing": tensors,
        "extra": {**tensors, "more": torch.zeros(1)},
        "shape": {**tensors, first: torch.zeros(3, 5)},
    }
    if what in {"renamed", "missing"}:
        del changed[what][first]
    if what in changed:
        save_file(changed[what], folder / FILE)
    elif what == "cut":
        (folder / FILE).write_bytes((folder / FILE).read_bytes()[:-9])
    else:
        (folder / FILE).unlink()
    if what == "index":
        (folder / f"{FILE}.index.json").write_text("{")
    assert read_directly(folder, config_of(folder), torch.float32) is None
