"""The numbers of a bench, beside those of `lorecall.settings`. Nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lorecall.core.options import (
    NO_CHANGES,
    Sections,
    belonging,
    check_options,
    find_option,
    make,
    option,
)
from lorecall.settings import (
    SETTINGS,
    BaseOptions,
    LearnSettings,
    PresetName,
    preset,
    presets_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """The numbers of a bench.

    `preset` is where they come from, `learn` how every system is trained, how theta is searched,
    and the bootstrap.

    Examples:
        >>> from lorecall.bench import BenchSettings
        >>> BenchSettings(test_samples=50).learn.search.trials  # the laptop preset's
        8
    """

    preset: PresetName = "laptop"
    learn: LearnSettings = field(default_factory=lambda: preset("laptop"))
    history_samples: int | None = option(
        None, "Most samples of a user, the newest, in whole conversations.", low=20, smoke=48
    )
    test_samples: int | None = option(
        None, "Most test samples that are read, evenly spaced.", low=1, smoke=6
    )
    n_timed: int = option(5, "Replies that are timed one by one.", low=1, smoke=1)
    swap_others: int | None = option(
        None,
        "Most other people with whose memories a person's test replies are read too, those of like"
        " training size first; 0 to swap nothing, none for everyone.",
        low=0,
    )
    swap_samples: int | None = option(
        16,
        "Most test replies of a person that are read so, evenly spaced; none for all.",
        low=1,
        smoke=4,
    )
    swap_systems: tuple[str, ...] = option(
        ("personal", "memory"),
        "Systems whose memories are kept and swapped, where they are in the bench.",
    )

    def __post_init__(self) -> None:
        check_options(self)


BENCH: Sections = {**SETTINGS, "base": BaseOptions, "bench": BenchSettings}
"""Every option of `lorecall bench`, by section."""


def bench_preset(
    name: str, changes: Mapping[str, object] = NO_CHANGES, **named: object
) -> BenchSettings:
    """Make the settings of a preset.

    `smoke` shows in three minutes that all works, and says nothing of quality; `laptop` takes a
    night on two cores with eight users; `paper` is the paper's.

    Args:
        name: `smoke`, `laptop` or `paper`.
        changes: Options by full name, those of a training and a search among them.
        named: The same by their last names.

    Raises:
        ConfigError: An unknown preset or option, or a value that its option may not have.

    Examples:
        >>> from lorecall.bench import bench_preset
        >>> bench_preset("smoke", trials=3).learn.search.trials
        3
    """
    values = {find_option(BENCH, key).full_name: v for key, v in {**changes, **named}.items()}
    learn = preset(name, belonging(SETTINGS, values))
    return make(
        BenchSettings,
        values,
        section="bench",
        presets=presets_of(name),
        parts={"preset": learn.preset, "learn": learn},
    )
