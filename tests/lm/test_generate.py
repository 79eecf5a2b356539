"""Batched greedy decoding against plain references."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import NoRepeatNGramLogitsProcessor

from lorecall.decoding import Decoding
from lorecall.errors import ConfigError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.plain import acting_on, answer_plainly
from lorecall.lm.engine.prefill import read_prompts
from lorecall.lm.generate import continue_answers, decode, respond
from lorecall.lm.hooks import acting
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.sampling import Chooser, GreedyChooser, MarginChooser, ends_at
from lorecall.records import Inject, InjectionConfig

MakeBase = Callable[..., LanguageModel]
Reference = Callable[[LanguageModel, list[int], int], list[int]]


def prompts_of(n: int, *, seed: int = 0) -> list[list[int]]:
    """Draw prompts of 1 to 40 tokens, in no order of length."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 41, (n,), generator=generator).tolist()
    return [torch.randint(6, 262, (length,), generator=generator).tolist() for length in lengths]


@torch.inference_mode()
def by_generate(base: LanguageModel, prompt: list[int], n: int) -> list[int]:
    """Continue one prompt with `generate` of transformers."""
    ids = torch.tensor([prompt])
    out = base.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=n,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=base.pad_id,
    )
    return out[0, len(prompt) :].tolist()


@torch.inference_mode()
def by_full_passes(base: LanguageModel, prompt: list[int], n: int) -> list[int]:
    """Continue one prompt with a full forward pass a token, without a cache."""
    ids = list(prompt)
    for _ in range(n):
        logits = base.model(torch.tensor([ids]), use_cache=False).logits
        ids.append(int(logits[0, -1].argmax()))
    return ids[len(prompt) :]


def cut(tokens: list[int], stop_ids: set[int]) -> list[int]:
    """Leave out the first stop token and what follows it."""
    ends = [i for i, token in enumerate(tokens) if token in stop_ids]
    return tokens[: ends[0]] if ends else tokens


CASES = pytest.mark.parametrize(
    ("family", "reference"),
    [
        ("llama", by_generate),
        ("gpt2", by_generate),
        ("roberta", by_full_passes),
        ("llama", by_full_passes),
    ],
)


@CASES
def test_tokens_are_those_of_the_reference(
    family: str, reference: Reference, make_base: MakeBase
) -> None:
    """Row by row, prompts of mixed lengths in one batch.

    For RoBERTa `generate` is no reference: it counts positions from 0, where the model was trained
    to count from behind its padding token; a loop of full forward passes stands for it.
    """
    base, prompts = make_base(family), prompts_of(9)
    ours = decode(base, prompts, max_new_tokens=12, stop_ids=())
    assert ours == [reference(base, prompt, 12) for prompt in prompts]
    assert len({token for row in ours for token in row}) > 6


@CASES
@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_rows_that_end_leave_without_a_trace(
    family: str, reference: Reference, make_base: MakeBase, batch_size: int
) -> None:
    """Stop tokens are not part of an answer, and the other rows go on as alone."""
    base, prompts = make_base(family), prompts_of(9, seed=1)
    whole = [reference(base, prompt, 12) for prompt in prompts]
    stops = {whole[0][0], whole[1][3], whole[2][6], whole[5][1]}
    expected = [cut(row, stops) for row in whole]
    assert len({len(row) for row in expected}) > 2
    done: list[int] = []
    ours = decode(
        base,
        prompts,
        max_new_tokens=12,
        stop_ids=stops,
        batch_size=batch_size,
        on_batch=done.append,
    )
    assert ours == expected
    assert sum(done) == len(prompts)
    assert max(done) <= batch_size


def in_every_way(
    base: LanguageModel,
    prompts: list[list[int]],
    n: int,
    stops: frozenset[int],
    decoding: Decoding,
) -> list[list[list[int]]]:
    """Answer by batches, on the plain path, and with steps of fixed and of growing shapes."""
    chooser = GreedyChooser(stops, decoding)
    body = Body(base)
    read = read_prompts(body, prompts)
    return [
        decode(base, prompts, max_new_tokens=n, stop_ids=stops, decoding=decoding),
        answer_plainly(base, prompts, max_new_tokens=n, chooser=chooser),
        *(
            continue_answers(body, read, max_new_tokens=n, chooser=chooser, fixed=fixed)
            for fixed in (True, False)
        ),
    ]


