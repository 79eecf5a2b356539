"""What a user of peft would write: LoRA on a plain transformers model, by Trainer or by hand.

The weights are the base's own wherever the number format is the same; modules and adapters are
apart from it.
"""

import copy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import peft
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from trial_ours import SETTINGS, synchronise
from trial_work import BATCH_SIZE, Batch, Task

from lorecall import InjectionConfig
from lorecall.lm import LanguageModel
from lorecall.metrics import rouge

IGNORED = -100
Feature = dict[str, list[int]]


def features(samples: Batch) -> list[Feature]:
    """Make what a Trainer's dataset holds: tokens, and labels on the response alone."""
    return [
        {
            "input_ids": [*sample.prompt, *sample.response],
            "labels": [*[IGNORED] * len(sample.prompt), *sample.response],
        }
        for sample in samples
    ]


class PadToLongest:
    """Collates features: padded on the right to the longest of the batch.

    Args:
        pad_id: The token to fill with.
    """

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, batch: Sequence[Feature]) -> dict[str, Tensor]:
        """Pad tokens, mask and labels. *Shape:* (batch, tokens) each."""
        ids = [torch.tensor(feature["input_ids"]) for feature in batch]
        labels = [torch.tensor(feature["labels"]) for feature in batch]
        ones = [torch.ones_like(row) for row in ids]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.pad_id),
            "attention_mask": pad_sequence(ones, batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }


