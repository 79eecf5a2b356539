"""From what someone asks for to a plan: users chosen, systems spelt out, seeds read."""

from collections.abc import Sequence
from pathlib import Path

from lorecall.bench.people import choose_users
from lorecall.bench.plan import (
    DEFAULT_SYSTEMS,
    DEFAULT_USERS,
    BenchPlan,
    BenchSettings,
    Source,
)
from lorecall.bench.systems import system_names
from lorecall.errors import ConfigError


def make_plan(
    data: Sequence[str],
    *,
    paths: Sequence[Path] = (),
    users: str | None = None,
    systems: str | None = None,
    seeds: str = "0",
    settings: BenchSettings,
) -> tuple[BenchPlan, dict[str, int]]:
    """Make a bench's plan, and say how many samples each user has.

    Args:
        data: Datasets' names, or JSONL files.
        paths: Files of the one dataset's format.
        users: As `choose_users`; as many as the preset says when None.
        systems: Names or groups, separated by commas; the preset's when None.
        seeds: Separated by commas; the first of them draws the users too.
        settings: The numbers.

    Raises:
        ConfigError: A system or seed cannot be read, or files are given for several datasets.
        DataError: A user or a dataset is not there, or too short.
    """
    if paths and len(data) != 1:
        raise ConfigError(
            "files belong to one dataset",
            expected="--path with one --data",
            got=f"{len(data)} datasets",
            next_step="Make a bench a dataset.",
        )
    chosen = systems.split(",") if systems else DEFAULT_SYSTEMS[settings.preset]
    names = system_names([name.strip() for name in chosen])
    read = _seeds(seeds)
    wanted = users or str(DEFAULT_USERS[settings.preset])
    files = tuple(str(path.resolve()) for path in paths)
    sources: list[Source] = []
    n_samples: dict[str, int] = {}
    for name in data:
        place = str(Path(name).resolve()) if Path(name).is_file() else name
        found = choose_users(place, files, wanted, seed=read[0])
        sources.append(Source(name=place, users=tuple(found), paths=files))
        n_samples |= found
    plan = BenchPlan(sources=tuple(sources), systems=names, seeds=read, settings=settings)
    return plan, n_samples


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError as reason:
        raise ConfigError(
            "seeds are whole numbers",
            expected="for example 0,1,2",
            got=repr(text),
            next_step="Separate them by commas.",
        ) from reason
