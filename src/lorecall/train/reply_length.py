"""How long answers are: one number on the logits of stopping, fitted to a person's own answers.

Greedy decoding stops where stopping is the likeliest single token, so that a tuned model answers
shorter than the person it was tuned on, and an untuned one rambles. What is added to the logits of
the tokens that end an answer is chosen on validation prompts, such that answers are in the mean as
long as the person's.

This module knows nothing of models.
"""

from collections.abc import Callable

LOWEST, HIGHEST = -8.0, 16.0
HALVINGS = 12
_FIRST = 4.0  # the first upper bound; an untuned base rambles on beyond it


def fit_stop_bias(mean_length: Callable[[float], float], wanted: float) -> float:
    """Find the number by halving, after the upper bound was doubled for as long as it is too low.

    Args:
        mean_length: Tokens of an answer in the mean, given the number; the larger it is, the fewer.
        wanted: The mean to come near.

    Returns:
        Of the numbers tried, 0 the first of them, the one that comes nearest.
    """
    tried = {0.0: mean_length(0.0)}
    low, high = (0.0, _FIRST) if tried[0.0] > wanted else (LOWEST, 0.0)
    while 0.0 < high < HIGHEST and (length := mean_length(high)) > wanted:
        tried[high] = length
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried[middle] = mean_length(middle)
        low, high = (middle, high) if tried[middle] > wanted else (low, middle)
    return min(tried, key=lambda bias: (abs(tried[bias] - wanted), abs(bias)))
