"""Prompts read once, and decoding that goes on from them, against the plain path."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.attention import PastKeyValues
from lorecall.lm.engine.body import Body, KeysValues
from lorecall.lm.engine.plain import acting_on, answer_plainly
from lorecall.lm.engine.prefill import base_past, prompt_past, read_prompts, with_first_rows
from lorecall.lm.generate import continue_answers
from lorecall.lm.sampling import GreedyChooser
from lorecall.records import Inject, InjectionConfig

Fill = Callable[..., dict[str, Tensor]]
MEMORY = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7)
CLOSE = {"atol": 2e-4, "rtol": 2e-4}
INJECT = pytest.mark.parametrize("inject", ["all", "response"])
NEVER = frozenset[int]()
ENDLESS = GreedyChooser(NEVER)


def prompts_of(n: int, *, start: int = 0, seed: int = 0) -> list[list[int]]:
    """Draw prompts of 1 to 30 own tokens behind a common start."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 31, (n,), generator=generator).tolist()
    return [
        [*range(40, 40 + start), *torch.randint(6, 262, (k,), generator=generator).tolist()]
        for k in lengths
    ]


PROMPTS = {
    "ragged": prompts_of(7),
    "common start": prompts_of(7, start=9),
    "one": prompts_of(1),
    "one token": [[7]],
    "single tokens": [[7], [8], [7]],
    "the same": [[7, 8, 9]] * 3,
    "alike but for the last": [[7, 8, 9], [7, 8, 10]],
    "one begins another": [[7, 8], [7, 8, 9, 10], [7]],
}
EACH = pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS.keys())


@pytest.fixture
def memory(base: LanguageModel, fill: Fill, inject: Inject) -> Injection:
    """Make a drawn memory."""
    injection = Injection(base, replace(MEMORY, inject=inject))
    fill(injection)
    return injection


@torch.no_grad()
def plain_cache(
    base: LanguageModel, prompt: list[int], injection: Injection | None = None
) -> tuple[Tensor, list[PastKeyValues]]:
    """Read one prompt on the plain path: its last hidden row, keys and values."""
    cache = DynamicCache(config=base.model.config)
    memory = acting_on(injection, (torch.arange(len(prompt)) == len(prompt) - 1)[None])
    mask = torch.ones(1, len(prompt))
    hidden = base.hidden(torch.tensor([prompt]), mask, cache=cache, memory=memory)
    layers: list[PastKeyValues] = []
    for layer in cache.layers:
        assert layer.keys is not None
        assert layer.values is not None
        layers.append((layer.keys[0].transpose(0, 1), layer.values[0].transpose(0, 1)))
    return hidden[0, -1], layers


@EACH
@INJECT
def test_what_was_read_is_the_plain_paths(
    base: LanguageModel, memory: Injection, prompts: list[list[int]]
) -> None:
    """Last rows, keys and values of every prompt, each as if read alone."""
    read = read_prompts(Body(base, memory), prompts)
    assert read.lengths == tuple(map(len, prompts))
    assert len(read.layers) == base.n_layers
    assert not read.last.requires_grad
    for i, prompt in enumerate(prompts):
        last, layers = plain_cache(base, prompt, memory)
        torch.testing.assert_close(read.last[i], last, **CLOSE)
        for ours, plain in zip(read.layers, layers, strict=True):
            for one, other in zip(ours, plain, strict=True):
                torch.testing.assert_close(one[i, : len(prompt)], other, **CLOSE)


@EACH
@INJECT
@pytest.mark.parametrize("merge", [False, True])
def test_decoding_goes_on_as_the_plain_path_does(
    base: LanguageModel,
    memory: Injection,
    prompts: list[list[int]],
    *,
    merge: bool,
) -> None:
    """Token by token, and twice from the same reading; the pairs merged or beside the weights."""
    body = Body(base, memory, merge=merge)
    expected = answer_plainly(base, prompts, max_new_tokens=9, chooser=ENDLESS, injection=memory)
    read = read_prompts(body, prompts)
    before = [x.clone() for past in read.layers for x in past]
    for _ in range(2):
        ours = continue_answers(body, read, max_new_tokens=9, chooser=ENDLESS)
        assert ours == expected
    for x, y in zip((x for past in read.layers for x in past), before, strict=True):
        assert torch.equal(x, y)


