"""Steps of growing and of fixed shapes choose the same tokens, rows leaving in between."""

import pytest
import torch

from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.plain import answer_plainly
from lorecall.lm.engine.prefill import read_prompts
from lorecall.lm.engine.steps import FixedSteps, GrowingSteps, Steps
from lorecall.lm.sampling import GreedyChooser

LENGTHS = (30, 29, 12, 11, 3, 1)  # longest first, in three groups
N_NEW = 8


def prompts() -> list[list[int]]:
    """Draw prompts, longest first."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(6, 262, (n,), generator=generator).tolist() for n in LENGTHS]


@pytest.mark.parametrize("kind", [GrowingSteps, FixedSteps])
@torch.inference_mode()
def test_steps_choose_the_plain_paths_tokens(
    base: LanguageModel, kind: type[GrowingSteps] | type[FixedSteps]
) -> None:
    """Every row for four steps, then three of them moved together; the prompts stay as read."""
    expected = answer_plainly(
        base, prompts(), max_new_tokens=N_NEW, chooser=GreedyChooser(frozenset())
    )
    body = Body(base)
    read = read_prompts(body, prompts())
    before = [x.clone() for past in read.layers for x in past]
    rows, going = list(range(len(LENGTHS))), [1, 2, 5]
    steps = kind(body, read, rows, N_NEW)
    assert isinstance(steps, Steps)
    tokens = body.logits(read.last).argmax(dim=-1)
    for step in range(N_NEW - 1):
        assert tokens.tolist() == [expected[row][step] for row in rows]
        if step == 3:
            steps.keep(going)
            tokens, rows = tokens[going], going
        tokens = steps.next(tokens).argmax(dim=-1)
    assert tokens.tolist() == [expected[row][-1] for row in rows]
    after = [x for past in read.layers for x in past]
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", [GrowingSteps, FixedSteps])
@torch.inference_mode()
def test_rows_may_come_in_another_order_than_the_prompts(
    base: LanguageModel, kind: type[GrowingSteps] | type[FixedSteps]
) -> None:
    """Longest first is theirs; which prompt that was is the caller's."""
    shuffled = [prompts()[i] for i in (3, 0, 5, 1, 4, 2)]
    expected = answer_plainly(base, shuffled, max_new_tokens=3, chooser=GreedyChooser(frozenset()))
    body = Body(base)
    read = read_prompts(body, shuffled)
    rows = sorted(range(len(shuffled)), key=lambda i: -read.lengths[i])
    steps = kind(body, read, rows, 3)
    tokens = body.logits(read.last[rows]).argmax(dim=-1)
    for step in (1, 2):
        tokens = steps.next(tokens).argmax(dim=-1)
        assert tokens.tolist() == [expected[row][step] for row in rows]
