"""The super-adapter: nested parts, training that can be stopped, ranks compared."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from lorecall.learn.readings import finding_of
from lorecall.lm.attach import Injection
from lorecall.lm.base import BaseModel
from lorecall.records import InjectionConfig, Sample
from lorecall.search.discrete import DiscreteSpace
from lorecall.search.space import InjectionSpace
from lorecall.settings import TrainSettings
from lorecall.train.engine import FastEngine
from lorecall.train.trial import TrialData, Trials

SPACE = InjectionSpace(n_layers=3, max_loras=4, ranks=(2, 4))
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9)
Load = Callable[[str], ModuleType]


@pytest.fixture
def setup(
    load: Load,
    make_base: Callable[..., BaseModel],
    make_samples: Callable[..., tuple[Sample, ...]],
    tmp_path: Path,
) -> Any:
    """Set up a training of three epochs of three steps on a tiny base."""
    trials = Trials(make_base("llama", n_layers=3), settings=SETTINGS, seed=0)
    train, valid = trials.encode(make_samples(10)), trials.encode(make_samples(4, first=30))
    return load("super_adapter").Setup(
        trials=trials,
        data=TrialData(train=train, valid=valid, max_new_tokens=6),
        space=SPACE,
        max_rank=8,
        rungs=(1, 3),
        seed=0,
        work=tmp_path / "work",
    )


def weights(load: Load, setup: Any, rung: int) -> dict[str, torch.Tensor]:
    """Read a rung's weights."""
    adapter = load("super_weights").SuperAdapter(
        setup.trials.base, max_rank=setup.max_rank, seed=setup.seed
    )
    path = load("super_adapter").weights_of(setup, rung)
    assert adapter.restore(path, setup.identity)
    return {name: tensor.detach() for name, tensor in adapter.pairs.items()}


def stand_alone(setup: Any, n: int) -> dict[int, dict[str, Any]]:
    """Try candidates on their own, as `real_trials.py` writes them."""
    space, rng = DiscreteSpace(SPACE.distributions()), np.random.default_rng(7)
    rows: dict[int, dict[str, Any]] = {}
    while len(rows) < n:
        params = space.params(space.random(1, rng)[0])
        if SPACE.is_candidate(params):
            found = finding_of(setup.trials.run(SPACE.config(params), setup.data))
            rows[len(rows)] = {
                "index": len(rows),
                "params": params,
                "loss": found.objectives.loss,
                "rougeL": found.objectives.rouge_l,
                "n_parameters": found.n_parameters,
                "n_tokens": found.n_tokens,
                "train_s": found.train_s,
            }
    return rows


class TestParts:
    """What a theta has of the super-adapter."""

    def test_ranks_are_nested(self, load: Load, setup: Any) -> None:
        """The first rows and columns; a rank above is filled up with what changes nothing."""
        adapter = load("super_weights").SuperAdapter(setup.trials.base, max_rank=8, seed=0)
        for tensor in adapter.pairs.values():
            tensor.data = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1))
        small, large, cut = (
            adapter.part(InjectionConfig(layers=(0, 2), n_loras=n, rank=4)) for n in (2, 4, 6)
        )
        assert {name.split(".")[1] for name in small} == {"0", "2"}
        for name, whole in adapter.pairs.items():
            if name in small:
                rank = 0 if name.endswith("down") else 1
                assert small[name].shape[rank] == 4
                assert torch.equal(small[name], whole.narrow(rank, 0, 4))
                assert torch.equal(large[name], whole)
                assert cut[name].shape[rank] == 12
                assert torch.equal(cut[name].narrow(rank, 0, 8), whole)
                assert not cut[name].narrow(rank, 8, 4).any()

    def test_gradients_go_to_where_a_part_was_cut_out(self, load: Load, setup: Any) -> None:
        """They are those of the part trained alone; everything else stays without one."""
        adapter = load("super_weights").SuperAdapter(setup.trials.base, max_rank=8, seed=0)
        for tensor in adapter.pairs.values():
            tensor.data = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1))
        theta = InjectionConfig(layers=(1,), n_loras=1, rank=4)
        with Injection(setup.trials.base, theta) as injection:
            injection.load(adapter.part(theta))
            engine = FastEngine(setup.trials.base, injection)
            engine.losses(setup.data.train.encoded[:4]).mean().backward()
            adapter.take(injection)
            expected = dict(
                zip(injection.tensors(), (p.grad for p in injection.parameters()), strict=True)
            )
        for name, parameter in adapter.pairs.items():
            rank = 0 if name.endswith("down") else 1
            assert parameter.grad is not None
            if name in expected:
                assert torch.equal(parameter.grad.narrow(rank, 0, 4), expected[name])
                assert not parameter.grad.narrow(rank, 4, 4).any()
            else:
                assert not parameter.grad.any()


