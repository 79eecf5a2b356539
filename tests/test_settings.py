"""The numbers of a run: ranges, presets, overrides."""

import json

import pytest

from lorecall.core.options import options_of
from lorecall.errors import ConfigError
from lorecall.learning.share_settings import ShareSettings
from lorecall.settings import (
    LEARN,
    RANKS,
    DesignSettings,
    LearnSettings,
    SearchSettings,
    TrainSettings,
    preset,
)


def test_the_defaults_are_the_papers() -> None:
    """Section 3.4 and Table 2."""
    train, search = TrainSettings(), SearchSettings()
    assert (train.learning_rate, train.weight_decay, train.batch_size) == (5e-4, 1e-4, 8)
    assert (train.max_epochs, train.max_prompt_tokens, train.max_response_tokens) == (10, 512, 128)
    assert (train.warmup_share, train.clip_norm, train.earlier_turns) == (0.1, 1.0, 2)
    assert (search.initial, search.max_loras, search.ranks) == (100, 32, (8, 16, 32, 64, 96))
    assert search.ranks == RANKS
    assert (search.warmup_steps, search.posterior_samples, search.thinning) == (128, 64, 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("max_epochs", 0),
        ("patience", 0),
        ("max_response_tokens", 0),
        ("evals_per_epoch", 1),
        ("max_prompt_tokens", 15),
        ("earlier_turns", -1),
        ("earlier_turns", 3),
        ("history_in_prompt", -1),
        ("learning_rate", -1e-3),
    ],
)
def test_training_numbers_outside_their_range_are_refused(name: str, value: float) -> None:
    """The message names the setting and what it got."""
    with pytest.raises(ConfigError, match=f"{name} must be in range.*got {value}"):
        TrainSettings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trials", 0),
        ("initial", 0),
        ("batch", 0),
        ("max_loras", 0),
        ("stop_rounds", 0),
        ("finalists", 0),
        ("thinning", 0),
        ("samples", 7),
        ("epochs", 0),
        ("scalings", (0.0, 1.0)),
        ("the number of scalings", ()),
    ],
)
def test_search_numbers_outside_their_range_are_refused(name: str, value: object) -> None:
    """None stands for all samples and for the training's own epochs; zero does not."""
    with pytest.raises(ConfigError, match=f"{name} must be in range"):
        SearchSettings(**{name.removeprefix("the number of "): value})


def test_the_paper_preset_is_the_defaults() -> None:
    """Everything as published, on all samples: searched, and what was found as it was trained."""
    paper = preset("paper", seed=3)
    assert paper.train == TrainSettings(factors=(1.0,))
    assert paper.search == SearchSettings(searched="paper")
    assert (paper.preset, paper.seed) == ("paper", 3)


def test_the_laptop_preset_is_smaller() -> None:
    """Fewer trials on fewer samples; ranks and space stay."""
    laptop, paper = preset(), preset("paper")
    assert laptop.preset == "laptop"
    assert laptop.search.trials < paper.search.initial
    assert laptop.search.samples is not None
    assert laptop.train.max_epochs < paper.train.max_epochs
    assert laptop.search.ranks == paper.search.ranks


def test_the_smoke_preset_is_smaller_still() -> None:
    """What it does not say itself is the laptop's."""
    smoke, laptop = preset("smoke"), preset("laptop")
    assert (smoke.search.trials, smoke.search.samples, smoke.train.max_epochs) == (2, 16, 1)
    assert (smoke.search.start, smoke.train.patience) == ("known", laptop.train.patience)
    assert smoke.n_bootstrap < laptop.n_bootstrap


@pytest.mark.parametrize("name", ["smoke", "laptop", "paper"])
def test_any_option_can_be_changed_by_its_last_name(name: str) -> None:
    """What is not given stays the preset's; nothing stands for nothing."""
    changed = preset(name, seed=5, trials=7, initial=3, samples=None, max_epochs=1)
    assert (changed.search.trials, changed.search.initial, changed.search.samples) == (7, 3, None)
    assert (changed.train.max_epochs, changed.seed) == (1, 5)
    assert changed.train.learning_rate == preset(name).train.learning_rate


def test_an_option_can_be_changed_by_its_full_name() -> None:
    """Beside the short ones."""
    changed = preset("laptop", {"train.learning_rate": 1e-3, "n_bootstrap": 10}, trials=4)
    assert (changed.train.learning_rate, changed.n_bootstrap) == (1e-3, 10)
    assert changed.search.trials == 4


def test_a_trials_epochs_are_no_more_than_a_trainings() -> None:
    """`search.epochs` is a cap of its own."""
    assert preset("laptop").trial_train.max_epochs == 2
    assert preset("laptop", max_epochs=1).trial_train.max_epochs == 1
    assert preset("paper").trial_train.max_epochs == 10


