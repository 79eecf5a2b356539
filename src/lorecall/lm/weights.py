"""Weights put into a model as they lie in its files, where those name just what the model has.

transformers goes another way: for any model that it loads it compiles the renamings of all its
families, a thousand patterns, and applies them to every name. Most files need none, and a base is
then there in a third of the time. Whatever is otherwise, or damaged, is left to transformers, which
says what is wrong.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.initialization import no_init_weights

_FILE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_GENERATION = "generation_config.json"


def read_directly(
    folder: Path, config: PretrainedConfig, dtype: torch.dtype
) -> PreTrainedModel | None:
    """Return a folder's model, on the CPU and as `from_pretrained` would; None where that differs.

    Args:
        folder: Holds the weights, in safetensors.
        config: The model's configuration.
        dtype: The number format of its weights.
    """
    files = _files(folder)
    if not files:
        return None
    with no_init_weights():
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    tied: set[str] = set(model.all_tied_weights_keys)
    try:
        tensors = _tensors(files)
    except (OSError, SafetensorError):
        return None
    found = {name: tensor.shape for name, tensor in tensors.items()}
    own = {name: shape for name, shape in shapes.items() if name not in tied}
    if found != own or _keeps_fp32(model, dtype):
        return None
    # what is not a number with a fraction, such as a mask, stays as it is
    cast = {k: each.to(dtype) if each.is_floating_point() else each for k, each in tensors.items()}
    model.load_state_dict(cast, strict=False, assign=True)
    model.tie_weights()
    if (folder / _GENERATION).is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    return model.eval()


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder's weights; none where they lie otherwise."""
    if (folder / _FILE).is_file():
        return [folder / _FILE]
    try:
        names = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values()
    except (OSError, ValueError, KeyError):
        return []
    return [folder / name for name in sorted(set(names))]


def _tensors(files: list[Path]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for file in files:
        with safe_open(file, framework="pt") as opened:
            found |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return found


def _keeps_fp32(model: PreTrainedModel, dtype: torch.dtype) -> bool:
    """Whether some modules stay in fp32 whatever the rest is in."""
    names = ("_keep_in_fp32_modules", "_keep_in_fp32_modules_strict")
    return dtype != torch.float32 and any(getattr(model, name) for name in names)
