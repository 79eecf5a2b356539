"""How replies are decoded, and what that does to ROUGE and Persona F1, for a bench's systems.

Everyone's systems are made as the bench makes them (a searched memory is the bench's own), and the
same weights answer the test queries in two ways:

- likeliest: greedily, as long as the person's own replies, as the bench does.
- consensus: minimum Bayes risk (Kumar and Byrne, 2004): of 8 samples at temperature 0.7, with the
  same number on stopping, the one that agrees best with the others by ROUGE-L.

Systems are compared within a way, and ways within a system. Rows are kept in
`results/decoding.jsonl` as they come, so that it may be stopped, and shared by processes that begin
with different people; `results/decoding.json` holds the comparison of the people who have all.

    python experiments/decoding.py BENCH
"""

import argparse
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter

import numpy as np
import torch
from machine import machine
from memories import Row as MeanRow
from memories import apart, kept_rows
from torch import Tensor

from lorecall import BaseModel
from lorecall.bench.people import load_person
from lorecall.bench.plan import BenchPlan, Source
from lorecall.bench.reading import longest_response
from lorecall.bench.render import read_plan
from lorecall.bench.systems import make_system
from lorecall.core.files import write_json
from lorecall.core.jsonl import append_records
from lorecall.lm.device import set_threads
from lorecall.lm.engine.body import body_of
from lorecall.lm.generate import respond
from lorecall.metrics.overlap import persona_f1, persona_tokens, rouge
from lorecall.records import Sample
from lorecall.reply.responder import ModelResponder
from lorecall.systems.contract import Budget, Person
from lorecall.systems.searched import MEMORY