class TestTraining:
    """One training of random parts."""

    def test_it_learns_and_keeps_every_rung(self, load: Load, setup: Any) -> None:
        """The parts it is scored by are better than the base, and better at the last rung."""
        module, rows = load("super_adapter"), stand_alone(setup, 5)
        assert list(module.trained(setup)) == [3, 6, 9]
        base = float(np.mean(setup.trials.losses(setup.data.train)))
        on_train = replace(setup, data=replace(setup.data, valid=setup.data.train))
        first, last = (
            np.mean([row["loss"] for row in module.scored(on_train, rung, rows.values())])
            for rung in (1, 3)
        )
        assert last < first < base
        assert first != last

    @pytest.mark.parametrize("n_epochs", [1, 2])
    def test_stopped_it_goes_on_to_the_same_bits(
        self, load: Load, setup: Any, n_epochs: int
    ) -> None:
        """After any epoch; a finished training does nothing more."""
        module = load("super_adapter")
        whole = replace(setup, work=setup.work / "whole")
        list(module.trained(whole))
        assert len(list(islice(module.trained(setup), n_epochs))) == n_epochs
        assert list(module.trained(setup)) == [3, 6, 9][n_epochs:]
        for rung in (1, 3):
            one, other = weights(load, whole, rung), weights(load, setup, rung)
            assert all(torch.equal(one[name], other[name]) for name in one)
        assert list(module.trained(setup)) == []

    def test_other_settings_are_refused(self, load: Load, setup: Any) -> None:
        """Weights of another training are not gone on with, nor scored; missing ones neither."""
        module = load("super_adapter")
        with pytest.raises(SystemExit, match="train to it first"):
            list(module.scored(setup, 1, []))
        next(module.trained(setup))
        with pytest.raises(SystemExit, match="other settings"):
            next(module.trained(replace(setup, seed=1)))
        with pytest.raises(SystemExit, match="other settings"):
            list(module.scored(replace(setup, rungs=(1, 4)), 1, []))

    def test_the_rate_rises_and_falls(self, load: Load) -> None:
        """To its peak over the warm-up, then to nearly nothing."""
        rates = [load("super_adapter").schedule(step, 20, 0.1) for step in range(20)]
        assert rates[0] == 0.5
        assert max(rates) == rates[1] == 1.0
        assert rates[1:] == sorted(rates[1:], reverse=True)
        assert 0 < rates[-1] < 0.1


