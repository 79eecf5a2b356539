"""The reference path itself: padding, and on which tokens a memory acts."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.plain import acting_on, answer_plainly, pad_left
from lorecall.lm.sampling import GreedyChooser
from lorecall.records import InjectionConfig

MEMORY = InjectionConfig(layers=(0, 2), n_loras=2, rank=4, inject="response")
Fill = Callable[..., dict[str, Tensor]]


def test_rows_are_padded_on_the_left() -> None:
    """They end together; the mask marks the tokens."""
    ids, mask = pad_left([[7, 8, 9], [5]], 0, torch.device("cpu"))
    assert ids.tolist() == [[7, 8, 9], [0, 0, 5]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@torch.no_grad()
def test_a_memory_acts_where_it_is_told_to(base: LanguageModel, fill: Fill) -> None:
    """Before the first such token the base is alone; from it on the memory shows."""
    ids = torch.tensor([[7, 8, 9, 10, 11], [12, 13, 14, 15, 16]])
    mask = torch.ones_like(ids)
    bare = base.hidden(ids, mask)
    injection = Injection(base, MEMORY)
    fill(injection)

    def acting_at(responses: Tensor | None) -> Tensor:
        return base.hidden(ids, mask, memory=acting_on(injection, responses))

    everywhere = acting_at(None)
    some = acting_at(torch.arange(5)[None] >= torch.tensor([[2], [4]]))
    torch.testing.assert_close(acting_at(torch.ones(1, 5, dtype=torch.bool)), everywhere)
    torch.testing.assert_close(acting_at(torch.zeros(1, 5, dtype=torch.bool)), bare)
    assert torch.equal(base.hidden(ids, mask), bare)
    for row, first in enumerate((2, 4)):
        torch.testing.assert_close(some[row, :first], bare[row, :first])
        assert not torch.allclose(some[row, first], bare[row, first], atol=1e-2)
        assert not torch.allclose(some[row, first], everywhere[row, first], atol=1e-2)


def by_full_passes(injection: Injection, prompt: list[int], n: int) -> list[int]:
    """Continue one prompt without a cache, the memory acting from the prompt's last token on."""
    base, ids = injection.base, list(prompt)
    for _ in range(n):
        memory = acting_on(injection, (torch.arange(len(ids)) >= len(prompt) - 1)[None])
        hidden = base.hidden(torch.tensor([ids]), torch.ones(1, len(ids)), memory=memory)
        ids.append(int(base.logits(hidden[:, -1]).argmax()))
    return ids[len(prompt) :]


@torch.no_grad()
def test_decoding_on_the_response_side_is_as_full_passes_are(
    base: LanguageModel, fill: Fill
) -> None:
    """Prompts of different lengths, one of a single token; other answers than with all tokens."""
    prompts = [[40, 50, 60, 70, 80, 90], [41], [42, 52, 62]]
    injection = Injection(base, MEMORY)
    fill(injection)
    endless = GreedyChooser(frozenset[int]())
    ours = answer_plainly(base, prompts, max_new_tokens=6, chooser=endless, injection=injection)
    assert ours == [by_full_passes(injection, prompt, 6) for prompt in prompts]
    on_all = Injection(base, replace(MEMORY, inject="all"), tensors=injection.tensors())
    everywhere = answer_plainly(base, prompts, max_new_tokens=6, chooser=endless, injection=on_all)
    assert ours[1] == everywhere[1]
    assert ours != everywhere
