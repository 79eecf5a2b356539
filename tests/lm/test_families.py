"""Every family: the fast path against transformers' own forward pass, `generate` and `peft`.

Models are tiny and all their weights are drawn, norms and biases among them; sequences are longer
than the windows.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.engine.attention import PastKeyValues
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.prefill import base_past, read_prompts
from lorecall.lm.families.registry import FAMILIES
from lorecall.lm.families.structure import found_family
from lorecall.lm.families.tiny import tiny_base, tiny_tokenizer
from lorecall.lm.generate import continue_answers, decode
from lorecall.lm.sampling import GreedyChooser
from lorecall.memory.memory import StoredMemory
from lorecall.memory.peft import export_peft
from lorecall.records import Inject, InjectionConfig
from lorecall.train.engine import FastEngine, PlainEngine

CLOSE = {"atol": 3e-5, "rtol": 3e-5}
WINDOW = 8
COMMON = [7, 9, 11, 13, 8]
LENGTHS = (3, 20, 17, 9)
WITH_WINDOWS = {"mistral", "qwen2", "gemma2", "gemma3_text", "phi3"}
VARIANTS = {
    "llama with biases": ("llama", {"attention_bias": True, "mlp_bias": True, "head_dim": 12}),
    "llama, longer by yarn": (
        "llama",
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}},
    ),
    "mistral without a window": ("mistral", {"sliding_window": None}),
    "qwen 2.5": ("qwen2", {"use_sliding_window": False, "layer_types": None}),
    "qwen 3 with windows": (
        "qwen3",
        {"use_sliding_window": True, "sliding_window": WINDOW, "layer_types": None},
    ),
    "gemma 2 without caps": (
        "gemma2",
        {"attn_logit_softcapping": None, "final_logit_softcapping": None},
    ),
    "phi 4": ("phi3", {"sliding_window": None, "rope_parameters": None}),
    "gpt-neox, one half after the other": ("gpt_neox", {"use_parallel_residual": False}),
    "gpt-neox without biases": ("gpt_neox", {"attention_bias": False}),
    "gpt2, scores scaled by layer": ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    "heads of their own": ("smollm3", {"num_key_value_heads": 4, "tie_word_embeddings": False}),
}


def drawn(base: LanguageModel, seed: int = 0) -> LanguageModel:
    """Draw every weight, so that no norm or bias is without effect."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in base.model.parameters():
            centre, size = (0.0, 0.15) if parameter.dim() > 1 else (0.7, 0.3)
            parameter.copy_(centre + size * torch.randn(parameter.shape, generator=generator))
    return base


@pytest.fixture(params=sorted(FAMILIES), scope="module")
def base(request: pytest.FixtureRequest) -> LanguageModel:
    """Return a tiny base of each family in turn."""
    return drawn(tiny_base(request.param))


def sequences(start: list[int]) -> list[list[int]]:
    """Draw sequences of different lengths, most of them longer than a window."""
    generator = torch.Generator().manual_seed(1)
    return [[*start, *torch.randint(6, 200, (n,), generator=generator).tolist()] for n in LENGTHS]


def alone(base: LanguageModel, rows: list[list[int]], n_last: list[int]) -> Tensor:
    """Return the logits of each sequence's last rows, read alone by the model itself."""
    return torch.cat(
        [base.model(torch.tensor([r])).logits[0, -n:] for r, n in zip(rows, n_last, strict=True)]
    )


def check_forward(base: LanguageModel) -> None:
    """Compare packed rows with the model's own, with a common start and without."""
    n_targets = [2, 4, 17, 1]
    for start in (COMMON, []):
        rows = [row[-30:] for row in sequences(start)]
        body = Body(base)
        packed = body.pack(rows, [min(n, len(r)) for n, r in zip(n_targets, rows, strict=True)])
        assert packed.n_common == len(start)
        with torch.no_grad():
            ours = body.logits(body.targets(body.embed(packed), packed).h)
            theirs = alone(base, rows, list(packed.n_targets))
        assert theirs.std() > 0.1
        torch.testing.assert_close(ours, theirs, **CLOSE)


