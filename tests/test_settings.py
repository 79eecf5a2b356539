"""The numbers of a run: ranges, presets, overrides."""

import json
from typing import Any

import pytest

from lorecall.errors import ConfigError
from lorecall.settings import (
    DROPOUTS,
    RANKS,
    SCALINGS,
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
        ("dropouts", (0.0, 0.95)),
        ("the number of dropouts", ()),
    ],
)
def test_search_numbers_outside_their_range_are_refused(name: str, value: object) -> None:
    """None stands for all samples and for the training's own epochs; zero does not."""
    with pytest.raises(ConfigError, match=f"{name} must be in range"):
        SearchSettings(**{name.removeprefix("the number of "): value})


def test_the_paper_preset_is_the_defaults() -> None:
    """Everything as published, on all samples."""
    paper = preset("paper", seed=3)
    assert paper.train == TrainSettings()
    assert paper.search == SearchSettings()
    assert (paper.preset, paper.seed) == ("paper", 3)


def test_the_laptop_preset_is_smaller() -> None:
    """Fewer trials on fewer samples; ranks and space stay."""
    laptop, paper = preset(), preset("paper")
    assert laptop.preset == "laptop"
    assert laptop.search.trials < paper.search.initial
    assert laptop.search.samples is not None
    assert laptop.train.max_epochs < paper.train.max_epochs
    assert laptop.search.ranks == paper.search.ranks


@pytest.mark.parametrize("name", ["laptop", "paper"])
def test_every_common_number_can_be_overridden(name: str) -> None:
    """What is not given stays the preset's."""
    changed = preset(name, seed=5, trials=7, initial=3, samples=20, epochs=1)
    assert (changed.search.trials, changed.search.initial, changed.search.samples) == (7, 3, 20)
    assert (changed.train.max_epochs, changed.search.epochs, changed.seed) == (1, 1, 5)
    assert changed.train.learning_rate == preset(name).train.learning_rate


def test_an_unknown_preset_is_refused() -> None:
    """The known ones are listed."""
    with pytest.raises(ConfigError, match="expected laptop or paper, got 'phone'"):
        preset("phone")


@pytest.mark.parametrize("number", [{"trials": 0}, {"initial": 0}, {"samples": 1}, {"epochs": 0}])
def test_an_override_outside_its_range_is_refused(number: dict[str, int]) -> None:
    """Overrides are checked as the settings are."""
    with pytest.raises(ConfigError, match="must be in range"):
        preset(**number)


def test_settings_are_written_as_plain_values() -> None:
    """They stand next to the result and come back from JSON as they were."""
    value = LearnSettings().as_json()
    assert json.loads(json.dumps(value))["train"]["learning_rate"] == 5e-4
    assert set(value) == {"preset", "seed", "train", "search", "n_bootstrap"}


def test_a_memory_on_responses_alone_is_an_option() -> None:
    """The paper's acts on all tokens."""
    assert preset().search.inject == "all"
    assert preset(inject="response").search.inject == "response"
    with pytest.raises(ConfigError, match="expected all or response, got 'prompt'"):
        preset(inject="prompt")


def test_replies_of_free_length_are_an_option() -> None:
    """They leave their mark; the usual ones do not, so that runs from before go on."""
    assert preset("laptop").train.reply_length == "own"
    written: Any = preset("laptop").as_json()
    assert not {"reply_length", "no_repeat"} & set(written["train"])
    free = preset("laptop", reply_length="free")
    written = free.as_json()
    assert free.train.reply_length == written["train"]["reply_length"] == "free"
    with pytest.raises(ConfigError, match="the length of replies must be known"):
        preset("laptop", reply_length="short")
    assert preset("laptop").train.no_repeat == 3
    written = preset("laptop", no_repeat=0).as_json()
    assert written["train"]["no_repeat"] == 0
    with pytest.raises(ConfigError, match="no_repeat"):
        preset("laptop", no_repeat=-1)


