"""Tokens that are drawn: the filters are transformers' own, the draws are a seed's alone."""

from collections import Counter

import pytest
import torch
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from lorecall.decoding import Decoding
from lorecall.errors import ConfigError
from lorecall.lm.sampling import GreedyChooser, SamplingChooser, chooser_for, probabilities

N_TOKENS = 50


def logits_of(n_rows: int = 4, *, seed: int = 0) -> torch.Tensor:
    """Return logits of some rows."""
    return torch.randn(n_rows, N_TOKENS, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(
    ("top_p", "min_p"), [(1.0, 0.0), (0.9, 0.0), (0.2, 0.0), (1.0, 0.1), (0.95, 0.05), (1e-6, 1.0)]
)
def test_what_is_drawn_from_is_what_transformers_draws_from(
    temperature: float, top_p: float, min_p: float
) -> None:
    """Temperature, then the nucleus, then what is likely enough beside the likeliest."""
    logits = logits_of()
    expected = TemperatureLogitsWarper(temperature)(None, logits.clone())
    expected = TopPLogitsWarper(top_p)(None, expected) if top_p < 1 else expected
    expected = MinPLogitsWarper(min_p)(None, expected) if min_p > 0 else expected
    found = probabilities(logits, Decoding(temperature=temperature, top_p=top_p, min_p=min_p))
    torch.testing.assert_close(found, expected.softmax(dim=-1), check_dtype=False)


def drawn(chooser: SamplingChooser, logits: torch.Tensor, n: int) -> list[list[int]]:
    """Draw n tokens for each row, whose logits stay."""
    rows = range(len(logits))
    answers: list[list[int]] = [[] for _ in rows]
    for _ in range(n):
        for answer, token in zip(
            answers, chooser.choose(logits.clone(), rows, answers), strict=True
        ):
            answer.append(int(token))
    return answers


def test_tokens_come_as_often_as_they_are_likely() -> None:
    """A long draw, against the probabilities."""
    decoding = Decoding(temperature=1.5, top_p=0.8)
    logits = logits_of(1)
    (answer,) = drawn(SamplingChooser([], decoding, [b"a"]), logits, 4000)
    expected = probabilities(logits, decoding)[0]
    counts = Counter(answer)
    for token in range(N_TOKENS):
        assert counts[token] / 4000 == pytest.approx(float(expected[token]), abs=0.03)
        assert bool(counts[token]) <= bool(expected[token] > 0)


def test_an_answer_does_not_depend_on_what_else_is_answered() -> None:
    """Whatever its place, and its company."""
    decoding, logits = Decoding(temperature=1.0, seed=3), logits_of(3)
    together = drawn(SamplingChooser([], decoding, [b"a", b"b", b"c"]), logits, 20)
    alone = drawn(SamplingChooser([], decoding, [b"b"]), logits[1:2], 20)
    assert together[1] == alone[0]
    turned = drawn(SamplingChooser([], decoding, [b"c", b"b", b"a"]), logits.flip(0), 20)
    assert turned == together[::-1]


def test_another_seed_or_key_is_another_answer() -> None:
    """The same ones are the same."""
    logits, decoding = logits_of(1), Decoding(temperature=1.0)

    def answer(seed: int, key: bytes) -> list[int]:
        chosen = Decoding(temperature=decoding.temperature, seed=seed)
        return drawn(SamplingChooser([], chosen, [key]), logits, 20)[0]

    assert answer(0, b"a") == answer(0, b"a")
    assert len({tuple(answer(seed, key)) for seed in (0, 1) for key in (b"a", b"b")}) == 4


def test_rules_hold_for_drawn_tokens_too() -> None:
    """No token twice where none may be; stopping made certain ends it."""
    logits = logits_of(1)
    once = Decoding(temperature=1.0, no_repeat=1)
    (answer,) = drawn(SamplingChooser([], once, [b"a"]), logits, N_TOKENS)
    assert sorted(answer) == list(range(N_TOKENS))
    ending = SamplingChooser([7], Decoding(temperature=1.0, stop_bias=1e4), [b"a"])
    assert ending.choose(logits.clone(), [0], [[]]).tolist() == [7]


def test_the_temperature_says_who_chooses() -> None:
    """0 is the likeliest; like prompts draw alike."""
    assert isinstance(chooser_for([1], Decoding(), [[1]]), GreedyChooser)
    chooser = chooser_for([1], Decoding(temperature=3.0), [[1, 2], [1, 2], [1, 3]])
    assert isinstance(chooser, SamplingChooser)
    same, too, other = drawn(chooser, logits_of(1).expand(3, -1), 20)
    assert same == too != other


@pytest.mark.parametrize("temperature", [1e-3, 1e-40, 1e-320])
def test_next_to_no_temperature_is_the_likeliest(temperature: float) -> None:
    """No number is lost on the way there."""
    logits = logits_of()
    chooser = chooser_for([], Decoding(temperature=temperature), [[n] for n in range(4)])
    chosen = chooser.choose(logits.clone(), range(4), [[], [], [], []])
    assert chosen.tolist() == logits.argmax(dim=-1).tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": float("nan")},
        {"seed": -1},
        {"no_repeat": -1},
    ],
)
def test_numbers_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    """By name."""
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be in range"):
        Decoding(**wrong)
