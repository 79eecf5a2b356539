"""What the base alone makes of samples: kept, spilled to files, computed again, always the same."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.engine.body import Body
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.sampling import GreedyChooser
from lorecall.records import Inject, InjectionConfig, Sample
from lorecall.train.activation_cache import ActivationCache, CacheEntry
from lorecall.train.engine import FastEngine, PlainEngine

MakeSamples = Callable[..., tuple[Sample, ...]]
Fill = Callable[..., dict[str, Tensor]]
CLOSE = {"atol": 2e-5, "rtol": 2e-5}
PLENTY = 2**30
LIMITS = {
    "memory": (PLENTY, 0),
    "files": (0, PLENTY),
    "both": (3000, PLENTY),
    "little": (3000, 5000),
    "nothing": (0, 0),
}
EACH = pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS.keys())


def cache_of(base: LanguageModel, limits: tuple[int, int] = (PLENTY, 0)) -> ActivationCache:
    """Keep within a memory limit and a file limit."""
    return ActivationCache(base, memory_bytes=limits[0], disk_bytes=limits[1])


def in_room(cache: ActivationCache) -> int:
    """Count the bytes kept."""
    return cache.budget.in_memory + cache.budget.in_files


@pytest.fixture
def samples(base: LanguageModel, make_samples: MakeSamples) -> list[Encoded]:
    """Return more samples than are computed at once, one of them twice."""
    layout = PromptFormat(base.tokenizer)
    encoded = [layout.encode(sample) for sample in make_samples(19)]
    return [*encoded, encoded[4]]


def assert_known(
    known: list[CacheEntry], expected: list[CacheEntry], layer: int, *, keys: bool
) -> None:
    """Compare the streams of a layer, and the keys and values up to it."""
    assert len(known) == len(expected)
    for one, other in zip(known, expected, strict=True):
        torch.testing.assert_close(one.streams[layer], other.streams[layer], **CLOSE)
        for i in range(layer + 1) if keys else ():
            for half in (0, 1):
                ours, plain = one.keys_values[i][half], other.keys_values[i][half]
                torch.testing.assert_close(ours, plain, **CLOSE)


class TestKnown:
    """What lies below the feed-forward block of a layer."""

    @pytest.mark.parametrize("layer", [0, 1, 2])
    @torch.no_grad()
    def test_it_is_what_the_sample_alone_gives(
        self, base: LanguageModel, samples: list[Encoded], layer: int
    ) -> None:
        """A row a token but the last, in the samples' order."""
        body = Body(base)
        known = cache_of(base).entries(layer, samples, keys=True)
        for sample, found in zip(samples, known, strict=True):
            packed = body.pack([sample.read], [1])
            h, kept = body.to_mlp(body.embed(packed), packed, layer=layer, keep=True)
            alone = CacheEntry(streams={layer: h}, keys_values=dict(enumerate(kept)))
            assert len(found.streams[layer]) == sample.n_tokens - 1
            assert_known([found], [alone], layer, keys=True)

    def test_it_is_kept_and_used_again(self, base: LanguageModel, samples: list[Encoded]) -> None:
        """Nothing more is kept the second time, and what is given is what was kept."""
        cache = cache_of(base)
        cache.entries(1, samples)
        n_bytes = in_room(cache)
        width = base.model.config.hidden_size
        assert n_bytes == sum((s.n_tokens - 1) * width * 4 for s in set(samples))
        again = [cache.entries(1, samples) for _ in range(2)]
        assert in_room(cache) == n_bytes
        for one, other in zip(*again, strict=True):
            assert one.streams[1].data_ptr() == other.streams[1].data_ptr()
        cache.entries(1, samples[::-1])
        assert in_room(cache) == n_bytes

    @pytest.mark.parametrize("keys", [False, True])
    def test_going_on_from_a_lower_layer_is_no_other(
        self, base: LanguageModel, samples: list[Encoded], *, keys: bool
    ) -> None:
        """Whichever layers were asked for before; below a kept layer it begins anew."""
        for order in ((0, 1, 2), (0, 2, 1), (1, 2), (2, 0), (1, 0)):
            cache = cache_of(base)
            for layer in order:
                expected = cache_of(base).entries(layer, samples, keys=keys)
                assert_known(cache.entries(layer, samples, keys=keys), expected, layer, keys=keys)

    def test_keys_may_be_asked_for_later(self, base: LanguageModel, samples: list[Encoded]) -> None:
        """They come with the stream that was there; asked for again, nothing is added."""
        expected = cache_of(base).entries(2, samples, keys=True)
        for before in ((2,), (0, 2), (1,)):
            cache = cache_of(base)
            for layer in before:
                cache.entries(layer, samples)
            assert_known(cache.entries(2, samples, keys=True), expected, 2, keys=True)
            n_bytes = in_room(cache)
            assert_known(cache.entries(2, samples), expected, 2, keys=False)
            assert_known(cache.entries(2, samples, keys=True), expected, 2, keys=True)
            assert in_room(cache) == n_bytes

    def test_samples_that_come_later_are_added(
        self, base: LanguageModel, samples: list[Encoded]
    ) -> None:
        """Some were seen at this layer, some at a lower one, some never."""
        cache = cache_of(base)
        cache.entries(2, samples[:5], keys=True)
        cache.entries(0, samples[3:9], keys=True)
        expected = cache_of(base).entries(2, samples, keys=True)
        assert_known(cache.entries(2, samples, keys=True), expected, 2, keys=True)

    @EACH
    def test_where_it_is_kept_changes_nothing(
        self, base: LanguageModel, samples: list[Encoded], limits: tuple[int, int]
    ) -> None:
        """In memory, in files, in part or not at all; the limits hold."""
        cache = cache_of(base, limits)
        for layer in (0, 2, 1):
            expected = cache_of(base).entries(layer, samples, keys=True)
            for _ in range(2):
                known = cache.entries(layer, samples, keys=True)
                assert_known(known, expected, layer, keys=True)
        assert cache.budget.in_memory <= limits[0]
        assert cache.budget.in_files <= limits[1]
        assert (cache.budget.in_files > 0) == (limits[0] < PLENTY and limits[1] > 0)


