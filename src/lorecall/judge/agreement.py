"""Human validation: raters' labels against a judge's, and among themselves (SPEC section 6).

On a sheet 1 means that the response shown first is better; the key turns labels into 1 for the
first *system*. The raters' label of a pair is the sign of their mean label.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from lorecall.errors import DataError
from lorecall.judge.labels import RaterLabels
from lorecall.judge.sheet import Key, KeyEntry
from lorecall.judge.win_rate import Judged, Label, WinRate, win_rates
from lorecall.metrics.agreement import accuracy, krippendorff_alpha, pearson, raw_agreement
from lorecall.metrics.intervals import N_RESAMPLES
from lorecall.records import Interval

EVERYONE = "all raters"
_ONE_ORDER = "one order, drawn at random, blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterAgreement:
    """One rater, or all of them, against the judge, over `n` pairs that both were given.

    Those the judge gave no label are not in `pearson`, and a miss in `accuracy`.
    """

    rater: str
    n: int
    unparsable: int
    pearson: Interval | None
    accuracy: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far labels agree.

    `raters` and `unlabelled` count each rater's pairs with and without a label, `n_shared` those
    with two labels or more. `raw` and `alpha` are None where there is one rater, or where they are
    not defined. `against` is the judge against all raters, then against each.
    """

    sheet: str
    raters: Mapping[str, int]
    unlabelled: Mapping[str, int]
    n_shared: int
    raw: Interval | None
    alpha: Interval | None
    humans: tuple[WinRate, ...]
    judge: str | None
    probe: str | None
    against: tuple[RaterAgreement, ...]
    signature: str


def agreement(
    raters: Sequence[RaterLabels],
    *,
    key: Key | None = None,
    judged: Sequence[Judged] = (),
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """Compare labels.

    Raises:
        DataError: The key is of another sheet, lacks a pair, or is missing where it is needed; or
            the judge's labels are of several judges, or of none of the pairs.
    """
    numbers = sorted({number for rater in raters for number in rater.labels})
    ratings = [[rater.labels.get(number) for number in numbers] for rater in raters]
    entries = _entries(key, raters[0].sheet, numbers) if key else {}
    by_rater = {rater.rater: _by_system(rater.labels, entries) for rater in raters} if key else {}
    resample = {"n_resamples": n_resamples, "seed": seed}
    everyone = _majority(by_rater.values())
    people = [_as_judged(entries[n], label, list(by_rater)) for n, label in everyone.items()]
    against: list[RaterAgreement] = []
    if judged:
        _check_judge(judged, key, entries.values())
        by_id = {each.id: each.label for each in judged}
        compare = partial(_compare, entries=entries, by_id=by_id, **resample)
        named = {EVERYONE: everyone} | by_rater if len(by_rater) > 1 else by_rater
        against = [compare(name, labels) for name, labels in named.items()]
    return Agreement(
        sheet=raters[0].sheet,
        raters={rater.rater: len(rater.labels) for rater in raters},
        unlabelled={rater.rater: len(rater.unlabelled) for rater in raters},
        n_shared=sum(sum(n in rater.labels for rater in raters) > 1 for n in numbers),
        raw=raw_agreement(ratings, **resample),
        alpha=krippendorff_alpha(ratings, **resample),
        humans=tuple(win_rates(people, orders=_ONE_ORDER, **resample)),
        judge=judged[0].judge if judged else None,
        probe=(judged[0].probe or "none") if judged else None,
        against=tuple(against),
        signature=_signature(raters, judged, n=len(numbers), **resample),
    )


def _entries(key: Key, sheet: str, numbers: Iterable[int]) -> dict[int, KeyEntry]:
    entries = {entry.pair: entry for entry in key.pairs}
    unknown = [number for number in numbers if number not in entries]
    if key.sheet != sheet or unknown:
        raise DataError(
            "labels and key belong to one sheet",
            expected=f"the key of sheet {sheet}",
            got=f"the key of {key.sheet}"
            if key.sheet != sheet
            else f"no pair {unknown[0]} in the key",
            next_step="Give the key that was written with the sheet.",
        )
    return entries


def _check_judge(judged: Sequence[Judged], key: Key | None, entries: Iterable[KeyEntry]) -> None:
    if key is None:
        raise DataError(
            "a judge can be compared once it is known which response was whose",
            expected="the sheet's key",
            got="none",
            next_step="Give the key.json that was written with the sheet, with --key.",
        )
    names = {(each.judge, each.prompt, each.probe) for each in judged}
    if len(names) > 1:
        raise DataError(
            "raters are compared with one judge",
            expected="labels of one",
            got=f"{len(names)} in the file",
            next_step="Give a file that one `lorecall judge run` wrote.",
        )
    if not {entry.id for entry in entries} & {each.id for each in judged}:
        raise DataError(
            "the judge must have judged the sheet's pairs",
            expected="ids of the sheet's pairs",
            got="none of them",
            next_step="Run `lorecall judge run` on the file that the sheet was made from.",
        )


def _by_system(labels: Mapping[int, Label], entries: Mapping[int, KeyEntry]) -> dict[int, Label]:
    """Change labels of the first response into labels of the first system."""
    signs = {n: 1 if entries[n].first == "a" else -1 for n in labels}
    return {n: _sign(signs[n] * label) for n, label in labels.items()}


def _majority(raters: Iterable[Mapping[int, Label]]) -> dict[int, Label]:
    sums: dict[int, int] = {}
    for labels in raters:
        for number, label in labels.items():
            sums[number] = sums.get(number, 0) + label
    return {number: _sign(total) for number, total in sorted(sums.items())}


def _as_judged(entry: KeyEntry, label: Label, raters: Sequence[str]) -> Judged:
    """Put people's label of a pair where a judge's goes, to count wins in one place."""
    people = f"{len(raters)} people" if len(raters) > 1 else "1 person"
    return Judged(
        id=entry.id,
        user="",
        system_a=entry.system_a,
        system_b=entry.system_b,
        in_order=None,
        swapped=None,
        label=label,
        judge=people,
        prompt="sheet",
    )


def _compare(
    rater: str,
    labels: Mapping[int, Label],
    *,
    entries: Mapping[int, KeyEntry],
    by_id: Mapping[str, Label | None],
    n_resamples: int,
    seed: int,
) -> RaterAgreement:
    both = [(label, by_id[i]) for n, label in labels.items() if (i := entries[n].id) in by_id]
    read = [(human, judge) for human, judge in both if judge is not None]
    return RaterAgreement(
        rater=rater,
        n=len(both),
        unparsable=len(both) - len(read),
        pearson=pearson(
            [human for human, _ in read],
            [judge for _, judge in read],
            n_resamples=n_resamples,
            seed=seed,
        ),
        accuracy=accuracy(
            [-2 if judge is None else judge for _, judge in both],
            [human for human, _ in both],
            n_resamples=n_resamples,
            seed=seed,
        ),
    )


def _signature(
    raters: Sequence[RaterLabels], judged: Sequence[Judged], *, n: int, n_resamples: int, seed: int
) -> str:
    parts = [
        "agreement",
        f"lorecall {version('lorecall')}",
        f"sheet {raters[0].sheet}",
        f"{len(raters)} raters",
        "alpha of an interval scale",
        "label of all raters: sign of their mean",
    ]
    if judged:
        parts += [f"judge {judged[0].judge}", f"probe {judged[0].probe or 'none'}"]
    parts += [f"n={n}", f"95% bootstrap over pairs, {n_resamples} resamples, seed {seed}"]
    return "|".join(parts)


def _sign(value: float) -> Label:
    return 0 if value == 0 else 1 if value > 0 else -1
