"""Pareto fronts, their hypervolume, when to stop and which point to choose.

Notation
    n, m     number of points, of objectives
    Y        objective values, **all to be maximised** (`to_maximise` turns signs), shape (n, m)
    ref      reference point, shape (m,)
    HV(Y)    volume that Y dominates above ref
    front    the points that no other point is at least as good as in all and better in one
"""

from collections.abc import Sequence

import numpy as np
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated
from numpy.typing import ArrayLike, NDArray
from optuna.study import StudyDirection

from lorecall.errors import ConfigError
from lorecall.records import TrialOutcome

Values = NDArray[np.float64]
"""Values of m objectives, shape (n, m)."""

_MARGIN = 0.1  # the reference point lies this share of the range below the worst (SPEC section 4)


def to_maximise(values: ArrayLike, directions: Sequence[StudyDirection]) -> Values:
    """Turn the sign of what is minimised.

    Args:
        values: As a study holds them, shape (n, m).
        directions: The study's, m of them.

    Returns:
        Y, shape (n, m).

    Examples:
        >>> from optuna.study import StudyDirection
        >>> from lorecall.search import to_maximise
        >>> to_maximise([[4.0, 10.0]], [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE])
        array([[-4., 10.]])
    """
    sign = np.array([-1.0 if d == StudyDirection.MINIMIZE else 1.0 for d in directions])
    return np.asarray(values, dtype=np.float64).reshape(-1, len(sign)) * sign


def pareto(values: Values) -> NDArray[np.bool_]:
    """Return which points of Y, shape (n, m), are on the front, shape (n,).

    Examples:
        >>> import numpy as np
        >>> from lorecall.search import pareto
        >>> pareto(np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 0.0]]))
        array([ True,  True, False])
    """
    if not len(values):
        return np.zeros(0, dtype=np.bool_)
    return is_non_dominated(torch.as_tensor(values), deduplicate=False).numpy()


def reference_point(initial: Values) -> Values:
    """Return the worst initial value of each objective less 10% of its range (SPEC section 4).

    Where all initial values are equal, 10% of their size stands for the range, or 0.1 for zeros.

    Args:
        initial: Y of the initial points, shape (n, m).

    Returns:
        ref, shape (m,).

    Raises:
        ConfigError: There is no initial point.

    Examples:
        >>> import numpy as np
        >>> from lorecall.search import reference_point
        >>> reference_point(np.array([[0.0, 5.0], [1.0, 3.0]]))
        array([-0.1,  2.8])
    """
    if not len(initial):
        raise ConfigError(
            "a reference point needs initial values",
            expected="1 or more",
            got="none",
            next_step="Finish the initial trials first.",
        )
    worst, best = initial.min(axis=0), initial.max(axis=0)
    size = np.where(worst == 0, 1.0, np.abs(worst))
    return worst - _MARGIN * np.where(best > worst, best - worst, size)


def hypervolume(values: Values, reference: Values) -> float:
    """Return HV(Y) for Y of shape (n, m) and ref of shape (m,).

    Examples:
        >>> import numpy as np
        >>> from lorecall.search import hypervolume
        >>> hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros(2))
        3.0
    """
    above = values[(values > reference).all(axis=1)]
    if not len(above):
        return 0.0
    if values.shape[1] == 1:
        return float((above - reference).max())
    front = torch.as_tensor(above[pareto(above)])
    return float(Hypervolume(torch.as_tensor(reference)).compute(front))


def hypervolume_trace(values: Values, reference: Values) -> Values:
    """Return HV of the first 1, 2, ... n points of Y, in the order they were found, shape (n,).

    Examples:
        >>> import numpy as np
        >>> from lorecall.search import hypervolume_trace
        >>> hypervolume_trace(np.array([[1.0, 2.0], [1.0, 1.0], [2.0, 1.0]]), np.zeros(2))
        array([2., 2., 3.])
    """
    trace = np.zeros(len(values))
    best = np.empty((0, values.shape[1]))
    for i, value in enumerate(values):
        best = np.concatenate([best, value[None]])
        best = best[pareto(best)]
        trace[i] = hypervolume(best, reference)
    return trace


def converged(trace: Sequence[float] | Values, *, rounds: int = 5, gain: float = 0.01) -> bool:
    """Whether the hypervolume has grown by less than a share over the last rounds.

    Args:
        trace: The hypervolume after each round, the initial points being the first of them.
        rounds: How many rounds to look back.
        gain: The relative gain below which the search has converged.

    Examples:
        >>> from lorecall.search import converged
        >>> converged([1.0, 2.0, 2.01], rounds=1)
        True
    """
    if len(trace) <= rounds:
        return False
    before, now = float(trace[-1 - rounds]), float(trace[-1])
    return now - before < gain * before or now == before


def choose(candidates: Sequence[TrialOutcome], on_front: NDArray[np.bool_]) -> int:
    """Return which candidate is chosen (SPEC section 4): the highest ROUGE-L on the front.

    Among the front's points within one standard error of it (its own error), the lowest loss; then
    the fewest parameters; then the first.
    """
    front: list[int] = np.flatnonzero(on_front).tolist()
    best = max((candidates[i] for i in front), key=lambda c: c.rouge_l)
    near = [i for i in front if candidates[i].rouge_l >= best.rouge_l - best.rouge_l_error]
    return min(near, key=lambda i: (candidates[i].loss, candidates[i].n_parameters))
