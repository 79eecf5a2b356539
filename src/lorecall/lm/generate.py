"""Decoding of many prompts at once: the tokens `generate` gives, finished rows leaving.

`lorecall.lm.engine.steps` holds the two ways of taking a step, `lorecall.lm.engine.plain` the path
that both are tested against.

This module knows nothing of samples.
"""

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence

import torch

from lorecall.decoding import GREEDY, Decoding
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.plain import plain_steps
from lorecall.lm.engine.prefill import Prefilled, read_prompts
from lorecall.lm.engine.steps import FixedSteps, GrowingSteps, Steps
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.sampling import Chooser, chooser_for

BATCH_SIZE = 32
_UNFINISHED = "\ufffd"  # what the tokeniser puts for a character whose bytes are not all there

_StepsOf = Callable[[Sequence[Sequence[int]], int, Chooser], Generator[list[list[int]]]]


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
    """Answer prompts, as text.

    Args:
        base: The base.
        prompt_format: The layout the prompts were made with; it says where an answer ends.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest answer.
        decoding: How tokens are chosen.
        injection: The memory, if any.
        on_batch: Called with the number of prompts that are done.
    """
    answers = decode(
        base,
        prompts,
        max_new_tokens=max_new_tokens,
        stop_ids=prompt_format.stop_ids,
        decoding=decoding,
        injection=injection,
        on_batch=on_batch,
    )
    return [prompt_format.text(answer) for answer in answers]


def stream(
    base: LanguageModel,
    prompt_format: PromptFormat,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    decoding: Decoding = GREEDY,
    injection: Injection | None = None,
) -> Iterator[str]:
    """Answer one prompt as `respond` does, in pieces of whole characters as they are found.

    Args:
        base: The base.
        prompt_format: The layout the prompt was made with; it says where an answer ends.
        prompt: Token ids.
        max_new_tokens: Longest answer.
        decoding: How tokens are chosen.
        injection: The memory, if any.
    """
    chooser = chooser_for(prompt_format.stop_ids, decoding, [prompt])
    told = text = ""
    for (answer,) in _steps_of(base, injection)([prompt], max_new_tokens, chooser):
        text = prompt_format.text(answer)
        whole = text.rstrip(_UNFINISHED)
        if whole.startswith(told) and whole != told:
            yield whole[len(told) :]
            told = whole
    if rest := text[len(told) :]:
        yield rest


def decode(  # noqa: PLR0913 - what is decoded, where it ends, how many at once
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
    """Continue each prompt.

    Args:
        base: The base.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest continuation.
        stop_ids: Tokens that end a continuation; they are not part of it.
        decoding: How tokens are chosen.
        batch_size: Prompts decoded at once; those of like length share a batch.
        injection: The memory, if any.
        on_batch: Called with the number of prompts that are done.

    Returns:
        One list of new token ids a prompt, in the prompts' order.

    Examples:
        >>> from lorecall.lm import decode, tiny_base
        >>> answers = decode(tiny_base(), [[5, 6], [7]], max_new_tokens=4, stop_ids=())
        >>> [len(answer) for answer in answers]  # nothing ends them before
        [4, 4]
    """
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    steps_of = _steps_of(base, injection)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        chooser = chooser_for(stop_ids, decoding, [prompts[i] for i in batch])
        steps = steps_of([prompts[i] for i in batch], max_new_tokens, chooser)
        for i, row in zip(batch, deque(steps, maxlen=1).pop(), strict=True):
            answers[i] = row
        if on_batch is not None:
            on_batch(len(batch))
    return answers


def _steps_of(base: LanguageModel, injection: Injection | None) -> _StepsOf:
    """Return what answers a batch of prompts, on the fast path where the base has one."""
    body = Body(base, injection, merge=True) if base.has_fast_path else None

    def steps(
        prompts: Sequence[Sequence[int]], n: int, chooser: Chooser
    ) -> Generator[list[list[int]]]:
        if body is None:
            return plain_steps(
                base, prompts, max_new_tokens=n, chooser=chooser, injection=injection
            )
        return answer_steps(body, read_prompts(body, prompts), max_new_tokens=n, chooser=chooser)

    return steps


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
    steps = answer_steps(
        body, prefilled, max_new_tokens=max_new_tokens, chooser=chooser, fixed=fixed
    )
    return deque(steps, maxlen=1).pop()


@torch.inference_mode()
def answer_steps(
    body: Body,
    prefilled: Prefilled,
    *,
    max_new_tokens: int,
    chooser: Chooser,
    fixed: bool | None = None,
) -> Generator[list[list[int]]]:
    """Answer prompts as `continue_answers` does; yield the answers so far, empty ones first."""
    answers: list[list[int]] = [[] for _ in prefilled.lengths]
    yield answers
    rows = sorted(range(len(answers)), key=lambda i: -prefilled.lengths[i])  # still going on
    going = [True] * len(rows)
    steps: Steps | None = None
    chosen = chooser.choose(body.logits(prefilled.last[rows]), rows, answers)
    for step in range(max_new_tokens):
        for place, token in enumerate(chosen.tolist()):
            going[place] = going[place] and token not in chooser.stop_ids
            if going[place]:
                answers[rows[place]].append(token)
        yield answers
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
