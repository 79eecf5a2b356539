"""How a result is put into words and numbers, the same on the terminal and on the page."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from types import MappingProxyType
from typing import get_args

from lorecall.core.text import plain
from lorecall.data.privacy import mask
from lorecall.learning.result import RUN_SYSTEMS, RunResult, RunSystem
from lorecall.metrics.registry import Metric, metrics
from lorecall.records import Factor, InjectionConfig, Interval, Turn

SYSTEM_NAMES: Mapping[RunSystem, str] = MappingProxyType(
    {
        "base": "base",
        "shared": "shared",
        "own": "own",
        "other": "another's",
        "default-lora": "default LoRA",
    }
)
SYSTEM_MEANINGS: Mapping[RunSystem, str] = MappingProxyType(
    {
        "base": "the model as it was shipped.",
        "shared": "the base with what many consenting people's chats taught it, merged into its"
        " weights: nothing of this person.",
        "own": "this person's memory on top of that: what their own training part taught.",
        "other": "another person's memory in its place, made alike: the same text, the wrong"
        " person.",
        "default-lora": "the control of the search: all layers, rank 8, none searched.",
    }
)
"""What each system is, in one sentence."""
SECONDS_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "own": "making this memory",
        "others": "making other people's, to compare",
        "search": "searching, its trials included",
        "default-lora": "making the default LoRA",
        "evaluate": "reading and replying",
        "total": "total",
    }
)
_MINUTE_S, _HOUR_S = 60, 3600
_THOUSAND, _MILLION, _BILLION = 10**3, 10**6, 10**9


def masked_line(text: str) -> str:
    """Put a person's text on one line, without what names someone outright."""
    return plain(mask(text))


def percent(share: Interval) -> str:
    """Write a share and its interval in percent."""
    value, low, high = (100 * x for x in (share.value, share.low, share.high))
    return f"{value:.1f}% [{low:.1f}, {high:.1f}]"


def scored_metrics(result: RunResult) -> tuple[Metric, ...]:
    """Return the metrics of every system; other people's memories are read for the loss alone."""
    whole = [scores for system, scores in result.scores.items() if system != "other"]
    return tuple(m for key, m in metrics().items() if all(key in scores for scores in whole))


def speaker(turn: Turn) -> str:
    """Name who wrote an earlier turn: the one whose reply is asked for, or who asks."""
    return "replied earlier" if turn.by_author else "asked earlier"


def scored_systems(result: RunResult) -> tuple[RunSystem, ...]:
    """Name the systems that have scores, in their usual order."""
    return tuple(system for system in RUN_SYSTEMS if system in result.scores)


def reference(result: RunResult) -> RunSystem:
    """Name the system that others are compared with: the shared memory alone, or the base."""
    return "shared" if "shared" in result.scores else "base"


def meanings(result: RunResult) -> tuple[tuple[str, str], ...]:
    """Return the name of each system and what it is, in a sentence."""
    return tuple((SYSTEM_NAMES[each], SYSTEM_MEANINGS[each]) for each in scored_systems(result))


def shared_words(result: RunResult) -> str:
    """Name the shared memory under it, without the folder that it is in; `none` without one."""
    return "none" if result.shared is None else PurePath(result.shared).name


def signed(interval: Interval, decimals: int = 3) -> str:
    """Write a difference, by default of losses, and its interval; a star where it excludes zero."""
    form, star = f"+.{decimals}f", " *" if interval.excludes_zero else ""
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]{star}"


def personal_facts(result: RunResult) -> tuple[tuple[str, str, str], ...]:
    """Return what is the person's own: a name, a number, and what it says."""
    found, without = result.personal, SYSTEM_NAMES[reference(result)]
    rows = [
        (
            f"own less {without}",
            signed(found.own_less_shared),
            f"what the memory adds to {without}, in loss; below 0 it helps",
        )
    ]
    if found.gain is not None:
        said = "by how much other people's memories read the same replies worse"
        rows.append(("personal gain", signed(found.gain), said))
    if found.rank is not None and found.of is not None:
        said = "the place of the own memory among everyone's, by loss"
        rows.append(("rank", f"{found.rank} of {found.of}", said))
    if found.auc is not None:
        said = "of single replies prefer the own memory to another's; half would be chance"
        rows.append(("replies", f"{found.auc:.0%}", said))
    if (picked := found.which_of_eight) is not None:
        n = round(1 / picked.chance)
        by_chance = f"{picked.of * picked.chance:.1f} by chance"
        said = f"times the true reply was told from {n - 1} of other people's ({by_chance})"
        rows.append(("which is theirs", f"{picked.right} of {picked.of}", said))
    return tuple(rows)


