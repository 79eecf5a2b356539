"""Who builds versions in no time, for what is measured of a store and not of a training.

Weights are a hash of all that a build is given, so that two versions are the same bytes exactly if
they were built from the same.
"""

import hashlib
import json
import struct
from dataclasses import asdict

from lorecall.store import BuildRequest, Built, Gate, Measured, Packed

ENOUGH = 20
HARMLESS = Measured(general=3.5, general_before=3.5, valid=4.0, valid_before=4.2, n_valid=3)


def stand_in(request: BuildRequest, *, gate: Gate | None = None, **_: object) -> Built:
    """Build a version, unless it is known or there is too little.

    Args:
        request: What it is built from.
        gate: What it is measured beside; it harms nothing.
    """
    if len(request.rows) < ENOUGH:
        return Built(short=f"{len(request.rows)} in 1")
    recipe = json.dumps({"records": request.commitments, "seed": request.settings.seed})
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    if digest in request.known:
        return Built(recipe=digest, machine="m" * 64)
    seen = hashlib.sha256("".join(map(repr, request.rows)).encode()).digest()
    manifest = {"theta": {}, "stop_bias": 0.5, "stop_ids": [1], "no_repeat": 3, "factor": 1.0}
    packed = Packed(
        recipe=recipe,
        again=json.dumps({"settings": asdict(request.settings), "n_threads": request.n_threads}),
        manifest=json.dumps(manifest),
        weights=_tensor("layers.0.up.down", seen * 4),
    )
    return Built(
        recipe=digest,
        machine="m" * 64,
        packed=packed,
        measured=None if gate is None else HARMLESS,
    )


def _tensor(name: str, content: bytes) -> bytes:
    """Return a safetensors file of one tensor of bytes."""
    entry = {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]}
    head = json.dumps({name: entry}).encode()
    return struct.pack("<Q", len(head)) + head + content
