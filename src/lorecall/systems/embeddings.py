"""Texts as directions: texts that mean alike point alike.

The base itself embeds: the mean of its last hidden states. Those of a language model
all point much the same way, so the mean of a few plain sentences, the same for everyone, is taken
off first: unrelated texts then come out near a cosine of 0.
"""

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.states import last_states

Direction = NDArray[np.float64]
"""Of length 1, or 0 where a text has none. *Shape:* (width,)"""

PLAIN_SENTENCES = (
    "The train to the coast leaves at nine in the morning.",
    "I would like a cup of tea, please.",
    "What do you think about the new film?",
    "She has two brothers and a dog.",
    "It rained for most of the week.",
    "How long does the battery of this camera last?",
    "No, not really.",
    "Thanks, see you tomorrow!",
)


def embedder_of(base: LanguageModel) -> Callable[[str], Direction]:
    """Return what embeds one text with the base alone, by itself: a batch would round it."""
    if base not in _CENTRES:
        _CENTRES[base] = np.mean([_mean_state(base, text) for text in PLAIN_SENTENCES], axis=0)
    centre = _CENTRES[base]
    return lambda text: _direction(_mean_state(base, text) - centre)


_CENTRES: WeakKeyDictionary[LanguageModel, Direction] = WeakKeyDictionary()


@torch.no_grad()
def _mean_state(base: LanguageModel, text: str) -> Direction:
    """Average the last hidden states of the base alone. *Shape:* (width,)."""
    ids = base.tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = list(ids)[: base.max_tokens] or [base.pad_id]
    return last_states(base, ids).double().mean(dim=0).cpu().numpy()


def _direction(vector: Direction) -> Direction:
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector
