"""The mean of several memories: one pair a linear whose update is the mean of theirs."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from torch import Tensor

from lorecall.data.history import split_history
from lorecall.errors import ArtefactError
from lorecall.lm.attach import Injection
from lorecall.lm.base import BaseModel
from lorecall.records import History, InjectionConfig, Sample
from lorecall.settings import TrainSettings, preset

WIDE = InjectionConfig(layers=(0, 2), n_loras=3, rank=2)  # two modules on layer 0, one on 2
STRONG = InjectionConfig(layers=(1, 2), n_loras=2, rank=4, scaling=8.0)


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch, load: Callable[[str], ModuleType], one_epoch: TrainSettings
) -> ModuleType:
    """Import the experiment, which is no package, with short trainings."""
    module = load("soups")
    monkeypatch.setattr(module, "SETTINGS", replace(preset("laptop"), train=one_epoch))
    return module


def made_up(base: BaseModel, config: InjectionConfig) -> dict[str, Tensor]:
    """Give pairs of a theta with B other than zero."""
    torch.manual_seed(config.rank)
    with Injection(base, config) as injection:
        return {name: torch.randn_like(each) for name, each in injection.tensors().items()}


def updates(
    base: BaseModel, config: InjectionConfig, pairs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Give what the pairs add to each weight."""
    with Injection(base, config) as injection:
        injection.load(pairs)
        return {
            path: pair.scaling * pair.up.detach() @ pair.down.detach()
            for path, pair in injection.pairs().items()
        }


def test_a_soup_adds_the_mean_of_what_its_parts_add(
    experiment: ModuleType, make_base: Callable[..., BaseModel]
) -> None:
    """Also where a part has no module on a layer, or another scaling or rank."""
    base = make_base("llama", n_layers=3)
    parts = [(config, made_up(base, config)) for config in (WIDE, STRONG)]
    soup = updates(base, *experiment.soup_of(parts))
    each = [updates(base, *part) for part in parts]
    assert set(soup) == set(each[0]) | set(each[1])
    for path, update in soup.items():
        mean = sum(own[path] for own in each if path in own) / 2
        torch.testing.assert_close(update, mean)


def test_a_soup_of_equal_parts_is_the_part(
    experiment: ModuleType, make_base: Callable[..., BaseModel]
) -> None:
    """Nothing is changed by an average of the same."""
    base = make_base("llama", n_layers=3)
    part = (STRONG, made_up(base, STRONG))
    own, soup = updates(base, *part), updates(base, *experiment.soup_of([part, part]))
    for path, update in own.items():
        torch.testing.assert_close(soup[path], update)


def test_a_soup_of_pairs_that_are_not_theta_s_is_refused(
    experiment: ModuleType, make_base: Callable[..., BaseModel]
) -> None:
    """A theta's missing linear shows when the soup is put on."""
    base = make_base("llama", n_layers=3)
    pairs = {k: v for k, v in made_up(base, STRONG).items() if not k.startswith("layers.1")}
    with pytest.raises(ArtefactError, match="fit theta"):
        updates(base, *experiment.soup_of([(STRONG, pairs)]))


def test_memories_and_their_soups_are_read_for_every_person(
    experiment: ModuleType,
    load: Callable[[str], ModuleType],
    make_base: Callable[..., BaseModel],
    make_samples: Callable[..., tuple[Sample, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two seeds are two memories, a soup has losses of its own, and all is against the largest."""
    history = History(dataset="made up", user="ann", samples=make_samples(24))
    monkeypatch.setattr(experiment, "load_history", lambda _, user: replace(history, user=user))
    base = make_base("llama", n_layers=3)
    chosen = load("memories").Chosen(dataset="made up", user="ann", theta=WIDE, losses={})
    people = {"ann": experiment.of_person(base, chosen)}
    rows = people["ann"]["systems"]
    assert list(rows) == ["largest", "default x8", "again", "two thetas", "two seeds", "all"]
    n_test = len(split_history(history).test)
    assert all(len(row["test"]) == n_test for row in rows.values())
    assert len({tuple(row["test"]) for row in rows.values()}) == len(rows)
    whole = experiment.report(people, base)
    assert whole["test"]["largest"]["less the largest"] == [0, 0, 0]
    difference = whole["test"]["all"]["less the largest"][0]
    assert difference == pytest.approx(
        whole["test"]["all"]["mean"][0] - people["ann"]["mean"]["largest"]
    )