OUT = Path(__file__).parent / "results" / "decoding.json"
ROWS = OUT.with_suffix(".jsonl")
N_DRAWN, TEMPERATURE = 8, 0.7
LIKELIEST, CONSENSUS = "likeliest", "consensus"
METRICS = ("rouge1", "rougeL", "persona_f1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One person's system, its replies decoded in one way: a value a test sample, times 100."""

    user: str
    system: str
    way: str
    rouge1: tuple[float, ...]
    rougeL: tuple[float, ...]  # noqa: N815 - the metric's own name
    persona_f1: tuple[float, ...]
    words: float
    own_words: float
    stop_bias: float
    seconds: float
    machine: dict[str, object]
    dtype: str


def main() -> None:
    """Answer what is not there yet in both ways, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path, help="a bench's folder")
    parser.add_argument("--systems", nargs="+", help="of the bench's; all of them when left out")
    parser.add_argument("--first", type=int, default=0, help="begin with this one of its people")
    options = parser.parse_args()
    set_threads()
    base = BaseModel.load()
    plan = read_plan(options.bench)[1]
    systems = options.systems or plan.systems
    people = [(source, user) for source in plan.sources for user in source.users]
    for source, user in people[options.first :] + people[: options.first]:
        for system in systems:
            if (user, system) not in {(row.user, row.system) for row in rows()}:
                found = rows_of(base, plan, source, user=user, system=system, folder=options.bench)
                append_records(ROWS, found)
                print(user, system, f"{found[0].seconds:.0f} and {found[1].seconds:.0f} s")
    users = [user for _, user in people]
    settings = {
        "n_drawn": N_DRAWN,
        "temperature": TEMPERATURE,
        "learn": plan.settings.learn.as_json(),
    }
    found = compared(rows(), users=users, systems=systems)
    write_json(OUT, {"model": base.name, "settings": settings} | found)


def rows() -> list[Row]:
    """Give what is there so far, once where two processes met."""
    return kept_rows(ROWS, Row, lambda row: (row.user, row.system, row.way))


def rows_of(
    base: BaseModel, plan: BenchPlan, source: Source, *, user: str, system: str, folder: Path
) -> list[Row]:
    """Make one person's system and let it answer the test queries in both ways."""
    learn = plan.settings.learn
    person = load_person(source, user, plan.settings)
    made = make_system(system, learn, folder=folder / "memories")
    budget = Budget(train=learn.train, seed=plan.seeds[0])
    responder = made.fit(person, base, budget).responder
    assert isinstance(responder, ModelResponder)
    asked = Asked(responder, max_new_tokens=longest_response(person, base, learn.train))
    ways: dict[str, Callable[[Sequence[Sample]], list[str]]] = {
        LIKELIEST: asked.likeliest,
        CONSENSUS: asked.consensus,
    }
    return [row_of(person, asked, answer, system=system, way=way) for way, answer in ways.items()]


def row_of(
    person: Person,
    asked: "Asked",
    answer: Callable[[Sequence[Sample]], list[str]],
    *,
    system: str,
    way: str,
) -> Row:
    """Let a system answer the test queries in one way."""
    test = person.split.test
    persona = persona_tokens(person.split.own_content)
    began = perf_counter()
    replies = answer(test)
    seconds = perf_counter() - began
    overlap = rouge(replies, [sample.response for sample in test])
    return Row(
        user=person.history.user,
        system=system,
        way=way,
        rouge1=overlap.rouge1,
        rougeL=overlap.rouge_l,
        persona_f1=tuple(persona_f1(reply, persona) for reply in replies),
        words=fmean(len(reply.split()) for reply in replies),
        own_words=fmean(len(sample.response.split()) for sample in test),
        stop_bias=asked.responder.decoding.stop_bias,
        seconds=seconds,
        machine=machine(),
        dtype=str(asked.responder.base.dtype),
    )


class Asked:
    """One system, asked in both ways.

    Args:
        responder: The system.
        max_new_tokens: Longest reply.
    """

    def __init__(self, responder: ModelResponder, *, max_new_tokens: int) -> None:
        self.responder, self.max_new_tokens = responder, max_new_tokens

    def likeliest(self, samples: Sequence[Sample], *, times: int = 1) -> list[str]:
        """Answer greedily, each sample so many times in a row."""
        responder = self.responder
        prompts = [responder.encode(sample).prompt for sample in samples for _ in range(times)]
        with responder.worn():
            return respond(
                responder.base,
                responder.format,
                prompts,
                max_new_tokens=self.max_new_tokens,
                decoding=responder.decoding,
                inject=responder.inject,
            )

    def consensus(self, samples: Sequence[Sample]) -> list[str]:
        """Draw several answers to each and give the one that agrees best with the others."""
        with self._drawing():
            drawn = self.likeliest(samples, times=N_DRAWN)
        return [most_agreed(drawn[at : at + N_DRAWN]) for at in range(0, len(drawn), N_DRAWN)]

    @contextmanager
    def _drawing(self) -> Generator[None]:
        """Let the likeliest token be one that is drawn (Gumbel's maximum)."""
        body = body_of(self.responder.base)
        plain, generator = body.logits, torch.Generator().manual_seed(0)

        def noisy(h: Tensor) -> Tensor:
            logits = plain(h).float()
            noise = torch.empty_like(logits).exponential_(generator=generator)
            return logits - TEMPERATURE * noise.log()

        body.logits = noisy
        try:
            yield
        finally:
            del body.logits


def most_agreed(drawn: Sequence[str]) -> str:
    """Give the answer whose ROUGE-L to all of them is the highest in the mean."""
    agreement = [fmean(rouge([one] * len(drawn), drawn).rouge_l) for one in drawn]
    return drawn[agreement.index(max(agreement))]


def compared(
    found: Sequence[Row], *, users: Sequence[str], systems: Sequence[str]
) -> dict[str, object]:
    """Compare systems within a way with the memory, or the last; and ways within a system."""
    by_key = {(row.user, row.system, row.way): row for row in found}
    ways = (LIKELIEST, CONSENSUS)
    complete = [u for u in users if all((u, s, w) in by_key for s in systems for w in ways)]
    if not complete:
        return {"users": []}

    def among(
        names: Sequence[str], keys: Sequence[tuple[str, str]], *, against: str
    ) -> dict[str, dict[str, MeanRow]]:
        """Compare some systems' replies in some ways by every metric."""
        rows_each = [[by_key[user, *key] for key in keys] for user in complete]
        return {
            metric: apart(
                [np.array([getattr(row, metric) for row in each]).T for each in rows_each],
                names,
                against=against,
                label=f"less the {against}",
            )
            for metric in METRICS
        }

    main_system = MEMORY if MEMORY in systems else systems[-1]
    firsts = [by_key[user, systems[0], LIKELIEST] for user in complete]
    return {
        "users": complete,
        "n_test": sum(len(row.rougeL) for row in firsts),
        "own words": fmean(row.own_words for row in firsts),
        "words": {
            f"{system}, {way}": fmean(by_key[user, system, way].words for user in complete)
            for system in systems
            for way in ways
        },
        "systems": {
            way: among(systems, [(system, way) for system in systems], against=main_system)
            for way in ways
        },
        "ways": {
            system: among(ways, [(system, way) for way in ways], against=LIKELIEST)
            for system in systems
        },
    }


if __name__ == "__main__":
    main()
