"""Tiny models of every family, built on the spot from a configuration: for tests and examples.

They answer nonsense, at once and without a download; everything else about them is real.
"""

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from lorecall.errors import ModelError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.registry import FAMILIES, known_family

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = ("<pad>", "<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")


def tiny_base(
    family: str = "llama",
    *,
    n_layers: int = 3,
    width: int = 32,
    seed: int = 0,
    chat: bool | None = None,
    dtype: torch.dtype = torch.float32,
) -> LanguageModel:
    """Build a random model of a family, with a byte-level tokeniser.

    Args:
        family: A `model_type` that has a family.
        n_layers: L.
        width: Hidden size, a multiple of 4.
        seed: Seed of the weights.
        chat: Whether there is a chat template; None for llama alone.
        dtype: The weights' number format.

    Raises:
        ModelError: The family is unknown.

    Examples:
        >>> from lorecall.lm import tiny_base
        >>> base = tiny_base("qwen3", n_layers=2)
        >>> base.name, base.n_layers, base.has_fast_path
        ('tiny-qwen3', 2, True)
        >>> same, another = (tiny_base("qwen3", n_layers=2, seed=seed) for seed in (0, 1))
        >>> same.fingerprint == base.fingerprint, another.fingerprint == base.fingerprint
        (True, False)
    """
    known = known_family(family)
    if known is None:
        raise ModelError(
            "the family must be known",
            expected=", ".join(FAMILIES),
            got=repr(family),
            next_step="Choose one of them.",
        )
    tokenizer = tiny_tokenizer(chat=family == "llama" if chat is None else chat)
    common = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 1024,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "tie_word_embeddings": True,
    }
    sizes = {} if family == "gpt2" else {"intermediate_size": 2 * width, "num_key_value_heads": 2}
    config = AutoConfig.for_model(family, **{**common, **sizes, **known.tiny})
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="eager")
    torch.random.set_rng_state(state)
    return LanguageModel(model, tokenizer, name=f"tiny-{family}")


def tiny_tokenizer(*, chat: bool) -> PreTrainedTokenizerFast:
    """Build a tokeniser whose tokens are the bytes and a few special ones."""
    vocabulary = [*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bpe = models.BPE(vocab={token: i for i, token in enumerate(vocabulary)}, merges=[])
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_SPECIAL[0],
        bos_token=_SPECIAL[1],
        eos_token=_SPECIAL[2],
    )
    if chat:
        fast.chat_template = CHAT_TEMPLATE
    return fast
