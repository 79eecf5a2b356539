"""How much work each cell is, in token equivalents, for telling the time left.

Rough: what a system does is guessed from its name, its samples from the user's numbers. The bar's
own speed corrects it as the bench goes on.
"""

from collections.abc import Mapping

from lorecall.bench.plan import BenchPlan, BenchSettings, Cell
from lorecall.learning.costs import GENERATE_COST, READ_COST, SUGGEST_COST

_PROMPT_TOKENS, _RESPONSE_TOKENS = 100, 22  # of a sample, as on chitchat
_SAMPLES = 300  # of a user of whom that is not known
_UNTRAINED = ("vanilla", "dictionary", "retrieval")
_TRAIN, _TEST = 0.7, 0.2


def cell_costs(plan: BenchPlan, n_samples: Mapping[str, int]) -> dict[Cell, float]:
    """Estimate every cell.

    Args:
        plan: The bench.
        n_samples: Samples of each user, as far as known.
    """
    return {
        cell: _cost(cell.system, n_samples.get(cell.user) or _SAMPLES, plan.settings)
        for cell in plan.cells()
    }


def _cost(system: str, n_samples: int, settings: BenchSettings) -> float:
    n = min(n_samples, settings.history_samples or n_samples)
    tested = min(_TEST * n, settings.test_samples or n) + settings.n_timed
    cost = _read(tested)
    if system.startswith(_UNTRAINED):
        return cost
    learn = settings.learn
    cost += _trained(_TRAIN * n, n, learn.train.max_epochs)
    if system.startswith("memory") and not system.endswith("-with-retrieval"):
        search = learn.search
        seen = min(_TRAIN * n, search.samples or n)
        trial = _trained(seen, n, search.epochs or learn.train.max_epochs) + _read(0.1 * n)
        cost += search.trials * trial + SUGGEST_COST * max(0, search.trials - search.initial)
    return cost


def _read(n: float) -> float:
    return n * (READ_COST * (_PROMPT_TOKENS + _RESPONSE_TOKENS) + GENERATE_COST * _RESPONSE_TOKENS)


def _trained(n_train: float, n: float, epochs: int) -> float:
    tokens = _PROMPT_TOKENS + _RESPONSE_TOKENS
    return epochs * tokens * (n_train + 2 * READ_COST * 0.1 * n)
