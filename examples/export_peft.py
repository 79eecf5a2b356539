"""A memory as a PEFT adapter, loaded by `peft`, which knows nothing of lorecall.

    python examples/export_peft.py runs/ann --out runs/ann-peft

Needs `pip install 'lorecall[peft]'`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

import lorecall


def main(arguments: Sequence[str] | None = None) -> None:
    """Export a memory, load the adapter, and compare what both say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("memory", type=Path, help="a run's folder, or the memory in it")
    parser.add_argument("--out", type=Path, required=True, help="a folder of its own")
    parser.add_argument("--model", help="the base's folder, for `peft`; else by its name")
    options = parser.parse_args(arguments)

    memory = lorecall.Memory.load(options.memory)
    lorecall.export_peft(memory.stored, options.out)
    print("wrote", ", ".join(sorted(file.name for file in options.out.iterdir())))

    base = AutoModelForCausalLM.from_pretrained(options.model or memory.manifest.base.name)
    adapted = PeftModel.from_pretrained(base, str(options.out)).eval()
    tokens = memory.base.tokenizer("What did you do today?", return_tensors="pt").input_ids
    with torch.no_grad(), adapted.disable_adapter():
        alone = adapted(tokens).logits
    with torch.no_grad():
        both = adapted(tokens).logits
    print(f"the adapter moves the logits by up to {(both - alone).abs().max().item():.3g}")
    print("memory:", memory.reply("What did you do today?"))


if __name__ == "__main__":
    main()