def factor_words(result: RunResult) -> str:
    """Return in words what the memory was multiplied by; 0 where nothing personal was found."""
    if result.factor == 0:
        return "0: on the validation part nothing personal helped, so the memory adds nothing"
    return f"{result.factor:g}, by which validation multiplied it"


def drawn_words(result: RunResult) -> str:
    """Return in words how the replies that are shown were decoded."""
    options = ", ".join(f"{plain(name)} {value:g}" for name, value in result.drawn.items())
    return f"Replies are drawn ({options}), the same draws for all; metrics are of the likeliest."


def sentence(text: str) -> str:
    """Begin a text with a capital."""
    return text[:1].upper() + text[1:]


def counted(n: int, noun: str) -> str:
    """Write a number of things: `1 layer`, `2 layers`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def theta_words(config: InjectionConfig, n_layers: int) -> str:
    """Write theta: `12 of 30 layers, 14 modules of rank 32`, and what differs from the paper's."""
    modules = config.modules_per_layer()
    n_modules = counted(sum(modules.values()), "module")
    theta = f"{len(modules)} of {counted(n_layers, 'layer')}, {n_modules} of rank {config.rank}"
    further = "".join(f", {name} {value:g}" for name, value in config.beside.items())
    return theta + further + ("" if config.inject == "all" else ", on responses alone")


def further_factors(result: RunResult) -> tuple[Factor, ...]:
    """Name the factors beside alpha, n and r in which any trial differs from the paper."""
    known: tuple[Factor, ...] = get_args(Factor)
    return tuple(f for f in known if any(f in trial.config.beside for trial in result.trials))


def counts_parameters(result: RunResult) -> bool:
    """Whether the front has few parameters as a third objective."""
    return bool(result.hypervolume and len(result.hypervolume.reference) > 2)  # noqa: PLR2004 - loss and ROUGE-L


def final(result: RunResult) -> str:
    """Return how the memory was taken from several trials trained in full; nothing of one alone."""
    search = result.settings.get("search")
    search = search if isinstance(search, dict) else {}
    asked: object = search.get("finalists")
    n = min(asked, len(result.trials)) if isinstance(asked, int) else 1
    if n < 2:  # noqa: PLR2004 - the choice alone
        return ""
    known = search.get("start") == "known"
    last = " and, where tried, the better of the LoRAs that need no search" if known else ""
    lowest = "trial" if n == 2 else f"{n - 1} trials"  # noqa: PLR2004 - the choice and another
    return (
        f"Trained in full were the search's choice and, where another, its {lowest} of the lowest"
        f" loss{last}; the memory is the best of them."
    )


def layer_ranges(layers: Sequence[int]) -> str:
    """Write ascending layer indices: (0, 1, 2, 5) as `0-2, 5`."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def duration(seconds: float) -> str:
    """Write a time: `4.2 s`, `8 min 12 s`, `2 h 5 min`."""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR_S:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // 60} min"


def moment(iso: str) -> str:
    """Write a moment to the minute, in UTC: `2026-01-02 03:04 UTC`; what is none, as it is."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when.tzinfo else iso


def short_count(n: int) -> str:
    """Write a large number: `884.7 k`, `1.23 M`."""
    if n < _THOUSAND:
        return str(n)
    for size, unit in ((_BILLION, "G"), (_MILLION, "M")):
        if n >= size:
            return f"{n / size:.2f} {unit}"
    return f"{n / _THOUSAND:.1f} k"


def split_words(split: Mapping[str, int]) -> str:
    """Write the sizes of the split: `150 train, 21 valid, 43 test samples`."""
    return ", ".join(f"{n} {part}" for part, n in split.items()) + " samples"


def flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Flatten nested settings: {"train": {"batch_size": 8}} to {"train.batch_size": "8"}."""
    rows: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            rows |= flat({str(k): v for k, v in value.items()}, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            rows[prefix + key] = ", ".join(str(item) for item in value)
        else:
            rows[prefix + key] = "none" if value is None else str(value)
    return rows
