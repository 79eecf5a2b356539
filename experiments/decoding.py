"""How replies are decoded, and what that does to ROUGE and Persona F1, on a bench's memories.

Greedy decoding writes shorter than people do once it is tuned, and rambles when it is not. For the
base, the default LoRA and the memory of every person, the same weights answer the test queries:

- greedy: its length left free.
- length: greedy, as long as the person's own replies (`stop_bias`): as the bench does.
- mbr: minimum Bayes risk: of 8 samples, the one that agrees best with the others by ROUGE-L.
- mbr+length: the same, sampled with the stop's number.

People are appended one by one, so that it may be stopped.

    python experiments/decoding.py BENCH/memories

The entry of 2026-11-26 in LOG.md was measured with a fit of the length of this script's own, which
`lorecall.trial.length` has replaced; the results here are to be made again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from memories import memories_of, over_people
from torch import Tensor

from lorecall import BaseModel, Memory, load_history, preset
from lorecall.baselines.catalog import baseline
from lorecall.baselines.contract import Budget, Person
from lorecall.data.history import split_history
from lorecall.lm.body import body_of
from lorecall.lm.decode import respond
from lorecall.metrics.overlap import persona_f1, persona_tokens, rouge
from lorecall.records import Sample
from lorecall.reply.responder import ModelResponder

OUT = Path(__file__).parent / "results" / "decoding.json"
N_DRAWN, TEMPERATURE = 8, 0.7
SETTINGS = preset("laptop")


def main() -> None:
    """Answer every person's test queries in every way, then compare."""
    over_people(OUT, __doc__, among=memories_of, of_person=of_person, report=report)


def of_person(base: BaseModel, memory: Memory) -> dict[str, Any]:
    """Answer one person's test queries by every system in every way."""
    training = memory.manifest.training
    history = load_history(training.dataset, user=training.user)
    person = Person(history=history, split=split_history(history))
    budget = Budget(train=SETTINGS.train, seed=training.seed)
    systems = {
        "vanilla": baseline("vanilla").fit(person, base, budget).responder,
        "default-lora": baseline("default-lora").fit(person, base, budget).responder,
        "memory": ModelResponder(base, memory=memory, limits=budget.train),
    }
    persona = persona_tokens(person.split.own_content)
    lengths = [len(base.tokenizer.encode(s.response)) for s in person.split.train]
    means: dict[str, Any] = {}
    scored: dict[str, Any] = {}
    for name, responder in systems.items():
        asked = Asked(responder, max_new_tokens=max(lengths))
        bias = responder.decoding.stop_bias
        ways: dict[str, Callable[[Sequence[Sample]], list[str]]] = {
            "greedy": lambda samples, asked=asked: asked.greedy(samples, 0.0),
            "length": lambda samples, asked=asked, bias=bias: asked.greedy(samples, bias),
            "mbr": lambda samples, asked=asked: asked.agreed(samples, 0.0),
            "mbr+length": lambda samples, asked=asked, bias=bias: asked.agreed(samples, bias),
        }
        for way, answer in ways.items():
            responses = answer(person.split.test)
            overlap = rouge(responses, [sample.response for sample in person.split.test])
            scored[f"{name}, {way}"] = {
                "rouge1": list(overlap.rouge1),
                "rougeL": list(overlap.rouge_l),
                "persona_f1": [persona_f1(response, persona) for response in responses],
            }
            means[f"{name}, {way}"] = {
                metric: round(fmean(values), 2)
                for metric, values in scored[f"{name}, {way}"].items()
            } | {
                "words": round(fmean(len(r.split()) for r in responses), 1),
                "bias": round(bias, 2),
            }
    return {
        "true words": fmean(len(s.response.split()) for s in person.split.test),
        "mean": means,
        "scores": scored,
    }


class Asked:
    """One system, asked in different ways.

    Args:
        responder: The system.
        max_new_tokens: Longest reply.
    """

    def __init__(self, responder: ModelResponder, *, max_new_tokens: int) -> None:
        self.responder, self.max_new_tokens = responder, max_new_tokens

    def greedy(self, samples: Sequence[Sample], bias: float) -> list[str]:
        """Answer with the likeliest tokens, `bias` added to the logits of stopping."""
        return self._answer(samples, bias)

    def agreed(self, samples: Sequence[Sample], bias: float) -> list[str]:
        """Draw several answers to each and give the one that agrees best with the others."""
        generator = torch.Generator().manual_seed(0)

        def noisy(logits: Tensor) -> Tensor:
            noise = torch.empty_like(logits).exponential_(generator=generator)
            return logits / TEMPERATURE - noise.log()

        with self._logits(noisy):
            drawn = [self._answer(samples, bias / TEMPERATURE) for _ in range(N_DRAWN)]
        return [_consensus(each) for each in zip(*drawn, strict=True)]

    def _answer(self, samples: Sequence[Sample], stop_bias: float) -> list[str]:
        responder = self.responder
        with responder.worn():
            return respond(
                responder.base,
                responder.format,
                [responder.encode(sample).prompt for sample in samples],
                max_new_tokens=self.max_new_tokens,
                decoding=replace(responder.decoding, stop_bias=stop_bias),
            )

    @contextmanager
    def _logits(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        body = body_of(self.responder.base)
        plain = body.logits
        body.logits = lambda h: change(plain(h))
        try:
            yield
        finally:
            del body.logits


def _consensus(drawn: Sequence[str]) -> str:
    agreement = [fmean(rouge([one] * len(drawn), drawn).rouge_l) for one in drawn]
    return drawn[agreement.index(max(agreement))]


def report(people: dict[str, Any], base: BaseModel) -> dict[str, Any]:
    """Put everything together, with means over people."""
    names = next(iter(people.values()))["mean"]
    return {
        "settings": {"model": base.name, "n_drawn": N_DRAWN, "temperature": TEMPERATURE},
        "over people": {
            name: {
                key: round(fmean(person["mean"][name][key] for person in people.values()), 2)
                for key in names[name]
            }
            for name in names
        },
        "people": people,
    }


if __name__ == "__main__":
    main()