class TestScores:
    """Candidates scored by their parts."""

    def test_new_trials_alone_are_scored(self, load: Load, setup: Any) -> None:
        """A line that was cut off is scored again; with answers, what had none."""
        module, rows = load("super_adapter"), stand_alone(setup, 3)
        list(module.trained(setup))
        assert len(list(module.scored(setup, 1, list(rows.values())[:2]))) == 2
        path = setup.work / "scores-1.jsonl"
        path.write_text(path.read_text()[:-20])
        again = list(module.scored(setup, 1, rows.values()))
        assert [row["index"] for row in again] == [1, 2]
        assert list(module.scored(setup, 1, rows.values())) == []
        answered = list(module.scored(setup, 1, rows.values(), answers=True))
        assert len(answered) == 3
        for row, before in zip(answered[1:], again, strict=True):
            assert row["loss"] == pytest.approx(before["loss"], rel=1e-4)
            assert 0 <= row["rougeL"] <= 100

    def test_a_score_is_that_of_the_part(self, load: Load, setup: Any) -> None:
        """Read again by hand; a rank above the adapter's own is said to be cut."""
        module = load("super_adapter")
        list(module.trained(setup))
        on = {f"layer_{i:02d}": i == 1 for i in range(3)}
        rows = [{"index": n, "params": {**on, "n_loras": n, "rank": 4}} for n in (1, 4)]
        small, large = module.scored(setup, 3, rows)
        assert (small["cut"], large["cut"]) == (False, True)
        pairs = weights(load, setup, 3)
        theta = InjectionConfig(layers=(1,), n_loras=1, rank=4)
        with Injection(setup.trials.base, theta) as injection:
            injection.load(
                {
                    name: pairs[name].narrow(0 if name.endswith("down") else 1, 0, 4)
                    for name in injection.tensors()
                }
            )
            loss = FastEngine(setup.trials.base, injection).read(setup.data.valid.encoded).losses
        assert small["loss"] == pytest.approx(np.mean(loss), rel=1e-4)

    def test_what_is_written_compares_all_guesses(self, load: Load, setup: Any) -> None:
        """Every rung, the number of parameters, and the screening where there is one."""
        module, rows = load("super_adapter"), stand_alone(setup, 6)
        for i in (0, 2, 3, 5):
            rows[i]["cheap"] = {"loss": rows[i]["loss"] + 0.1, "rougeL": 100 - rows[i]["rougeL"]}
        list(module.trained(setup))
        for rung in setup.rungs:
            list(module.scored(setup, rung, rows.values(), answers=rung == 3))
        found = json.loads(json.dumps(module.compared(setup, rows)))
        assert set(found["correlations"]) == {
            "parameters",
            "screening loss",
            "screening ROUGE-L",
            "super-adapter loss, 1 epochs",
            "super-adapter loss, 3 epochs",
            "super-adapter ROUGE-L, 3 epochs",
        }
        screened = found["correlations"]["screening loss"]
        assert screened["n"] == 4
        assert screened["loss"]["value"] == pytest.approx(1)
        part = found["correlations_where_screened"]["super-adapter loss, 1 epochs"]
        assert part["n"] == 4
        scores = {s["index"]: s["loss"] for s in found["scores"]["1"]}
        expected = spearmanr([scores[i] for i in rows], [rows[i]["loss"] for i in rows]).statistic
        one = found["correlations"]["super-adapter loss, 1 epochs"]["loss"]
        assert one["value"] == pytest.approx(expected)
        assert one["low"] <= one["value"] <= one["high"]
        cost = found["cost"]
        tokens = sum(sample.n_tokens for sample in setup.data.train.encoded)
        assert cost["super_adapter"]["tokens"] == 3 * tokens
        assert cost["stand_alone"]["trials"] == 6


class TestSpearman:
    """The rank correlation."""

    def test_by_hand(self, load: Load) -> None:
        """A monotone function is 1, turned round -1; ties have their mean rank."""
        spearman = load("rank_correlation").spearman
        a = np.arange(8.0)
        assert spearman(a, np.exp(a)).value == pytest.approx(1)
        assert spearman(a, -a).value == pytest.approx(-1)
        tied = spearman(np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0]))
        assert tied.value == pytest.approx(0.9486833)

    def test_the_interval_holds_what_scipy_gives(self, load: Load) -> None:
        """It narrows with more candidates, and its seed makes it the same again."""
        spearman, rng = load("rank_correlation").spearman, np.random.default_rng(0)
        widths: list[float] = []
        for n in (20, 200):
            a = rng.normal(size=n)
            b = a + rng.normal(size=n)
            rho = spearman(a, b)
            assert rho.value == pytest.approx(spearmanr(a, b).statistic)
            assert rho.low < rho.value < rho.high
            assert rho == spearman(a, b)
            widths.append(rho.high - rho.low)
        assert widths[1] < widths[0] / 2

    @pytest.mark.parametrize(
        ("a", "b"), [([1.0, 2.0], [1.0, 2.0]), ([1.0] * 4, [1.0, 2.0, 3.0, 4.0])]
    )
    def test_where_there_is_none(self, load: Load, a: list[float], b: list[float]) -> None:
        """Two candidates, or scores that are all alike, tell nothing."""
        assert load("rank_correlation").spearman(np.array(a), np.array(b)) is None


@pytest.mark.parametrize("rungs", [["0"], ["4", "2"], ["2", "2"]])
def test_rungs_that_cannot_be_are_refused(load: Load, rungs: list[str]) -> None:
    """Before a model is loaded."""
    with pytest.raises(SystemExit):
        load("super_adapter").main(["--rungs", *rungs])