@INJECT
def test_rows_that_stop_leave_the_others_as_they_are(
    base: LanguageModel, memory: Injection
) -> None:
    """At different steps, at the first, and never; one token alone where no more is asked for."""
    prompts, body = prompts_of(13, start=4, seed=1), Body(base, memory)
    whole = answer_plainly(base, prompts, max_new_tokens=12, chooser=ENDLESS, injection=memory)
    stops = frozenset({whole[0][0], whole[1][3], whole[2][6], whole[5][1]})
    expected = answer_plainly(
        base, prompts, max_new_tokens=12, chooser=GreedyChooser(stops), injection=memory
    )
    assert len({len(row) for row in expected}) > 2
    read = read_prompts(body, prompts)
    assert continue_answers(body, read, max_new_tokens=12, chooser=GreedyChooser(stops)) == expected
    ones = continue_answers(body, read, max_new_tokens=1, chooser=ENDLESS)
    assert ones == [row[:1] for row in whole]
    assert continue_answers(body, read, max_new_tokens=0, chooser=ENDLESS) == [[]] * 13
    everything = frozenset(range(base.model.config.vocab_size))
    assert (
        continue_answers(body, read, max_new_tokens=5, chooser=GreedyChooser(everything))
        == [[]] * 13
    )


def test_the_base_alone_is_read_below_a_memory(base: LanguageModel) -> None:
    """What a prompt leaves behind without its last token is the base's."""
    prompts = prompts_of(4, start=3)
    past = base_past(base, prompts)
    plain = [plain_cache(base, prompt)[1] for prompt in prompts]
    for layer, halves in enumerate(past):
        for half, x in enumerate(halves):
            for i, prompt in enumerate(prompts):
                torch.testing.assert_close(x[i, : len(prompt)], plain[i][layer][half], **CLOSE)


def test_an_empty_past_takes_a_row_that_nothing_sees(base: LanguageModel) -> None:
    """A prompt of one token leaves nothing behind."""
    alone = base_past(base, [[]])
    mixed = base_past(base, [[], [7, 8, 9]])
    assert alone[0][0].shape[:2] == (1, 1)
    assert mixed[0][0].shape[:2] == (2, 3)


def test_rows_are_brought_behind_each_past(llama: LanguageModel) -> None:
    """The prompt's own rows first, then the new one, then padding."""
    body = Body(llama)
    packed = body.pack([[5, 6], [7]], [1, 1], past=[1, 3])
    rows = torch.arange(3.0)[:, None, None].expand(3, 2, 8)
    past = (torch.full((2, 3, 2, 8), -1.0), torch.full((2, 3, 2, 8), -2.0))
    ((k, v),) = with_first_rows([past], packed, [(rows, 10 + rows)])
    assert k[:, :, 0, 0].tolist() == [[-1, 0, -1, 0], [-1, -1, -1, 2]]
    assert v[:, :, 0, 0].tolist() == [[-2, 10, -2, 0], [-2, -2, -2, 12]]


def test_prompts_are_cut_out_of_what_was_read(llama: LanguageModel) -> None:
    """The common start comes back in each; a response read along is left out."""
    body = Body(llama)
    packed = body.pack([[5, 6, 7, 8], [5, 6, 9], [5, 6, 9, 10, 11]], [1, 1, 2])
    rows = torch.arange(float(len(packed.ids)))[:, None, None].expand(-1, 2, 8)
    kept: list[KeysValues] = [(rows, -rows)]
    ((k, v),) = prompt_past(packed, (3, 3, 4), kept)
    assert packed.ids[k[0, :3, 0, 0].long()].tolist() == [5, 6, 7]
    assert packed.ids[k[1, :3, 0, 0].long()].tolist() == [5, 6, 9]
    assert packed.ids[k[2, :4, 0, 0].long()].tolist() == [5, 6, 9, 10]
    assert k.shape == (3, 4, 2, 8)
    assert torch.equal(v, -k)


def test_memory_taken_is_counted(llama: LanguageModel) -> None:
    """Both halves of every layer, padding included."""
    read = read_prompts(Body(llama), [[5, 6, 7], [8]])
    assert read.n_bytes == llama.n_layers * 2 * (2 * 3 * 2 * 8) * 4
