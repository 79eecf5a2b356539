"""The sanity probe of a judge: does it prefer the true response to a topical but wrong one?

The wrong one is what was truly answered, in the same file of pairs, to the most similar other
query: by this user or another. The rule: the lower 95% bound of the true responses' wins over all
must be above one half, on 20 samples or more (fewer would let luck pass).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from lorecall.errors import JudgeError
from lorecall.judge.judge import Judge
from lorecall.judge.pairs import Pair
from lorecall.judge.win_rate import Probed, WinRate, judge_pairs, win_rates
from lorecall.metrics.overlap import persona_tokens
from lorecall.report.words import percent

N_PROBED = 50
MIN_PROBED = 20
TRUE, WRONG = "true response", "topical wrong response"
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How a judge did on its probe; `wins` is None where there was nothing to try it on."""

    wins: WinRate | None
    outcome: Probed

    @property
    def line(self) -> str:
        """Say it in a line."""
        if self.wins is None:
            return "probe FAILED: no sample has a topical wrong response"
        w = self.wins
        few = f", fewer than {MIN_PROBED}" if w.n < MIN_PROBED else ""
        return (
            f"probe {self.outcome}: the true response beats a topical wrong one in {w.wins} of"
            f" {w.n}{few}, {percent(w.rate)}"
            f" ({w.ties} ties, {w.unparsable} unparsable), lower bound above 50% needed"
        )


def probe_judge(
    judge: Judge,
    pairs: Sequence[Pair],
    *,
    n: int = N_PROBED,
    seed: int = 0,
    on_judged: Callable[[int], None] | None = None,
) -> Probe:
    """Try a judge on pairs whose better response is known."""
    probes = probe_pairs(pairs, n=n, seed=seed)
    judged = judge_pairs(judge, probes, on_judged=on_judged)
    if not judged:
        return Probe(wins=None, outcome="FAILED")
    (wins,) = win_rates(judged, seed=seed)
    passed = wins.n >= MIN_PROBED and wins.rate.low > _HALF
    outcome: Probed = "passed" if passed else "FAILED"
    return Probe(wins=replace(wins, probe=outcome), outcome=outcome)


def require_passed(probe: Probe, judge: Judge) -> None:
    """Refuse a judge that failed."""
    if probe.outcome != "passed":
        raise JudgeError(
            "a judge must pass its sanity probe before it is used",
            expected=f"true responses to beat topical wrong ones, on {MIN_PROBED} samples or more",
            got=f"{judge.name}: {probe.line}",
            next_step="Take a better judge or more pairs; --despite-probe goes on regardless, and"
            " every output then says so.",
        )


def probe_pairs(pairs: Sequence[Pair], *, n: int = N_PROBED, seed: int = 0) -> list[Pair]:
    """Set the true response of samples against a topical but wrong one.

    A sample without one is left out: no other query in the file shares a content word with its
    query. An equal query makes no wrong response: its answer may serve here too.
    """
    samples = list({(p.user, p.query, p.truth): p for p in pairs}.values())
    queries = [persona_tokens([sample.query]) for sample in samples]
    probes: list[Pair] = []
    for i in Random(seed).sample(range(len(samples)), len(samples)):
        wrong = max(
            (j for j in range(len(samples)) if _may_be_wrong(samples[i], samples[j])),
            key=lambda j: _jaccard(queries[i], queries[j]),
            default=None,
        )
        if wrong is not None and queries[i] & queries[wrong]:
            probes.append(_probe(samples[i], wrong=samples[wrong].truth))
        if len(probes) == n:
            break
    return probes


def _probe(sample: Pair, *, wrong: str) -> Pair:
    return replace(
        sample,
        id=f"probe of {sample.id}",
        system_a=TRUE,
        system_b=WRONG,
        response_a=sample.truth,
        response_b=wrong,
    )


def _may_be_wrong(sample: Pair, other: Pair) -> bool:
    return _key(sample.query) != _key(other.query) and _key(sample.truth) != _key(other.truth)


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0
