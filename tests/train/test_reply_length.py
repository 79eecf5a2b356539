"""How long answers are: the number that is fitted, and what it does to a model's answers."""

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.records import InjectionConfig, Sample, Split
from lorecall.settings import TrainSettings
from lorecall.train.reply_length import HALVINGS, HIGHEST, LOWEST, fit_stop_bias
from lorecall.train.trial import TrialData, TrialRunner

MakeSamples = Callable[..., tuple[Sample, ...]]
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=1, max_response_tokens=32)
THETA = InjectionConfig(layers=(0, 2), n_loras=3, rank=8)


@pytest.mark.parametrize(
    ("wanted", "bias"), [(3.0, 2.0), (5.0, 0.0), (9.0, -4.0), (-2.0, 7.0), (-7.5, 12.5)]
)
def test_the_length_that_is_wanted_is_found(wanted: float, bias: float) -> None:
    """Where length falls evenly, to within what halving leaves."""
    found = fit_stop_bias(lambda tried: 5.0 - tried, wanted)
    assert found == pytest.approx(bias, abs=(HIGHEST - LOWEST) / 2**HALVINGS)


def test_what_fits_already_is_left() -> None:
    """Of numbers that come as near, the one nearest to 0; each is tried once."""
    tried: list[float] = []

    def length(bias: float) -> float:
        tried.append(bias)
        return 5.0 if bias > -3 else 9.0

    assert fit_stop_bias(length, 5.2) == 0.0
    assert tried[0] == 0.0
    assert len(set(tried)) == len(tried) == 1 + HALVINGS


@pytest.mark.parametrize(("wanted", "end"), [(0.0, HIGHEST), (100.0, LOWEST)])
def test_a_length_out_of_reach_ends_at_the_bounds(wanted: float, end: float) -> None:
    """As near as it gets."""
    found = fit_stop_bias(lambda bias: 20.0 - bias, wanted)
    assert abs(found - end) < 0.25
    assert LOWEST <= found <= HIGHEST


def data_of(trials: TrialRunner, make_samples: MakeSamples, response: str) -> TrialData:
    """Return a person who always answers the same."""
    samples = [replace(sample, response=response) for sample in make_samples(8)]
    split = Split(
        user="ann",
        dataset="made up",
        train=tuple(samples[:5]),
        valid=tuple(samples[5:]),
        test=(),
        own_content=(),
    )
    return trials.data(split, split.train)


@pytest.mark.parametrize("plain", [False, True], ids=["fast", "plain"])
def test_answers_come_nearer_to_the_persons(
    llama: LanguageModel, make_samples: MakeSamples, *, plain: bool
) -> None:
    """With a memory on it; the random base alone would never end."""
    trials = TrialRunner(llama, settings=replace(SETTINGS, plain=plain), seed=0)
    data = data_of(trials, make_samples, "to bed")
    tensors = trials.train(THETA, data).tensors
    injection = Injection(llama, THETA)
    injection.load(tensors)
    found = trials.fit_length(data.valid, data.train, max_new_tokens=30, injection=injection)
    free, own = (
        trials.read(data.valid, max_new_tokens=30, injection=injection, decoding=decoding)
        for decoding in (None, found)
    )
    assert found.stop_bias != 0.0
    off = [abs(fmean(map(len, reading.responses)) - len("to bed")) for reading in (own, free)]
    assert off[0] < off[1]
    assert own.losses == free.losses


def test_both_paths_find_the_same(llama: LanguageModel, make_samples: MakeSamples) -> None:
    """Token by token."""
    found = []
    for plain in (False, True):
        trials = TrialRunner(llama, settings=replace(SETTINGS, plain=plain), seed=0)
        data = data_of(trials, make_samples, "well")
        decoding = trials.fit_length(data.valid, data.train, max_new_tokens=30)
        reading = trials.read(data.valid, max_new_tokens=30, decoding=decoding)
        found.append((decoding, reading.responses))
    assert found[0] == found[1]


def test_a_free_length_is_left_alone(llama: LanguageModel, make_samples: MakeSamples) -> None:
    """As the settings say."""
    trials = TrialRunner(llama, settings=replace(SETTINGS, reply_length="free"), seed=0)
    data = data_of(trials, make_samples, "well")
    assert trials.fit_length(data.valid, data.train, max_new_tokens=30).stop_bias == 0.0


def test_a_length_is_fitted_up_to_three_times_the_persons(
    llama: LanguageModel, make_samples: MakeSamples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base that never ends is not followed to the longest answer that is allowed."""
    trials = TrialRunner(llama, settings=SETTINGS, seed=0)
    data = data_of(trials, make_samples, "to bed")
    stop_ids = trials.format.stop_ids
    length = len([token for token in data.train.encoded[0].response if token not in stop_ids])
    followed: list[int] = []
    margins = trials._margins

    def noted(*args: object, max_new_tokens: int) -> list[list[float]]:
        followed.append(max_new_tokens)
        return margins(*args, max_new_tokens=max_new_tokens)  # type: ignore[arg-type]

    monkeypatch.setattr(trials, "_margins", noted)
    trials.fit_length(data.valid, data.train, max_new_tokens=1000)
    trials.fit_length(data.valid, data.train, max_new_tokens=2)
    assert followed == [3 * length, 2]