def test_an_unknown_preset_is_refused() -> None:
    """The known ones are listed."""
    with pytest.raises(ConfigError, match="expected smoke or laptop or paper, got 'phone'"):
        preset("phone")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"trials": 0}, "trials must be in range"),
        ({"samples": 1}, "samples must be in range"),
        ({"trials": "4"}, "search.trials must be of its type: expected a whole number, 1 or more"),
        ({"learning_rate": True}, "train.learning_rate must be of its type"),
        ({"trails": 4}, "an option must be known: expected search.trials, got 'trails'"),
        ({"budget_min": 0.0}, "budget_min must be in range"),
        ({"budget_min": float("nan")}, "budget_min must be in range"),
        ({"searched": "alpha"}, "searched must be known: expected none or paper or layer"),
        ({"design.rank": 0}, "rank must be in range"),
        ({"design.scaling": 0.0}, "scaling must be in range"),
        ({"layers": (3, 1)}, "layers must be in ascending order"),
        ({"factors": (0.0, 2.0)}, "factors must be in range: expected 0 to 1.5"),
        ({"others": -1}, "others must be in range"),
        ({"third_objective": "bytes"}, "expected parameters, got 'bytes'"),
        ({"reply_length": "short"}, "reply_length must be known: expected own or free"),
        ({"inject": "prompt"}, "expected all or response, got 'prompt'"),
        ({"posterior_samples": 4, "thinning": 8}, "posterior_samples must be in range"),
        ({"ranks": (16, 8)}, "ranks must be in ascending order"),
        ({"seed": -1}, "seed must be in range: expected 0 to 2147483647"),
    ],
)
def test_what_an_option_may_not_have_is_refused(changes: dict[str, object], line: str) -> None:
    """Changes are checked as the settings are."""
    with pytest.raises(ConfigError, match=line):
        preset("paper", changes)


def test_settings_are_written_as_plain_values() -> None:
    """They stand next to the result and come back from JSON as they were."""
    value = LearnSettings().as_json()
    assert json.loads(json.dumps(value))["train"]["learning_rate"] == 5e-4
    parts = {"design", "train", "search"}
    assert set(value) == {"preset", "seed", "n_bootstrap", "others", "redact", *parts}


def test_what_is_off_in_every_preset() -> None:
    """Departures from the paper are asked for."""
    for settings in map(preset, ("smoke", "laptop", "paper")):
        assert (settings.search.inject, settings.search.batch) == ("all", 1)
        assert settings.search.scalings == (1.0,)
        assert (settings.search.budget_min, settings.search.third_objective) == (None, None)


def test_a_search_is_asked_for() -> None:
    """One training of the design is enough; the paper's preset searches all of theta."""
    searched = {name: preset(name).search.searched for name in ("smoke", "laptop", "paper")}
    assert searched == {"smoke": "none", "laptop": "none", "paper": "paper"}
    assert preset("laptop", searched="layer").search.searched == "layer"


class TestDesign:
    """The theta of a memory without a search."""

    def test_it_is_in_every_layer(self) -> None:
        """Unless some are named."""
        design = DesignSettings(rank=3, scaling=2.0)
        theta = design.config(4, inject="response")
        assert theta.ranks() == {0: 3, 1: 3, 2: 3, 3: 3}
        assert (theta.scaling, theta.inject) == (2.0, "response")

    def test_it_is_in_the_layers_that_are_named(self) -> None:
        """One module in each."""
        assert DesignSettings(rank=2, layers=(1, 3)).config(4).ranks() == {1: 2, 3: 2}

    def test_its_numbers_are_options(self) -> None:
        """By their full names, beside all others."""
        changed = preset("laptop", {"design.rank": 5, "design.layers": [0, 2]})
        assert (changed.design.rank, changed.design.layers) == (5, (0, 2))
        assert preset("laptop").design == DesignSettings()


class TestShare:
    """How a shared memory is learnt."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("replies", 39),
            ("valid", 3),
            ("rank", 0),
            ("scaling", 0.0),
            ("batch_size", 0),
            ("epochs", 0),
            ("learning_rate", -1.0),
            ("seed", -1),
        ],
    )
    def test_numbers_outside_their_range_are_refused(self, name: str, value: float) -> None:
        """As of every option."""
        with pytest.raises(ConfigError, match=f"{name} must be in range"):
            ShareSettings(**{name: value})

    def test_it_is_trained_to_its_end(self) -> None:
        """Read four times an epoch, and never stopped before all was gone through."""
        train = ShareSettings(epochs=3, batch_size=4, learning_rate=1e-3).train
        assert (train.max_epochs, train.batch_size, train.learning_rate) == (3, 4, 1e-3)
        assert (train.evals_per_epoch, train.patience) == (4, 12)


def test_a_laptops_choice_is_between_two_finalists() -> None:
    """Its trials are too short to choose by alone; the paper's are trained in full."""
    assert preset("laptop").search.finalists == 2
    assert preset("laptop").search.design_is_finalist
    assert preset("paper").search.finalists == 1
    assert not preset("laptop", finalists=1).search.design_is_finalist


def test_the_space_can_be_wider() -> None:
    """On levels of one's own."""
    assert preset("paper", scalings=[1, 2, 4]).search.scalings == (1.0, 2.0, 4.0)


def test_every_option_says_what_it_is() -> None:
    """In a sentence, and what it may be in words; its values in every preset are allowed."""
    for section, group in LEARN.items():
        for each in options_of(group, section):
            assert each.says.endswith(".") or each.name == "device"
            assert each.allowed
            for value in (each.default, *each.presets.values()):
                assert each.check(value) == value
