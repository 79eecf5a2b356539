"""Greedy decoding of many prompts at once: the tokens `generate` gives, finished rows leaving.

`lorecall.lm.engine.steps` holds the two ways of taking a step, `lorecall.lm.engine.plain` the path
that both are tested against.

This module knows nothing of samples.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial

import torch

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.plain import answer_plainly
from lorecall.lm.engine.prefill import Prefilled, read_prompts
from lorecall.lm.engine.steps import FixedSteps, GrowingSteps, Steps
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.sampling import Chooser, GreedyChooser
from lorecall.records import GREEDY, Decoding

BATCH_SIZE = 32


def respond(
    base: LanguageModel,
    prompt_format: PromptFormat,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    decoding: Decoding = GREEDY,
    injection: Injection | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[str]:
    """Answer prompts greedily, as text.

    Args:
        base: The base.
        prompt_format: The layout the prompts were made with; it says where an answer ends.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest answer.
        decoding: What to heed beside the logits.
        injection: The memory, if any.
        on_batch: Called with the number of prompts that are done.
    """
    answers = decode_greedily(
        base,
        prompts,
        max_new_tokens=max_new_tokens,
        stop_ids=prompt_format.stop_ids,
        decoding=decoding,
        injection=injection,
        on_batch=on_batch,
    )
    return [prompt_format.text(answer) for answer in answers]


@torch.inference_mode()
def decode_greedily(  # noqa: PLR0913 - what is decoded, where it ends, how many at once
    base: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
    decoding: Decoding = GREEDY,
    batch_size: int = BATCH_SIZE,
    injection: Injection | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Continue each prompt with its likeliest tokens.

    Args:
        base: The base.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest continuation.
        stop_ids: Tokens that end a continuation; they are not part of it.
        decoding: What to heed beside the logits.
        batch_size: Prompts decoded at once; those of like length share a batch.
        injection: The memory, if any.
        on_batch: Called with the number of prompts that are done.

    Returns:
        One list of new token ids a prompt, in the prompts' order.
    """
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    chooser = GreedyChooser(stop_ids, decoding)
    answer = (
        partial(_read_and_continue, Body(base, injection, merge=True))
        if base.has_fast_path
        else partial(answer_plainly, base, injection=injection)
    )
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        rows = answer([prompts[i] for i in batch], max_new_tokens=max_new_tokens, chooser=chooser)
        for i, row in zip(batch, rows, strict=True):
            answers[i] = row
        if on_batch is not None:
            on_batch(len(batch))
    return answers


def _read_and_continue(
    body: Body, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, chooser: Chooser
) -> list[list[int]]:
    prefilled = read_prompts(body, prompts)
    return continue_answers(body, prefilled, max_new_tokens=max_new_tokens, chooser=chooser)


@torch.inference_mode()
def continue_answers(
    body: Body,
    prefilled: Prefilled,
    *,
    max_new_tokens: int,
    chooser: Chooser,
    fixed: bool | None = None,
) -> list[list[int]]:
    """Answer a batch of prompts that were read.

    Args:
        body: The base with the memory that the prompts were read with.
        prefilled: The prompts.
        max_new_tokens: Longest answer.
        chooser: Chooses every token, and says which of them end an answer.
        fixed: Whether steps have fixed shapes, which a GPU replays as one graph; None for what is
            fastest on the base's device.
    """
    answers: list[list[int]] = [[] for _ in prefilled.lengths]
    rows = sorted(range(len(answers)), key=lambda i: -prefilled.lengths[i])  # still going on
    going = [True] * len(rows)
    steps: Steps | None = None
    chosen = chooser.choose(body.logits(prefilled.last[rows]), rows, answers)
    for step in range(max_new_tokens):
        for place, token in enumerate(chosen.tolist()):
            going[place] = going[place] and token not in chooser.stop_ids
            if going[place]:
                answers[rows[place]].append(token)
        if not any(going) or step == max_new_tokens - 1:
            break
        if steps is None:
            steps = _steps(body, prefilled, rows, max_new_tokens, fixed=fixed)
        if sum(going) < steps.shrink * len(rows):
            keep = [place for place, goes in enumerate(going) if goes]
            steps.keep(keep)
            chosen, rows = chosen[keep], [rows[place] for place in keep]
            going = [True] * len(rows)
        chosen = chooser.choose(steps.next(chosen), rows, answers)
    return answers


def _steps(
    body: Body,
    prefilled: Prefilled,
    rows: list[int],
    n_new: int,
    *,
    fixed: bool | None,
) -> Steps:
    on_gpu = body.base.device.type == "cuda" and not body.base.four_bit
    if on_gpu if fixed is None else fixed:
        return FixedSteps(body, prefilled, rows, n_new)
    return GrowingSteps(body, prefilled, rows, n_new)
