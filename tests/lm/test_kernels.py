"""Hand-written gradients against torch's own, of the plain expressions they stand for."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lorecall.lm.engine.kernels import gated, merging_pays, paired_linear, rms_norm, rotated

K, D, R, ROWS = 12, 20, 4, 7
MERGED = {"rank": 24, "rows": 64}  # enough for the sum of the weights to be cheaper
CLOSE = {"atol": 2e-5, "rtol": 2e-5}


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw a leaf with a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(dtype).requires_grad_()


def gradients(f: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the value, then the gradients of the inputs under an uneven loss."""
    leaves = [x.detach().clone().requires_grad_(x.requires_grad) for x in inputs]
    out = f(*leaves)
    weights = drawn(*out.shape, seed=99).detach().to(out.dtype)
    (out * weights).sum().backward()
    return (out.detach(), *(x.grad for x in leaves if x.grad is not None))


def assert_alike(ours: Callable[..., Tensor], plain: Callable[..., Tensor], *x: Tensor) -> None:
    """Compare values and all gradients."""
    one, other = gradients(ours, *x), gradients(plain, *x)
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


def stored(*, transposed: bool, dtype: torch.dtype = torch.float32) -> Tensor:
    """Make a frozen (d, k) weight, stored as it is or, as Conv1D does, the other way round."""
    weight = drawn(*((K, D) if transposed else (D, K)), seed=1, dtype=dtype).detach()
    return weight.T if transposed else weight


class TestPairedLinear:
    """Eq. (1)."""

    @pytest.mark.parametrize("sizes", [{"rank": R, "rows": ROWS}, MERGED], ids=["apart", "merged"])
    @pytest.mark.parametrize("transposed", [False, True], ids=["linear", "conv1d"])
    @pytest.mark.parametrize("biased", [False, True], ids=["bare", "bias"])
    @pytest.mark.parametrize("scaling", [1.0, 0.7])
    @pytest.mark.parametrize("x_trains", [False, True], ids=["first", "later"])
    def test_equals_the_plain_expression(
        self,
        sizes: dict[str, int],
        *,
        transposed: bool,
        biased: bool,
        scaling: float,
        x_trains: bool,
    ) -> None:
        """Values and gradients, whichever way it is computed; x may be without a gradient."""
        rank, rows = sizes["rank"], sizes["rows"]
        assert merging_pays(rows, (D, K), rank, torch.float32) == (sizes == MERGED)
        W, b = stored(transposed=transposed), drawn(D, seed=2).detach() if biased else None
        x = drawn(rows, K).requires_grad_(x_trains)

        def ours(x: Tensor, A: Tensor, B: Tensor) -> Tensor:
            return paired_linear(x, W, b, (A, B), scaling)

        def plain(x: Tensor, A: Tensor, B: Tensor) -> Tensor:
            return F.linear(x, W, b) + scaling * (x @ A.T @ B.T)

        assert_alike(ours, plain, x, drawn(rank, K, seed=3), drawn(D, rank, seed=4))

    @pytest.mark.parametrize("transposed", [False, True])
    @pytest.mark.parametrize("scaling", [1.0, 0.7])
    def test_gradients_are_those_of_finite_differences(
        self, *, transposed: bool, scaling: float
    ) -> None:
        """In double precision."""
        double = torch.float64
        W = stored(transposed=transposed, dtype=double)
        b = drawn(D, seed=2, dtype=double).detach()
        inputs = (
            drawn(3, K, dtype=double),
            drawn(R, K, seed=3, dtype=double),
            drawn(D, R, seed=4, dtype=double),
        )
        assert torch.autograd.gradcheck(
            lambda x, A, B: paired_linear(x, W, b, (A, B), scaling), inputs
        )

    @pytest.mark.parametrize("sizes", [{"rank": R, "rows": ROWS}, MERGED], ids=["apart", "merged"])
    def test_the_base_gets_no_gradient_and_stays_as_it_is(self, sizes: dict[str, int]) -> None:
        """Not even where its weights ask for one: they are frozen."""
        W, b = drawn(D, K, seed=1), drawn(D, seed=2)
        before = W.detach().clone(), b.detach().clone()
        pair = drawn(sizes["rank"], K, seed=3), drawn(D, sizes["rank"], seed=4)
        paired_linear(drawn(sizes["rows"], K), W, b, pair, 0.7).sum().backward()
        assert W.grad is None
        assert b.grad is None
        assert all(half.grad is not None for half in pair)
        assert torch.equal(W, before[0])
        assert torch.equal(b, before[1])

    def test_a_bf16_base_gives_fp32_gradients_to_its_pair(self) -> None:
        """The pair stays in fp32; what is computed is near the fp32 result."""
        x, W = drawn(ROWS, K), drawn(D, K, seed=1).detach()
        pair = drawn(R, K, seed=3), drawn(D, R, seed=4)
        out = paired_linear(x.bfloat16(), W.bfloat16(), None, pair, 1.0)
        assert out.dtype == torch.bfloat16
        out.float().sum().backward()
        exact = [half.detach().clone().requires_grad_() for half in pair]
        whole = F.linear(x, W) + x @ exact[0].T @ exact[1].T
        whole.sum().backward()
        torch.testing.assert_close(out.float(), whole, atol=0.2, rtol=0.05)
        for half, other in zip(pair, exact, strict=True):
            assert half.grad is not None
            assert half.grad.dtype == torch.float32
            torch.testing.assert_close(half.grad, other.grad, atol=0.3, rtol=0.05)


