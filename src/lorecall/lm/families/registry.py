"""Which family a model is of: one of ours, one that is installed, or what its structure shows."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from lorecall.errors import ModelError
from lorecall.lm.families import gemma, gpt2, llama, neox, phi3, roberta
from lorecall.lm.families.family import Family
from lorecall.lm.families.structure import found_family

ENTRY_POINTS = "lorecall.families"
FAMILIES = {
    family.name: family
    for module in (llama, gemma, phi3, gpt2, neox, roberta)
    for family in module.FAMILIES
}


def known_family(kind: str) -> Family | None:
    """Return the family of a `model_type`: ours, or one that is installed; None where none is.

    Raises:
        ModelError: What is installed for it is no family.
    """
    if kind in FAMILIES:
        return FAMILIES[kind]
    installed = entry_points(group=ENTRY_POINTS, name=kind)
    return _loaded(next(iter(installed))) if installed else None


def family_of(model: PreTrainedModel) -> Family:
    """Find the family of a model.

    Raises:
        ModelError: It is no causal language model, or no feed-forward linears are found in it.
    """
    kind = str(model.config.model_type)
    return known_family(kind) or found_family(model)


def check_config(raw: Mapping[str, object]) -> None:
    """Refuse, from `config.json` alone, what can be no base.

    Raises:
        ModelError: It encodes and decodes, or transformers has no causal language model of it.
    """
    kind = str(raw.get("model_type"))
    if raw.get("is_encoder_decoder"):
        raise ModelError(
            "a base predicts the next token of one text",
            expected="a causal language model",
            got=f"{kind!r}, which encodes one text and decodes another",
            next_step="Take a decoder, such as a Llama, Qwen or Gemma model.",
        )
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and known_family(kind) is None:
        raise ModelError(
            "a base is a causal language model of transformers",
            expected=f"model_type {', '.join(FAMILIES)}, or another of transformers'",
            got=repr(kind),
            next_step="Take another base, or install a package that adds this family.",
        )


def check_structure(config: PretrainedConfig) -> None:
    """Refuse, before weights are read, a model of no family in which no place is found.

    Raises:
        ModelError: There are experts, or no feed-forward linears.
    """
    if known_family(str(config.model_type)) is not None:
        return
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    found_family(model)


def _loaded(entry: EntryPoint) -> Family:
    try:
        family = entry.load()
    except Exception as reason:  # another's code raises anything
        raise _no_family(entry, f"{type(reason).__name__}: {str(reason)[:160]}") from reason
    if not isinstance(family, Family):
        raise _no_family(entry, type(family).__name__)
    return family


def _no_family(entry: EntryPoint, got: str) -> ModelError:
    owner = entry.dist.name if entry.dist is not None else "an unknown package"
    return ModelError(
        "an installed family must be a Family",
        expected=f"{entry.value} of {owner} to be one",
        got=got,
        next_step=f"Update or remove {owner}.",
    )