def plain_copy(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Build new modules on the same weights, or on converted ones where the format differs."""
    memo: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    for weight in model.parameters():
        same = weight.dtype == dtype
        memo[id(weight)] = weight if same else nn.Parameter(weight.to(dtype), requires_grad=False)
    copied = copy.deepcopy(model, memo)
    copied.config.dtype = dtype
    copied.set_attn_implementation("sdpa")  # transformers' default
    return copied


class Peft:
    """A model with adapters of peft, as many on a layer as theta deals it modules.

    Args:
        base: The base whose weights are used; no memory may be on it.
        dtype: The number format of the weights and the adapters.
    """

    name = "peft"

    def __init__(self, base: LanguageModel, dtype: torch.dtype) -> None:
        self.base = base
        self.dtype = dtype
        self.plain = plain_copy(base.model, dtype)
        self.collate = PadToLongest(base.pad_id)

    def put_on(self, config: InjectionConfig) -> None:
        """Put adapters on, all of them active and trained."""
        family = self.base.family
        (n_modules,) = set(config.modules_per_layer().values())  # the cases deal them evenly
        layers = sorted(config.ranks())
        paths = [family.linears[name].format(layer=i) for name in family.default for i in layers]
        lora = peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.rank,
            lora_dropout=0.0,
            target_modules=sorted(paths),
            fan_in_fan_out=family.transposed,
            task_type="CAUSAL_LM",
        )
        self.adapters = [f"module{i}" for i in range(n_modules)]
        first, *others = self.adapters
        # adapters in the weights' own format: in bf16, casting to fp32 and back would slow it down
        self.model = peft.get_peft_model(
            plain_copy(self.plain, self.dtype),
            lora,
            adapter_name=first,
            autocast_adapter_dtype=False,
        )
        for name in others:
            self.model.add_adapter(name, lora, autocast_adapter_dtype=False)
        self.model.base_model.set_adapter(self.adapters)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]

    def take_off(self) -> None:
        """Let go of the adapters."""
        del self.model, self.parameters

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over pairs; a stack of k modules is cut into the k adapters."""
        for key, tensor in tensors.items():
            linear, _, half = key.rpartition(".")
            _, layer, name = linear.split(".", 2)
            path = self.base.family.linears[name].format(layer=layer)
            module = self.model.get_submodule(f"base_model.model.{path}")
            stacked_along = 0 if half == "down" else 1
            pairs = module.lora_A if half == "down" else module.lora_B
            parts = tensor.chunk(len(self.adapters), dim=stacked_along)
            for adapter, part in zip(self.adapters, parts, strict=True):
                pairs[adapter].weight.copy_(part)

    def loss_and_norm(self, batch: Batch) -> tuple[float, float]:
        """Return the loss as ours defines it, and its gradient's norm."""
        self.model.train()
        loss = self._sample_losses(batch).mean()
        loss.backward()
        grads = [p.grad.float() for p in self.parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(grads)
        self.model.zero_grad()
        return loss.item(), norm.item()

    @torch.no_grad()
    def sample_losses(self, samples: Batch) -> list[float]:
        """Return each sample's loss."""
        self.model.eval()
        starts = range(0, len(samples), BATCH_SIZE)
        parts = [self._sample_losses(samples[i : i + BATCH_SIZE]) for i in starts]
        return torch.cat(parts).tolist()

    def inputs(self, samples: Batch) -> dict[str, Tensor]:
        """Return the model's inputs."""
        inputs = self.collate(features(samples))
        return {name: x.to(self.base.device) for name, x in inputs.items()}

    def generate(self, task: Task, *, batch_size: int) -> list[list[int]]:
        """Answer greedily with transformers' `generate`, prompts padded on the left."""
        answers: list[list[int]] = []
        for start in range(0, len(task.encoded), batch_size):
            prompts = [torch.tensor(s.prompt) for s in task.encoded[start : start + batch_size]]
            ones = [torch.ones_like(prompt) for prompt in prompts]
            ids = pad_sequence(
                prompts, batch_first=True, padding_value=self.base.pad_id, padding_side="left"
            ).to(self.base.device)
            mask = pad_sequence(ones, batch_first=True, padding_side="left").to(self.base.device)
            found = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=task.max_new_tokens,
                do_sample=False,
                eos_token_id=sorted(task.format.stop_ids),
                pad_token_id=self.base.pad_id,
            )
            stops = task.format.stop_ids
            answers += [_until(row, stops) for row in found[:, ids.shape[1] :].tolist()]
        rouge([task.format.text(answer) for answer in answers], task.references)
        return answers

    def _sample_losses(self, batch: Batch) -> Tensor:
        inputs = self.inputs(batch)
        labels = inputs.pop("labels")
        return mean_losses(self.model(**inputs).logits, labels)


class PeftLoop(Peft):
    """A loop written by hand: the strong baseline.

    Args:
        base: The base whose weights are used.
        dtype: The number format.
    """

    n_at_once = sys.maxsize  # all

    def __init__(self, base: LanguageModel, dtype: torch.dtype) -> None:
        super().__init__(base, dtype)
        self.name = "peft bf16" if dtype == torch.bfloat16 else "peft fp32"

    def put_on(self, config: InjectionConfig) -> None:
        """Put adapters on, with ours' optimiser."""
        super().put_on(config)
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=SETTINGS.learning_rate,
            weight_decay=SETTINGS.weight_decay,
            fused=True,
        )
        self.schedule = LambdaLR(self.optimizer, lambda _: 1.0)

    def take_off(self) -> None:
        """Let go of the optimiser too."""
        super().take_off()
        del self.optimizer, self.schedule

    def train(self, batch: Batch) -> float:
        """Take one step."""
        self.model.train()
        synchronise(self.base.device)
        started = perf_counter()
        loss = self.model(**self.inputs(batch)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, SETTINGS.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        synchronise(self.base.device)
        return perf_counter() - started

    def evaluate(self, task: Task) -> tuple[float, list[list[int]]]:
        """Read losses and answers, all samples in one batch."""
        self.model.eval()
        synchronise(self.base.device)
        started = perf_counter()
        with torch.inference_mode():
            self._sample_losses(task.encoded).tolist()
        answers = self.generate(task, batch_size=len(task.encoded))
        return perf_counter() - started, answers


class PeftTrainer(Peft):
    """The Trainer at its defaults, in fp32: what the documentation of peft shows.

    Args:
        base: The base whose weights are used.
    """

    name = "peft + Trainer"
    n_at_once = BATCH_SIZE

    def __init__(self, base: LanguageModel) -> None:
        super().__init__(base, torch.float32)
        self._folder = tempfile.TemporaryDirectory(prefix="lorecall-benchmark-")

    def put_on(self, config: InjectionConfig) -> None:
        """Put adapters on, and make a Trainer for them.

        Off are what would write to a disk or the terminal; the sampler is sequential over batches
        that were drawn at random before, so that all variants see the same.
        """
        super().put_on(config)
        self._clock = _Clock(self.base.device)
        self._trainer = Trainer(
            model=self.model,
            args=TrainingArguments(
                output_dir=self._folder.name,
                max_steps=1,
                train_sampling_strategy="sequential",
                report_to="none",
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                use_cpu=self.base.device.type == "cpu",
            ),
            data_collator=self.collate,
            train_dataset=[],
            callbacks=[self._clock],
        )
        self._trainer.remove_callback(PrinterCallback)

    def take_off(self) -> None:
        """Let go of the Trainer too."""
        super().take_off()
        del self._trainer

    def train(self, batch: Batch) -> float:
        """Take one step in the Trainer's own loop, `train()`.

        The time is from its `on_step_begin` to its `on_step_end`: forward, backward, clipping,
        optimiser and schedule. What `train()` does once before and after, and the collation of
        the batch, are not counted.
        """
        self._clock.seconds = 0.0
        self._trainer.train_dataset = features(batch)
        self._trainer.train()
        return self._clock.seconds

    def evaluate(self, task: Task) -> tuple[float, list[list[int]]]:
        """Read the loss with `Trainer.evaluate`, answers with `generate`, both in batches of 8."""
        synchronise(self.base.device)
        started = perf_counter()
        self._trainer.evaluate(features(task.encoded))
        answers = self.generate(task, batch_size=BATCH_SIZE)
        return perf_counter() - started, answers


class _Clock(TrainerCallback):
    """Adds up the time of the steps."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0

    def on_step_begin(self, *_: object, **__: object) -> None:
        """Start."""
        synchronise(self.device)
        self._started = perf_counter()

    def on_step_end(self, *_: object, **__: object) -> None:
        """Stop."""
        synchronise(self.device)
        self.seconds += perf_counter() - self._started


def mean_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Average the token losses of each sample.

    Args:
        logits: *Shape:* (batch, tokens, vocabulary)
        labels: *Shape:* (batch, tokens)

    Returns:
        *Shape:* (batch,)
    """
    wanted = labels[:, 1:] != IGNORED
    rows = logits[:, :-1][wanted].float()
    losses = F.cross_entropy(rows, labels[:, 1:][wanted], reduction="none")
    return torch.stack([part.mean() for part in losses.split(wanted.sum(dim=1).tolist())])


def _until(tokens: Sequence[int], stops: frozenset[int]) -> list[int]:
    end = next((i for i, token in enumerate(tokens) if token in stops), len(tokens))
    return list(tokens[:end])