class TestMergingPays:
    """When W + s B A is cheaper to make than the pair is to apply."""

    @pytest.mark.parametrize("rank", [8, 96, 1024])
    @pytest.mark.parametrize("rows", [1, 512, 10**6])
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
    def test_never_but_in_fp32(self, rank: int, rows: int, dtype: torch.dtype) -> None:
        """Rounded to bf16, the sum would lose most of a small update."""
        assert not merging_pays(rows, (1536, 576), rank, dtype)

    def test_for_many_rows_and_a_high_rank(self) -> None:
        """One row or a low rank never pays back what the sum costs; once it pays it goes on so."""
        shape = (1536, 576)
        assert not merging_pays(1, shape, 1024, torch.float32)
        assert not merging_pays(600, shape, 8, torch.float32)
        assert merging_pays(1200, shape, 96, torch.float32)
        for fixed in (8, 64, 96):
            by_rows = [
                merging_pays(rows, shape, fixed, torch.float32) for rows in range(1, 9000, 50)
            ]
            assert by_rows == sorted(by_rows)


def _rms(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, weight.shape, weight, 1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0])
def test_rms_norm_equals_torchs(size: float) -> None:
    """Also for rows near zero, where eps counts; the weight gets no gradient."""
    weight = drawn(K, seed=1).detach()
    x = (size * drawn(ROWS, K)).detach().requires_grad_()
    one = gradients(lambda x: rms_norm(x, weight, 1e-5), x)
    other = gradients(lambda x: _rms(x, weight), x)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5 * max(1, 1 / size), rtol=2e-5)
    trained = drawn(K, seed=1)
    rms_norm(x, trained, 1e-5).sum().backward()
    assert trained.grad is None


def test_rms_norm_of_a_finer_stream() -> None:
    """The result is the weight's number format, the gradient x's own."""
    x = drawn(ROWS, K).detach().requires_grad_()
    y = rms_norm(x, torch.ones(K, dtype=torch.bfloat16), 1e-5)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    torch.testing.assert_close(y.float(), _rms(x, torch.ones(K)), atol=0.01, rtol=0.01)


def test_rms_norm_keeps_the_number_format() -> None:
    """The mean square is taken in fp32, the result is the weight's; x is left as it is."""
    x = drawn(ROWS, K).detach().bfloat16().requires_grad_()
    before = x.detach().clone()
    y = rms_norm(x, torch.ones(K, dtype=torch.bfloat16), 1e-5)
    y.sum().backward()
    assert y.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    assert torch.equal(x, before)
    torch.testing.assert_close(y.float(), _rms(x.float(), torch.ones(K)), atol=0.02, rtol=0.02)


@pytest.mark.parametrize(("gate_trains", "up_trains"), [(True, True), (True, False), (False, True)])
def test_gated_equals_the_plain_product(*, gate_trains: bool, up_trains: bool) -> None:
    """Either half may be without a gradient."""
    gate = drawn(ROWS, K).requires_grad_(gate_trains)
    up = drawn(ROWS, K, seed=1).requires_grad_(up_trains)
    assert_alike(gated, lambda gate, up: F.silu(gate) * up, gate, up)


def test_gated_gradients_are_those_of_finite_differences() -> None:
    """In double precision; the halves are left as they are."""
    gate, up = drawn(3, K, dtype=torch.float64), drawn(3, K, seed=1, dtype=torch.float64)
    before = gate.detach().clone(), up.detach().clone()
    assert torch.autograd.gradcheck(gated, (gate, up))
    assert torch.equal(gate, before[0])
    assert torch.equal(up, before[1])


def angles(rows: int, width: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Make the cosines and sines of rows, the two halves of a head alike."""
    turn = torch.arange(rows)[:, None] / 10 ** (torch.arange(width // 2) / (width // 2))
    both = torch.cat([turn, turn], dim=-1)[:, None]
    return both.cos().to(dtype), both.sin().to(dtype)


def test_rotated_equals_the_plain_rotation() -> None:
    """As transformers writes it; a rotation keeps lengths."""
    cos, sin = angles(ROWS, 8)

    def plain(x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat([-second, first], dim=-1) * sin

    x = drawn(ROWS, 3, 8)
    assert_alike(lambda x: rotated(x, cos, sin), plain, x)
    torch.testing.assert_close(rotated(x, cos, sin).norm(dim=-1), x.norm(dim=-1))


def test_rotated_gradients_are_those_of_finite_differences() -> None:
    """In double precision; the angles get none."""
    cos, sin = angles(ROWS, 8, torch.float64)
    x = drawn(ROWS, 2, 8, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: rotated(x, cos, sin), (x,))
    rotated(x, cos.requires_grad_(), sin.requires_grad_()).sum().backward()
    assert cos.grad is None
    assert sin.grad is None
