"""What other people's personal memories have in common, as a prior for a new person's.

    python experiments/people_basis.py learn FOLDER USER ...   # a rank-1 memory of each, kept
    python experiments/people_basis.py try FOLDER SPEC ... --users USER ...

`try` takes apart, for every linear, the updates of all memories in FOLDER (but the user's own), and
trains a new person's memory in what is found there. A SPEC is `form,rank,scaling`: `pair` is the
plain memory, `core` mixes the leading directions of the people's inputs and outputs, `start` begins
a pair at their leading direction of inputs. `pair@50` learns from the newest half alone. Each row
goes to FOLDER/rows.jsonl: the test loss less the shared memory's, at w = 1 and at the w that the
validation part likes best.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from machine import machine
from safetensors.torch import load_file, save_file

from lorecall import InjectionConfig, load_base, load_history, preset
from lorecall.data import split_history
from lorecall.lm import LanguageModel, set_threads
from lorecall.lm.attach import Injection
from lorecall.lm.lora import Core, Directions
from lorecall.train import TrialRunner
from lorecall.train.loop import train

SETTINGS = preset("laptop").train
FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


def main() -> None:
    """Learn memories, or try a new person's in what they span."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("learn", "try"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("given", nargs="+")
    parser.add_argument("--users", nargs="*", default=[])
    options = parser.parse_args()
    set_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    base = load_base()
    if options.what == "learn":
        for user in options.given:
            learn(user, options.folder, base)
        return
    for user in options.users:
        for spec in options.given:
            row = tried(user, spec, options.folder, base)
            append_rows(options.folder, row)
            print(json.dumps(row), flush=True)


def append_rows(folder: Path, row: dict[str, object]) -> None:
    """Keep a row."""
    with (folder / "rows.jsonl").open("a") as rows:
        rows.write(json.dumps(row | {"machine": machine()}) + "\n")


def plain(base: LanguageModel, rank: int, scaling: float, seed: int = 0) -> Injection:
    """Return a new memory in every layer."""
    layers = tuple(range(base.n_layers))
    theta = InjectionConfig(layers=layers, n_loras=len(layers), rank=rank, scaling=scaling)
    return Injection(base, theta, seed=seed)


def learn(user: str, folder: Path, base: LanguageModel) -> None:
    """Train one person's memory as `lorecall learn` does by default, and keep its pairs."""
    if (folder / f"{user}.safetensors").exists():
        return
    split = split_history(load_history("chitchat", user=user))
    runner = TrialRunner(base, settings=SETTINGS, seed=0)
    data = runner.data(split, split.train)
    injection = plain(base, 1, 64)
    report = fitted(injection, runner, data)
    save_file(injection.tensors(), folder / f"{user}.safetensors")
    print(
        user[:8], f"{report.best.loss - data.base_loss:+.4f}", f"{report.seconds:.0f} s", flush=True
    )


def fitted(injection, runner, data):  # noqa: ANN001, ANN201
    """Train the pairs to their best point."""
    return train(
        injection,
        data.train.together,
        data.valid.encoded,
        settings=runner.settings,
        seed=0,
        base_loss=data.base_loss,
        engine=runner.engine(injection),
    )


def directions(folder: Path, user: str) -> dict[str, Directions]:
    """Return, for every linear, the leading directions of all others' updates."""
    others = [load_file(path) for path in sorted(folder.glob("*.safetensors")) if path.stem != user]
    found = {}
    for key in sorted({name.rsplit(".", 1)[0] for name in others[0]}):
        down = torch.cat([each[f"{key}.down"] for each in others])  # (people, k)
        up = torch.cat([each[f"{key}.up"] for each in others], dim=1)  # (d, people)
        size = down.norm(dim=1)  # each person's update counts as large as it is
        gram = (up * size).double()
        outputs, _, _ = torch.linalg.svd(gram, full_matrices=False)
        weights = up.norm(dim=0)[:, None] * down
        _, _, inputs = torch.linalg.svd(weights.double(), full_matrices=False)
        found[key] = Directions(inputs=inputs.float(), outputs=outputs.float())
    return found


def tried(user: str, spec: str, folder: Path, base: LanguageModel) -> dict[str, object]:
    """Train one person's memory of one form and read its test part."""
    form, rank, scaling = spec.split(",")
    form, _, share = form.partition("@")
    split = split_history(load_history("chitchat", user=user))
    used = split.train[-max(1, round(len(split.train) * int(share or 100) / 100)) :]
    runner = TrialRunner(base, settings=replace(SETTINGS), seed=0)
    data = runner.data(split, used)
    test = runner.encode(split.test)
    injection = made(form, int(rank), float(scaling), base, folder, user)
    report = fitted(injection, runner, data)
    shared = fmean(runner.losses(test))
    by_factor = {w: (data.base_loss, shared) for w in FACTORS if not w}
    kept = injection.tensors()
    part = "core" if form == "core" else "up"
    for w in FACTORS[1:]:
        injection.load({k: v * w if k.endswith(part) else v for k, v in kept.items()})
        by_factor[w] = (
            fmean(runner.losses(data.valid, injection=injection)),
            fmean(runner.losses(test, injection=injection)),
        )
    best = min(FACTORS, key=lambda w: (by_factor[w][0], w))
    return {
        "user": user[:8],
        "spec": spec,
        "n": [len(used), len(split.valid), len(split.test)],
        "shared": shared,
        "less": by_factor[1.0][1] - shared,
        "w": best,
        "less_w": by_factor[best][1] - shared,
        "valid": by_factor[1.0][0] - data.base_loss,
        "by_factor": {str(w): by_factor[w][1] - shared for w in FACTORS},
        "train_s": report.seconds,
    }


def made(
    form: str, rank: int, scaling: float, base: LanguageModel, folder: Path, user: str
) -> Injection:
    """Return a memory of a form, before its training."""
    injection = plain(base, rank, scaling)
    if form == "pair":
        return injection
    known = directions(folder, user)
    for key, pair in list(injection.named_pairs()):
        first = known[key].first(rank)
        if form == "start":
            with torch.no_grad():
                pair.down.copy_(F.normalize(first.inputs, dim=1) * pair.down.norm(dim=1).mean())
            continue
        core = torch.zeros(rank, rank)
        injection._pairs[key] = Core(pair.linear, first, core, scaling=scaling)  # noqa: SLF001
    if form == "core":
        shapes = {f"{key}.core": (rank, rank) for key in known}
        injection._check = lambda tensors: shapes  # noqa: ARG005, SLF001
    return injection


if __name__ == "__main__":
    main()
