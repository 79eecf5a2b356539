"""Our injection against `peft`'s LoRA on the same weights, every family."""

import copy
import re
from collections.abc import Callable, Mapping

import peft
import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.plain import acting_on
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.hooks import acting
from lorecall.records import InjectionConfig

Fill = Callable[..., dict[str, Tensor]]
IDS = torch.tensor([[5, 9, 30, 77, 8, 200], [6, 6, 101, 12, 40, 41]])
CONFIGS = {
    "equal ranks": InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=4),
    "unequal ranks": InjectionConfig(layers=(0, 1, 2), n_loras=5, rank=4),
    "some layers, scaled": InjectionConfig(layers=(0, 2), n_loras=3, rank=6, scaling=0.3),
    "every": InjectionConfig(layers=(1, 2), n_loras=2, rank=4, placement="every", scaling=2.0),
}


def path_of(base: LanguageModel, key: str) -> tuple[str, str]:
    """Split `layers.{layer}.{linear}.{half}` into the linear's path and the half."""
    linear, _, half = key.rpartition(".")
    _, layer, name = linear.split(".", 2)
    return base.family.paths[name].format(layer=layer), half


def with_peft(
    base: LanguageModel, config: InjectionConfig, tensors: Mapping[str, Tensor]
) -> peft.PeftModel:
    """Put the same pairs on a copy of the base with `peft`, each linear by its full name."""
    ranks = config.ranks()
    paths = {path_of(base, key)[0] for key in tensors}
    rank_of = {re.escape(path): ranks[int(re.findall(r"\d+", path)[0])] for path in sorted(paths)}
    lora = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.rank,
        target_modules=sorted(paths),
        rank_pattern=rank_of,
        alpha_pattern={path: config.scaling * rank for path, rank in rank_of.items()},
        fan_in_fan_out=base.family.transposed,
        lora_dropout=0.0,
    )
    model = peft.get_peft_model(copy.deepcopy(base.model), lora).eval()
    for key, tensor in tensors.items():
        path, half = path_of(base, key)
        layer = model.get_submodule(f"base_model.model.{path}")
        target = layer.lora_A if half == "down" else layer.lora_B
        with torch.no_grad():
            target["default"].weight.copy_(tensor)
    return model


@pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
@pytest.mark.parametrize("case", sorted(CONFIGS))
@pytest.mark.parametrize("attention", [False, True])
def test_logits_equal_those_of_peft(family: str, case: str, fill: Fill, *, attention: bool) -> None:
    """To 1e-5 in fp32, Conv1D's transposed weights included."""
    base, config = tiny_base(family), CONFIGS[case]
    linears = tuple(base.family.attention) if attention else None
    with torch.no_grad():
        vanilla = base.model(IDS).logits
        injection = Injection(base, config, linears=linears)
        tensors = fill(injection)
        with acting(acting_on(injection)):
            ours = base.model(IDS).logits
        theirs = with_peft(base, config, tensors)(IDS).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert (ours - vanilla).abs().max() > (0.01 if attention else 0.05)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
def test_gradients_equal_those_of_peft(family: str, fill: Fill, *, attention: bool) -> None:
    """Training takes the same steps, on feed-forward linears and on queries and values."""
    base, config = tiny_base(family), CONFIGS["some layers, scaled"]
    linears = tuple(base.family.attention) if attention else None
    injection = Injection(base, config, linears=linears)
    tensors = fill(injection)
    with acting(acting_on(injection)):
        base.model(IDS).logits.square().mean().backward()
    keys = list(tensors)
    ours = {key: p.grad for key, p in zip(keys, injection.parameters(), strict=True)}
    theirs = with_peft(base, config, tensors)
    theirs(IDS).logits.square().mean().backward()
    for key, gradient in ours.items():
        path, half = path_of(base, key)
        layer = theirs.get_submodule(f"base_model.model.{path}")
        pair = layer.lora_A if half == "down" else layer.lora_B
        torch.testing.assert_close(gradient, pair["default"].weight.grad, atol=1e-5, rtol=1e-4)
