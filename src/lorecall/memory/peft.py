"""Write a memory as a standard PEFT adapter, which `peft` and vLLM load.

PEFT has one scaling for all layers of an adapter, alpha over rank. Here the scaling is folded into
B, and alpha is the rank everywhere, which makes PEFT's own factor 1. Layers of another rank than
most are named in `rank_pattern` and `alpha_pattern`. The logits stay the same.

What makes replies as long as the person's is no part of an adapter. It goes beside it, as the
`sequence_bias` of a generation configuration, which `transformers` reads; its keys are the tokens
that vLLM takes a `logit_bias` for.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import mode

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from lorecall.core.files import new_folder, write_bytes, write_json
from lorecall.errors import ConfigError, RunError
from lorecall.lm.lora import Directions
from lorecall.memory.artefact import Artefact, PairsManifest
from lorecall.memory.shared import SharedMemory, find_shared

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
GENERATION_FILE = "generation_config.json"
HUB_IDS = {"smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""What the bases that come from a package are called on the hub."""


def export_peft(memory: Artefact[PairsManifest], folder: Path) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`.

    Where the memory's replies have a length of their own, `generation_config.json` too. The adapter
    is for the base as it was shipped: of a memory that stands on a shared one it holds both.

    Args:
        memory: A person's memory, or a shared one.
        folder: A new or empty folder, or one that holds an earlier export.

    Raises:
        RunError: The folder holds something else.
        ConfigError: The memory acts on responses alone.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> from lorecall import StoredMemory, export_peft
        >>> export_peft(StoredMemory.load("runs/ann"), Path("adapter"))
        >>> config = json.loads(Path("adapter/adapter_config.json").read_text(encoding="utf-8"))
        >>> config["peft_type"], config["r"] == config["lora_alpha"]
        ('LORA', True)
    """
    if memory.config.inject != "all":
        raise ConfigError(
            "a PEFT adapter acts on every token",
            expected="a memory that acts on all tokens",
            got="one that acts on the response side alone",
            next_step="Learn it with --set search.inject=all to export it.",
        )
    if folder.exists() and not _may_replace(folder):
        raise RunError(
            "an export goes to a folder of its own",
            expected="a new or empty folder, or an earlier export",
            got=str(folder),
            next_step="Choose another folder.",
        )
    with new_folder(folder) as temporary:
        tensors = adapter_tensors(memory)
        write_bytes(temporary / WEIGHTS_FILE, save_safetensors(tensors))
        write_json(temporary / CONFIG_FILE, adapter_config(memory, tensors))
        if biases := stop_biases(memory):
            write_json(temporary / GENERATION_FILE, {"sequence_bias": biases})


def adapter_tensors(memory: Artefact[PairsManifest]) -> dict[str, Tensor]:
    """Name and scale the pairs as PEFT expects them.

    Args:
        memory: The memory.

    Returns:
        `...lora_A.weight` (R x k) and `...lora_B.weight` (d x R) for every linear, R its own rank.

    Raises:
        ArtefactError: The shared memory that it stands on is not there.
        ModelError: Another one is.
    """
    own = memory.manifest.base.shared
    below = None if own is None else find_shared(own.name, sha256=own.sha256)
    pairs: dict[str, tuple[Tensor, Tensor]] = {} if below is None else scaled_pairs(below)
    for key, (A, B) in scaled_pairs(memory, below).items():
        below_A, below_B = pairs.get(key, (A[:0], B[:, :0]))
        pairs[key] = torch.cat([below_A, A]), torch.cat([below_B, B], dim=1)
    tensors: dict[str, Tensor] = {}
    for key, (down, up) in pairs.items():
        _, layer, name = key.split(".", 2)
        path = f"base_model.model.{memory.manifest.base.paths[name].format(layer=layer)}"
        tensors[f"{path}.lora_A.weight"] = down.contiguous()
        tensors[f"{path}.lora_B.weight"] = up.contiguous()
    return tensors


def scaled_pairs(
    memory: Artefact[PairsManifest], below: SharedMemory | None = None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return A and s B of each linear; of a core A = V and B = U C.

    Args:
        memory: The memory.
        below: The shared memory whose directions its cores mix.
    """
    rank, scaling = memory.config.rank, memory.config.scaling
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for name, tensor in memory.tensors.items():
        key, _, part = name.rpartition(".")
        if part == "down":
            pairs[key] = tensor, scaling * memory.tensors[f"{key}.up"]
        elif part == "core" and below is not None:
            down, up = (below.tensors[f"{key}.{half}"].float() for half in ("down", "up"))
            V, U = Directions.of(down, up).first(rank)
            pairs[key] = V.to(tensor.dtype), (scaling * U @ tensor.float()).to(tensor.dtype)
    return pairs


def adapter_config(
    memory: Artefact[PairsManifest], tensors: Mapping[str, Tensor]
) -> dict[str, object]:
    """Make the configuration; layers without a module are left out of `layers_to_transform`.

    An empty `layers_to_transform` would adapt every layer; theta always has a layer, so the list
    is never empty.

    Args:
        memory: The memory.
        tensors: What `adapter_tensors` made of it.
    """
    base = memory.manifest.base
    places = {
        f"base_model.model.{path.format(layer=i)}.lora_A.weight": (name, i)
        for name, path in base.paths.items()
        for i in range(base.n_layers)
    }
    ranks = {places[key]: len(tensor) for key, tensor in tensors.items() if key in places}
    rank = mode(ranks.values())
    others = {
        base.paths[name].format(layer=layer): other
        for (name, layer), other in ranks.items()
        if other != rank
    }
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": HUB_IDS.get(base.name, base.name),
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": others,
        "alpha_pattern": others,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "fan_in_fan_out": base.fan_in_fan_out,
        "target_modules": sorted({base.peft_targets[name].format(layer=i) for name, i in ranks}),
        "layers_to_transform": sorted({layer for _, layer in ranks}),
    }


def stop_biases(memory: Artefact[PairsManifest]) -> list[tuple[tuple[int, ...], float]]:
    """Return what is added to the logits of the tokens that end a reply; none where that is 0.

    A memory of before its manifest named those tokens gives none either.
    """
    bias = memory.manifest.stop_bias
    return [((token,), bias) for token in memory.manifest.stop_ids if bias]


def _may_replace(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return {file.name for file in folder.iterdir()} <= {WEIGHTS_FILE, CONFIG_FILE, GENERATION_FILE}