def test_packed_rows_answer_as_the_model_does(base: LanguageModel) -> None:
    """Logits, in any company."""
    check_forward(base)


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_what_a_configuration_may_change(variant: str) -> None:
    """Biases, windows, caps, angles, heads: as the configuration says."""
    kind, changes = VARIANTS[variant]
    same = tiny_base(kind).model.config.to_dict()
    config = AutoConfig.for_model(**{**same, **changes})
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    check_forward(drawn(LanguageModel(model, tiny_tokenizer(chat=False), name=kind)))


def test_windows_are_those_of_the_models(base: LanguageModel) -> None:
    """Where a family has windows, a row outside of one changes nothing."""
    blocks = Body(base).blocks
    assert set(blocks.windows) == ({WINDOW} if base.family.name in WITH_WINDOWS else set())
    everywhere = {blocks.scores(i).window for i in range(base.n_layers)} == {WINDOW}
    assert everywhere == (base.family.name in {"mistral", "phi3"})


@torch.no_grad()
def test_a_past_stands_for_its_tokens(base: LanguageModel) -> None:
    """What follows it is as if all had been read together; a window reaches into it."""
    body, rows = Body(base), sequences([])
    cuts = [0, 13, 2, 5]
    past: tuple[PastKeyValues, ...] = base_past(
        base, [r[:cut] for r, cut in zip(rows, cuts, strict=True)]
    )
    rest = [row[cut:] for row, cut in zip(rows, cuts, strict=True)]
    packed = body.pack(rest, [len(r) for r in rest], past=cuts)
    ours = body.logits(body.targets(body.embed(packed), packed, past=past).h)
    torch.testing.assert_close(ours, alone(base, rows, [len(r) for r in rest]), **CLOSE)


@torch.no_grad()
def test_any_layer_can_be_begun_from(base: LanguageModel) -> None:
    """With what comes before its feed-forward block."""
    body, rows = Body(base), sequences(COMMON)
    packed = body.pack(rows, [2, 2, 2, 2])
    whole = body.targets(body.embed(packed), packed).h
    for layer in range(base.n_layers):
        h = body.to_mlp(body.embed(packed), packed, layer=layer).h
        torch.testing.assert_close(body.targets(h, packed, start=layer).h, whole, **CLOSE)


def memory_for(base: LanguageModel, linears: tuple[str, ...], inject: Inject) -> Injection:
    """Make a memory on some linears of two layers, with drawn pairs."""
    config = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7, inject=inject)
    memory = Injection(base, config, linears=linears)
    generator = torch.Generator().manual_seed(2)
    memory.load(
        {k: 0.3 * torch.randn(t.shape, generator=generator) for k, t in memory.tensors().items()}
    )
    return memory


