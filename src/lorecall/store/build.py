"""A build, in a process of its own: it is given a request on its standard input, and nothing else.

What it answers goes to standard output: `step SHARE` lines, then one `done {...}` line and the
packed version, if one was made. Only then comes, through a pipe of its own, what the version is to
be measured beside; the answer is a `measured {...}` line. Nothing is written to a disk.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from pydantic import TypeAdapter
from torch.nn import functional as F

from lorecall.core.files import sha256_of
from lorecall.core.processes import take_job
from lorecall.core.provenance import versions
from lorecall.data.history import by_conversation, is_long_enough, split_history
from lorecall.errors import InputError, LorecallError
from lorecall.lm.base import LanguageModel
from lorecall.lm.device import DTypeName, instruction_set, machine_name, set_threads
from lorecall.lm.prompts import layout_of
from lorecall.lm.source import find_base
from lorecall.memory.artefact import MANIFEST_FILE
from lorecall.memory.memory import StoredMemory
from lorecall.memory.shared import load_base
from lorecall.records import InjectionConfig
from lorecall.store.derive import RULES, derived
from lorecall.store.gate import Gate, Head
from lorecall.store.measure import measured
from lorecall.store.recipe import FORMAT, BuildRequest, Packed, canonical, digest_of
from lorecall.train.fit import fit_memory

PINNED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_DYNAMIC", "MKL_DYNAMIC", "PYTHONHASHSEED")
"""Variables of the environment that a recipe names."""
_PACKAGES = ("lorecall", "torch", "transformers", "tokenizers", "safetensors", "numpy")
_PROBE_STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a build came to: what is said of it, and the version with its base, if one was made."""

    said: dict[str, object]
    content: bytes = b""
    base: LanguageModel | None = None
    memory: StoredMemory | None = None


def built(request: BuildRequest, *, on_step: Callable[[float], None]) -> Done:
    """Build a version.

    Args:
        request: All that it is built from.
        on_step: Called after every training step with its share of the whole training.
    """
    history = derived(request.rows, user=request.user)
    n_conversations = len(by_conversation(history.samples))
    if not is_long_enough(n_samples=len(history.samples), n_conversations=n_conversations):
        found = f"{len(history.samples)} in {n_conversations}"
        return Done(said={"status": "short", "got": found})
    set_threads(request.n_threads)
    dtype: DTypeName = TypeAdapter(DTypeName).validate_python(request.base.dtype)
    base = load_base(
        request.base.name, shared=request.base.shared, device=request.base.device, dtype=dtype
    )
    theta = request.settings.design.config(base.n_layers, inject=request.settings.inject)
    recipe = canonical(recipe_of(request, base, theta))
    machine = machine_class(base)
    said: dict[str, object] = {"recipe": digest_of(recipe), "machine": machine}
    if said["recipe"] in request.known:
        return Done(said=said | {"status": "same"})
    settings = request.settings
    fitted = fit_memory(
        theta,
        split_history(history),
        base,
        settings=settings.train,
        seed=settings.seed,
        on_step=on_step,
    )
    packed = _packed(request, base, recipe, fitted.memory)
    content = packed.content()
    said |= {"status": "built", "digest": packed.digest, "size": len(content)}
    return Done(said=said, content=content, base=base, memory=fitted.memory)


def recipe_of(
    request: BuildRequest, base: LanguageModel, theta: InjectionConfig
) -> dict[str, object]:
    """Return everything that the bytes depend on, but the machine."""
    folder = find_base(base.name).folder
    beside = sorted(p for p in folder.iterdir() if p.suffix in {".json", ".jinja", ".txt"})
    settings = request.settings
    return {
        "format": FORMAT,
        "rules": RULES,
        "records": request.commitments,
        "base": base.weights_hash,
        "beside": {path.name: sha256_of(path) for path in beside},
        "prompts": layout_of(base.tokenizer),
        "shared": base.shared.sha256 if base.shared else None,
        "dtype": str(base.dtype).removeprefix("torch."),
        "device": base.device.type,
        "theta": asdict(theta),
        "theta_source": "policy",
        "train": asdict(settings.train),
        "seed": settings.seed,
        "threads": request.n_threads,
        "environment": {name: os.environ.get(name, "") for name in PINNED},
        "versions": versions(*_PACKAGES),
    }


def machine_class(base: LanguageModel) -> str:
    """Return what tells machines apart that may round differently: what they are, and do."""
    seen = {
        "machine": machine_name(base.device),
        "instructions": instruction_set(base.device),
        "torch": torch.__config__.show(),
        "probe": _probe(base.device, base.dtype),
    }
    return digest_of(canonical(dict(seen)))


def _probe(device: torch.device, dtype: torch.dtype) -> str:
    """Train something small, and hash what came out."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=generator) for shape in ((64, 96), (96, 48), (48, 96))]
    x, *weights = (each.to(device) for each in drawn)
    trained = [weight.requires_grad_() for weight in weights]
    optimiser = torch.optim.AdamW(trained, lr=1e-2)
    for _ in range(_PROBE_STEPS):
        hidden = F.silu((x.to(dtype) @ trained[0].to(dtype)).float())
        loss = F.cross_entropy(hidden @ trained[1], torch.arange(64, device=device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    digest = hashlib.sha256()
    for weight in trained:
        digest.update(weight.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _packed(
    request: BuildRequest, base: LanguageModel, recipe: str, memory: StoredMemory
) -> Packed:
    """Pack it without the samples' ids: a hash of a short text tells the text."""
    manifest = memory.manifest
    training = manifest.training.model_copy(update={"sample_ids": ()})
    named = StoredMemory(
        manifest=manifest.model_copy(update={"training": training}), tensors=memory.tensors
    )
    files = named.files()
    place = asdict(request.base) | {"dtype": str(base.dtype).removeprefix("torch.")}
    again = {
        "base": place | {"shared": base.shared.name if base.shared else "none"},
        "settings": asdict(request.settings),
        "n_threads": request.n_threads,
    }
    return Packed(
        recipe=recipe,
        again=canonical(again),
        manifest=files[MANIFEST_FILE].decode(),
        weights=files[StoredMemory.weights_file],
    )


def _gate(descriptor: int) -> Gate | None:
    """Return what a version is to be measured beside; None where it is not to be."""
    with os.fdopen(descriptor, "rb") as more:
        line = more.readline()
        if not line:
            return None
        told = json.loads(line)
        content = more.read(told["size"])
    if not content:
        return Gate()
    packed = Packed.of_content(content)
    return Gate(head=Head(n=told["n"], packed=packed, held=tuple(told["held"])))


def main() -> None:
    """Build what comes on standard input."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer

    def tell(word: str, value: object, content: bytes = b"") -> None:
        answers.write(f"{word} {json.dumps(value)}\n".encode() + content)
        answers.flush()

    request = TypeAdapter(BuildRequest).validate_json(take_job())
    try:
        done = built(request, on_step=lambda share: tell("step", share))
    except InputError as error:
        fields = {"expected": error.expected, "got": error.got, "next_step": error.next_step}
        kind = type(error).__name__
        tell("done", {"status": "refused", "kind": kind, "rule": error.rule, **fields})
    except LorecallError as error:
        sys.exit(str(error))
    else:
        tell("done", done.said, done.content)
        if done.base and done.memory and (gate := _gate(int(sys.argv[1]))):
            found = measured(request, done.base, done.memory, gate)
            tell("measured", asdict(found))
    answers.close()
    os._exit(0)  # the thread that watches the parent would be waited for


if __name__ == "__main__":
    main()