def test_the_loss_of_a_conversation_is_an_option() -> None:
    """It leaves its mark; not for a memory on the response side."""
    assert preset("laptop").train.loss_on == "response"
    written: Any = preset("laptop").as_json()
    assert "loss_on" not in written["train"]
    written = preset("laptop", loss_on="conversation").as_json()
    assert written["train"]["loss_on"] == "conversation"
    with pytest.raises(ConfigError, match="what the loss is of must be known"):
        preset(loss_on="prompt")
    with pytest.raises(ConfigError, match="learns from responses"):
        preset(loss_on="conversation", inject="response")


def test_trials_side_by_side_are_a_batch() -> None:
    """As many are suggested at once; one by one otherwise."""
    assert (preset().search.batch, preset().search.together) == (1, False)
    assert (preset(together=4).search.batch, preset(together=4).search.together) == (4, True)


def test_the_search_can_be_made_cheaper() -> None:
    """Each option is off until asked for."""
    plain = preset().search
    assert (plain.searched, plain.budget_min, plain.early_stop, plain.screen) == (
        "all",
        None,
        False,
        0,
    )
    changed = preset(searched="n+rank", budget_min=2.5, early_stop=True, screen=6)
    assert changed.search.searched == "n+rank"
    assert (changed.search.budget_min, changed.search.early_stop) == (2.5, True)
    assert changed.search.screen == 6
    assert changed.screen_train.max_epochs == changed.search.screen_epochs == 1


def test_a_laptops_choice_is_between_two_finalists() -> None:
    """Its trials are too short to choose by alone; the paper's are trained in full."""
    assert preset("laptop").search.finalists == 2
    assert preset("paper").search.finalists == 1
    assert preset("laptop", finalists=1).search.finalists == 1


def test_the_smallest_of_level_finalists_is_an_option() -> None:
    """Off, it leaves no trace; any other word is refused."""
    assert preset().search.take == "lowest"
    search = preset().as_json()["search"]
    assert isinstance(search, dict)
    assert "take" not in search
    assert preset(take="smallest").as_json()["search"] == {**search, "take": "smallest"}
    with pytest.raises(ConfigError, match="expected lowest or smallest, got 'best'"):
        preset(take="best")


def test_the_space_can_be_wider() -> None:
    """Factor by factor; off, they leave no trace, so a run begun without them goes on."""
    plain = preset("paper")
    assert (plain.search.scalings, plain.search.dropouts) == ((1.0,), (0.0,))
    assert plain.search.third_objective is None
    search = plain.as_json()["search"]
    assert not {"scalings", "dropouts", "third_objective", "finalists"} & search.keys()
    assert preset("paper", finalists=3).as_json()["search"] == {**search, "finalists": 3}
    wide = preset("paper", wide=("dropout",), third_objective="parameters")
    assert (wide.search.scalings, wide.search.dropouts) == ((1.0,), DROPOUTS)
    assert wide.as_json()["search"] == {
        **search,
        "dropouts": DROPOUTS,
        "third_objective": "parameters",
    }
    both = preset("paper", wide=("scaling", "dropout")).search
    assert (both.scalings, both.dropouts) == (SCALINGS, DROPOUTS)
    assert 1.0 in SCALINGS
    assert 0.0 in DROPOUTS


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"wide": ("alpha",)}, "a factor must be known: expected scaling or dropout"),
        ({"third_objective": "bytes"}, "the third objective must be known: expected parameters"),
    ],
)
def test_an_unknown_factor_or_objective_is_refused(changes: dict[str, object], line: str) -> None:
    """The known ones are listed."""
    with pytest.raises(ConfigError, match=line):
        preset(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"searched": "alpha"}, {"budget_min": 0.0}, {"budget_min": float("nan")}, {"screen": -1}],
)
def test_cheaper_searches_are_checked(changes: dict[str, object]) -> None:
    """An unknown word or a number outside its range."""
    with pytest.raises(ConfigError):
        preset(**changes)