class TestPrompts:
    """Keys and values of prompts without their last token, in every layer."""

    @EACH
    def test_where_they_are_kept_changes_nothing(
        self, base: LanguageModel, samples: list[Encoded], limits: tuple[int, int]
    ) -> None:
        """Padded to the longest that is asked for, the second time as the first."""
        cache, body = cache_of(base, limits), Body(base)
        for part in (samples[:6], samples, samples[::-1], samples[3:4]):
            layers = cache.prompts(part)
            assert len(layers) == base.n_layers
            lengths = [len(sample.prompt) - 1 for sample in part]
            assert layers[0][0].shape[:2] == (len(part), max(lengths))
            for i, (sample, n) in enumerate(zip(part[:3], lengths, strict=False)):
                packed, last = body.pack([sample.prompt[:-1]], [1]), base.n_layers - 1
                kept = body.to_mlp(body.embed(packed), packed, layer=last, keep=True).keys_values
                for ours, plain in zip(layers, kept, strict=True):
                    for one, other in zip(ours, plain, strict=True):
                        torch.testing.assert_close(one[i, :n], other, **CLOSE)
        n_bytes = in_room(cache)
        cache.prompts(samples)
        assert limits == LIMITS["little"] or in_room(cache) == n_bytes


@EACH
@pytest.mark.parametrize("inject", ["all", "response"])
def test_one_store_serves_candidates_in_turn(
    base: LanguageModel,
    samples: list[Encoded],
    fill: Fill,
    limits: tuple[int, int],
    inject: Inject,
) -> None:
    """Each with another first layer, losses and answers as if it were alone."""
    cache = cache_of(base, limits)
    for layer in (2, 0, 1):
        config = InjectionConfig(layers=(layer,), n_loras=1, rank=4, inject=inject)
        injection = Injection(base, config)
        fill(injection, seed=layer)
        fast = FastEngine(base, injection, cache=cache)
        plain = PlainEngine(base, injection)
        reading = fast.read(samples, keep=True)
        assert reading.losses == pytest.approx(plain.read(samples).losses, rel=1e-5)
        ours, expected = (
            engine.answer(samples, reading, max_new_tokens=4, chooser=GreedyChooser(frozenset()))
            for engine in (fast, plain)
        )
        assert ours == expected
        fast.losses(samples).sum().backward()


def test_a_disk_that_refuses_costs_time_alone(
    base: LanguageModel, samples: list[Encoded], file_size_limit: Callable[[int], None]
) -> None:
    """What cannot be kept is computed again."""
    expected = cache_of(base).entries(1, samples, keys=True)
    prompts = cache_of(base).prompts(samples)
    cache = cache_of(base, (3000, PLENTY))
    file_size_limit(2**20)
    for _ in range(2):
        assert_known(cache.entries(1, samples, keys=True), expected, 1, keys=True)
        for one, other in zip(cache.prompts(samples), prompts, strict=True):
            torch.testing.assert_close(one, other, **CLOSE)
    assert cache.budget.in_files == 0
    assert 0 < cache.budget.in_memory <= 3000
