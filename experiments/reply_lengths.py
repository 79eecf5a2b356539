"""By which rule a reply's length is fitted, and what that does to ROUGE and Persona F1.

Adding to the logits of stopping changes where an answer ends and nothing it says before. So each
system answers the validation and test prompts once, as far as it may go, and every rule cuts the
same answers:

- free: nothing is added.
- mean: replies are in the mean as long as the person's in training.
- geometric: their logarithms are, since lengths have long tails.
- near: the least change that brings the mean within one standard error of the person's.

The base and the searched memory of every person of a bench, no loops (`no_repeat`).

    python experiments/reply_lengths.py BENCH/memories
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from memories import Row, memories_of, over_people

from lorecall import BaseModel, Memory, load_history, preset
from lorecall.data.history import split_history
from lorecall.lm.attach import Injection
from lorecall.lm.engine.body import body_of
from lorecall.lm.engine.prefill import read_prompts
from lorecall.lm.generate import continue_answers
from lorecall.lm.sampling import MarginChooser, ends_at
from lorecall.metrics.intervals import paired_difference
from lorecall.metrics.overlap import persona_f1, persona_tokens, rouge
from lorecall.records import Split
from lorecall.train.trial import EncodedPart, TrialData, Trials

OUT = Path(__file__).parent / "results" / "reply_lengths.json"
SETTINGS = preset("laptop")
LOWEST, HIGHEST, HALVINGS = -8.0, 12.0, 16
Lengths = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers that went on as far as they might, and where each would end."""

    tokens: tuple[tuple[int, ...], ...]
    margins: tuple[tuple[float, ...], ...]

    def lengths(self, bias: float) -> list[int]:
        """Give how long they are with so much added to stopping."""
        return [ends_at(each, bias) for each in self.margins]


def mean(found: Lengths, own: Lengths) -> float:
    """Give by how much replies are too long in the mean."""
    return fmean(found) - fmean(own)


def geometric(found: Lengths, own: Lengths) -> float:
    """Give by how much their logarithms are, an empty reply counting as one token."""
    return fmean(math.log(max(n, 1)) for n in found) - fmean(math.log(max(n, 1)) for n in own)


def near(found: Lengths, own: Lengths) -> float:
    """Give by how much they are too long or too short beyond a standard error."""
    over = mean(found, own)
    error = math.sqrt(_error(found) ** 2 + _error(own) ** 2)
    return math.copysign(max(0.0, abs(over) - error), over)


RULES: Mapping[str, Callable[[Lengths, Lengths], float]] = {
    "mean": mean,
    "geometric": geometric,
    "near": near,
}


def fitted(answers: Answers, own: Lengths, excess: Callable[[Lengths, Lengths], float]) -> float:
    """Find the number that a rule asks for, by halving; 0 where 0 will do.

    Over a wider range than `lorecall.train.reply_length`, to see whether that one is wide enough.
    """
    at_0 = excess(answers.lengths(0.0), own)
    if at_0 == 0:
        return 0.0
    low, high = (0.0, HIGHEST) if at_0 > 0 else (LOWEST, 0.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = excess(answers.lengths(middle), own)
        # Where a range of numbers will do, take the end of it that is nearest to 0.
        too_little = over > 0 or (over == 0 and at_0 < 0)
        low, high = (middle, high) if too_little else (low, middle)
    return (low + high) / 2


def main() -> None:
    """Answer for every person, then compare the rules."""
    over_people(OUT, __doc__, among=memories_of, of_person=of_person, report=report)


def of_person(base: BaseModel, memory: Memory) -> Row:
    """Answer one person's prompts by the base and by the memory, and cut by every rule."""
    training = memory.manifest.training
    history = load_history(training.dataset, user=training.user)
    split = split_history(history)
    trials = Trials(base, settings=SETTINGS.train, seed=training.seed)
    data, test = trials.data(split, split.train), trials.encode(split.test, past=split.train)
    scores: dict[str, dict[str, list[float]]] = {}
    biases: dict[str, float] = {}
    own = own_lengths(trials, data)
    for name in ("vanilla", "memory"):
        with Injection(base, memory.config) if name == "memory" else nullcontext() as injection:
            if injection is not None:
                injection.load(memory.tensors)
            valid = answers_of(trials, data.valid, data.max_new_tokens)
            found = answers_of(trials, test, data.max_new_tokens)
        numbers = {"free": 0.0} | {r: fitted(valid, own, excess) for r, excess in RULES.items()}
        for rule, bias in numbers.items():
            biases[f"{name}, {rule}"] = bias
            scores[f"{name}, {rule}"] = scored(trials, found, bias, split)
    return {
        "own words": fmean(len(s.response.split()) for s in split.train),
        "true words": fmean(len(s.response.split()) for s in split.test),
        "biases": biases,
        "mean": {
            name: {key: round(fmean(values), 2) for key, values in each.items()}
            for name, each in scores.items()
        },
        "scores": scores,
    }


def own_lengths(trials: Trials, data: TrialData) -> list[int]:
    """Count the tokens of the person's own replies, their ends left out."""
    stops = trials.format.stop_ids
    return [len(e.response) - (e.response[-1] in stops) for e in data.train.encoded]


def answers_of(trials: Trials, part: EncodedPart, max_new_tokens: int) -> Answers:
    """Answer prompts as far as each may go."""
    body = body_of(trials.base)
    stops, no_repeat = trials.format.stop_ids, trials.settings.no_repeat
    chooser = MarginChooser(stops, no_repeat=no_repeat, lowest=LOWEST)
    read = read_prompts(body, [sample.prompt for sample in part.encoded], "all")
    rows = continue_answers(body, read, max_new_tokens=max_new_tokens, chooser=chooser)
    margins = tuple(tuple(chooser.margins[i]) for i in range(len(rows)))
    return Answers(tokens=tuple(map(tuple, rows)), margins=margins)


def scored(trials: Trials, answers: Answers, bias: float, split: Split) -> dict[str, list[float]]:
    """Score the answers, cut where they would end."""
    lengths = answers.lengths(bias)
    cut = [row[:n] for row, n in zip(answers.tokens, lengths, strict=True)]
    texts = [trials.format.text(row) for row in cut]
    overlap = rouge(texts, [sample.response for sample in split.test])
    persona = persona_tokens(split.own_content)
    return {
        "rouge1": list(overlap.rouge1),
        "rougeL": list(overlap.rouge_l),
        "persona_f1": [persona_f1(text, persona) for text in texts],
        "words": [float(len(text.split())) for text in texts],
    }


def report(people: dict[str, Row], base: BaseModel) -> dict[str, object]:
    """Put everything together: every rule's means, and differences to `mean`, over all samples."""
    names = next(iter(people.values()))["scores"]
    pooled = {
        name: {
            key: [value for person in people.values() for value in person["scores"][name][key]]
            for key in keys
        }
        for name, keys in names.items()
    }
    return {
        "settings": {"model": base.name, "dtype": str(base.dtype), "preset": "laptop"},
        "n_people": len(people),
        "means": {n: {k: round(fmean(v), 3) for k, v in p.items()} for n, p in pooled.items()},
        "less mean": {
            name: {
                key: _difference(values, pooled[f"{name.split(', ')[0]}, mean"][key])
                for key, values in each.items()
            }
            for name, each in pooled.items()
            if not name.endswith(", mean")
        },
        "people": people,
    }


def _difference(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    interval = paired_difference(ours, theirs, n_resamples=10_000, seed=0)
    return [round(x, 3) for x in (interval.value, interval.low, interval.high)]


def _error(values: Lengths) -> float:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