@pytest.mark.parametrize("inject", ["all", "response"])
def test_losses_and_gradients_are_those_of_autograd(base: LanguageModel, inject: Inject) -> None:
    """Of pairs on every linear that takes one, through transformers' own layers."""
    memory = memory_for(base, tuple(base.family.paths), inject)
    rows = sequences(COMMON)
    samples = [
        Encoded(prompt=tuple(r[:-n]), response=tuple(r[-n:]))
        for r, n in zip(rows, (2, 12, 9, 5), strict=True)
    ]
    found: list[tuple[Tensor, list[Tensor]]] = []
    for engine in (FastEngine(base, memory), PlainEngine(base, memory)):
        losses = engine.losses(samples)
        grads = torch.autograd.grad(losses.mean(), list(memory.parameters()))
        found.append((losses.detach(), list(grads)))
    (fast, fast_grads), (plain, plain_grads) = found
    torch.testing.assert_close(fast, plain, **CLOSE)
    for one, other in zip(fast_grads, plain_grads, strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(one, other, atol=3e-5 * float(other.abs().max()), rtol=1e-3)


@pytest.mark.parametrize("fixed", [False, True], ids=["growing", "fixed"])
def test_answers_are_those_of_generate(base: LanguageModel, *, fixed: bool) -> None:
    """Greedily, for longer than a window, prompts of different lengths at once."""
    prompts = sequences([])
    chooser = GreedyChooser((2,))
    with torch.inference_mode():
        body = Body(base, merge=True)
        read = read_prompts(body, prompts)
        ours = continue_answers(body, read, max_new_tokens=12, chooser=chooser, fixed=fixed)
    for prompt, answer in zip(prompts, ours, strict=True):
        whole = base.model.generate(
            input_ids=torch.tensor([prompt]), max_new_tokens=12, do_sample=False, eos_token_id=2
        )
        theirs = whole[0, len(prompt) :].tolist()
        assert [token for token in theirs if token != 2] == answer
    assert ours == decode(base, prompts, max_new_tokens=12, stop_ids=(2,))


def test_peft_gives_our_logits(
    base: LanguageModel, make_memory: Callable[..., StoredMemory], tmp_path: Path
) -> None:
    """Of an exported memory, on feed-forward linears and on attention's."""
    rows = sequences([])[1:2]
    for i, linears in enumerate((base.family.default, tuple(base.family.paths))):
        stored = make_memory(base, linears=linears)
        export_peft(stored, tmp_path / str(i))
        model = peft.PeftModel.from_pretrained(copy.deepcopy(base.model), tmp_path / str(i))
        body = Body(base, Injection.of(base, stored))
        packed = body.pack(rows, [len(rows[0])])
        with torch.no_grad():
            theirs = model.eval()(torch.tensor(rows)).logits[0]
            ours = body.logits(body.targets(body.embed(packed), packed).h)
            vanilla = base.model(torch.tensor(rows)).logits[0]
        torch.testing.assert_close(ours, theirs, **CLOSE)
        assert (ours - vanilla).abs().max() > 0.02


def test_bf16_is_near(base: LanguageModel) -> None:
    """No farther from fp32 than the model's own forward pass in bf16, by much."""
    low = drawn(tiny_base(base.family.name, dtype=torch.bfloat16))
    rows = sequences(COMMON)
    body = Body(low)
    packed = body.pack(rows, [4, 4, 4, 4])
    with torch.no_grad():
        exact = copy.deepcopy(low.model).float()
        expected = torch.cat([exact(torch.tensor([r])).logits[0, -4:] for r in rows])
        ours = body.logits(body.targets(body.embed(packed), packed).h)
        theirs = alone(low, rows, [4, 4, 4, 4]).float()
    assert (ours - expected).norm() < 1.3 * (theirs - expected).norm()


def test_structure_shows_what_the_family_says(base: LanguageModel) -> None:
    """A family's feed-forward linears are where anyone would find them, and PEFT finds them too."""
    found, family = found_family(base.model), base.family
    assert set(found.linears.values()) == set(family.linears.values())
    assert found.transposed == family.transposed
    assert found.positions_after_padding == family.positions_after_padding
    assert set(family.attention.values()) <= set(found.attention.values())
    for name in family.default:
        target = found.peft_targets[
            next(n for n, p in found.linears.items() if p == family.paths[name])
        ]
        assert target == family.peft_targets[name]


def test_a_tiny_base_is_of_its_family(base: LanguageModel) -> None:
    """Built by name, with as many layers and as wide as asked for."""
    name = base.family.name
    other = tiny_base(name, n_layers=2, width=16)
    assert other.family is FAMILIES[name]
    assert (other.n_layers, other.model.config.hidden_size) == (2, 16)
    assert other.has_fast_path
    assert not any("fast path" in note for note in other.notes)