@pytest.mark.parametrize("stop_bias", [-0.3, -9.0, 0.3, 9.0])
def test_stopping_is_made_likelier_or_less_so(base: LanguageModel, stop_bias: float) -> None:
    """By a number on their logits, on both paths."""
    prompts = prompts_of(9, seed=1)
    whole = [by_full_passes(base, prompt, 12) for prompt in prompts]
    stops = frozenset({whole[0][0], whole[1][3], whole[2][6], whole[5][1]})

    def biased(prompt: list[int]) -> list[int]:
        ids = list(prompt)
        while len(ids) < len(prompt) + 12:
            with torch.no_grad():
                logits = base.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
            logits[list(stops)] += stop_bias
            ids.append(int(logits.argmax()))
        return cut(ids[len(prompt) :], set(stops))

    expected, biasing = [biased(prompt) for prompt in prompts], Decoding(stop_bias=stop_bias)
    assert expected != [cut(row, set(stops)) for row in whole]
    assert in_every_way(base, prompts, 12, stops, biasing) == [expected] * 4


def by_the_rule(base: LanguageModel, prompt: list[int], n: int, no_repeat: int) -> list[int]:
    """Continue one prompt by full passes, what is never repeated taken out by transformers."""
    rule = NoRepeatNGramLogitsProcessor(no_repeat)
    ids = list(prompt)
    for _ in range(n):
        with torch.no_grad():
            logits = base.model(torch.tensor([ids]), use_cache=False).logits[:, -1]
        answer = torch.tensor([ids[len(prompt) :]], dtype=torch.long)
        ids.append(int(rule(answer, logits).argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("no_repeat", [1, 2, 3])
def test_no_answer_has_so_many_tokens_in_a_row_twice(base: LanguageModel, no_repeat: int) -> None:
    """As transformers' rule has it, read on the answer alone; rows that end leave in between."""
    prompts, rule = prompts_of(9, seed=3), Decoding(no_repeat=no_repeat)
    looping = decode(base, prompts, max_new_tokens=24, stop_ids=())
    whole = [by_the_rule(base, prompt, 24, no_repeat) for prompt in prompts]
    assert whole != looping
    stops = frozenset({whole[0][9], whole[3][15]})
    expected = [cut(row, set(stops)) for row in whole]
    assert len({len(row) for row in expected}) > 1
    assert in_every_way(base, prompts, 24, stops, rule) == [expected] * 4


@pytest.mark.parametrize("no_repeat", [0, 3])
def test_one_answer_tells_where_it_would_end(base: LanguageModel, no_repeat: int) -> None:
    """By its margins, whatever is added to the logits of stopping, on both paths."""
    prompts = prompts_of(9, seed=1)
    whole = [by_full_passes(base, prompt, 12) for prompt in prompts]
    stops = frozenset({whole[0][0], whole[1][3], whole[2][6], whole[5][1]})
    body = Body(base)
    read = read_prompts(body, prompts)
    lowest = -1.0
    choosers = [MarginChooser(stops, no_repeat=no_repeat, lowest=lowest) for _ in range(2)]
    continue_answers(body, read, max_new_tokens=12, chooser=choosers[0])
    answer_plainly(base, prompts, max_new_tokens=12, chooser=choosers[1])
    lengths: set[tuple[int, ...]] = set()
    for bias in (lowest, -0.5, -0.1, 0.0, 0.1, 0.5, 9.0):
        decoding = Decoding(stop_bias=bias, no_repeat=no_repeat)
        answers = decode(base, prompts, max_new_tokens=12, stop_ids=stops, decoding=decoding)
        expected = [len(answer) for answer in answers]
        for chooser in choosers:
            assert isinstance(chooser, Chooser)
            assert [ends_at(chooser.margins[row], bias) for row in range(9)] == expected
        lengths.add(tuple(expected))
    assert len(lengths) > 3


def test_what_is_never_repeated_is_a_number() -> None:
    """Of 0 or more."""
    with pytest.raises(ConfigError, match="0 or more"):
        Decoding(no_repeat=-1)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_no_answer_is_longer_than_allowed(base: LanguageModel, n: int) -> None:
    """Exactly so long where nothing stops it; the beginning is the same."""
    prompts = prompts_of(3)
    longer = decode(base, prompts, max_new_tokens=8, stop_ids=())
    assert decode(base, prompts, max_new_tokens=n, stop_ids=()) == [row[:n] for row in longer]


def test_no_prompts_no_answers(base: LanguageModel) -> None:
    """Nothing is run."""
    assert decode(base, [], max_new_tokens=4, stop_ids=()) == []


def test_answers_follow_the_prompts_order(llama: LanguageModel) -> None:
    """Whatever order they were decoded in."""
    prompts = prompts_of(8)
    answers = decode(llama, prompts, max_new_tokens=5, stop_ids=(), batch_size=3)
    backwards = decode(llama, prompts[::-1], max_new_tokens=5, stop_ids=(), batch_size=3)
    assert answers == backwards[::-1]


def test_a_memory_is_decoded_with(
    make_base: MakeBase, fill: Callable[..., dict[str, Tensor]]
) -> None:
    """The cache holds keys made with the memory, as full passes would."""
    base, prompts = make_base("gpt2"), prompts_of(4)
    vanilla = decode(base, prompts, max_new_tokens=6, stop_ids=())
    injection = Injection(base, InjectionConfig(layers=(0, 2), n_loras=2, rank=4))
    fill(injection, size=0.5)
    ours = decode(base, prompts, max_new_tokens=6, stop_ids=(), injection=injection)
    with acting(acting_on(injection)):
        assert ours == [by_full_passes(base, prompt, 6) for prompt in prompts]
    assert ours != vanilla


def test_decoding_leaves_no_gradients_and_no_state(base: LanguageModel) -> None:
    """Twice the same."""
    prompts = prompts_of(3)
    first = decode(base, prompts, max_new_tokens=6, stop_ids=())
    assert decode(base, prompts, max_new_tokens=6, stop_ids=()) == first


def test_respond_gives_text(llama: LanguageModel) -> None:
    """The layout's stop tokens end an answer, and its tokeniser reads it."""
    layout = PromptFormat(llama.tokenizer)
    prompts = [layout.prompt(query) for query in ("hello", "how are you")]
    tokens = decode(llama, prompts, max_new_tokens=9, stop_ids=layout.stop_ids)
    done: list[int] = []
    answers = respond(llama, layout, prompts, max_new_tokens=9, on_batch=done.append)
    assert answers == [layout.text(row) for row in tokens]
    assert done == [2]


@pytest.mark.parametrize("inject", ["all", "response"])
@pytest.mark.parametrize("batch_size", [3, 32])
def test_tokens_are_those_of_the_plain_path(
    base: LanguageModel, fill: Callable[..., dict[str, Tensor]], inject: Inject, batch_size: int
) -> None:
    """Many prompts, a memory and stop tokens, whichever tokens the memory acts on."""
    prompts = [[40, 41, 42, *prompt] for prompt in prompts_of(40, seed=2)]
    config = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7, inject=inject)
    injection = Injection(base, config)
    fill(injection)
    whole = answer_plainly(
        base, prompts, max_new_tokens=10, chooser=GreedyChooser(()), injection=injection
    )
    stops = frozenset({whole[0][0], whole[1][3], whole[2][6], whole[5][1]})
    expected = answer_plainly(
        base, prompts, max_new_tokens=10, chooser=GreedyChooser(stops), injection=injection
    )
    assert expected == [cut(row, set(stops)) for row in whole]
    ours = decode(
        base,
        prompts,
        max_new_tokens=10,
        stop_ids=stops,
        batch_size=batch_size,
        injection=injection,
    )
    assert ours == expected
    assert len({len(row) for row in ours}) > 3


def test_a_base_without_a_fast_path_is_decoded_plainly(
    base: LanguageModel, fill: Callable[..., dict[str, Tensor]]
) -> None:
    """In batches, with a memory and without; the same tokens."""
    prompts = prompts_of(9, seed=4)
    injection = Injection(base, InjectionConfig(layers=(0, 2), n_loras=2, rank=4))
    fill(injection)
    found: list[list[list[list[int]]]] = []
    for base.has_fast_path in (True, False):
        found.append(
            [
                decode(base, prompts, max_new_tokens=7, stop_ids=(), batch_size=4, injection=memory)
                for memory in (None, injection)
            ]
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("prompts", [[[7, 8, 9]] * 3, [[7, 8, 9], [7, 8, 10]], [[7]] * 2])
def test_prompts_alike_but_for_the_last_token(
    base: LanguageModel, prompts: list[list[int]]
) -> None:
    """All but what is wanted is shared then."""
    ours = decode(base, prompts, max_new_tokens=5, stop_ids=())
    assert ours == [by_full_passes(base, prompt, 5) for prompt in prompts]
