"""Hand-written gradients of what a training step spends its time in, the products aside.

Torch's own operations give the same numbers; these save what the backward pass can compute again,
never compute a gradient of a frozen weight, and add in place.

Notation:
    x        inputs, one row a token. *Shape:* (rows, k)
    W, b     a frozen linear. *Shape:* (d, k), (d,)
    A, B     its low-rank pair. *Shape:* (R, k), (d, R)
    s        scaling
    t        the gradient at A x. *Shape:* (rows, R)
"""

from collections.abc import Callable
from functools import cache
from typing import Any, ParamSpec, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

P = ParamSpec("P")
R = TypeVar("R")

_MERGE_COST = 48.0  # what adding B A to W costs beside the product, in multiples of d k operations


def paired_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, pair: tuple[Tensor, Tensor], scaling: float
) -> Tensor:
    """Compute eq. (1), h = W x + s B A x, with a gradient for x, A and B alone.

    Args:
        x: Inputs. *Shape:* (rows, k)
        weight: W, frozen. *Shape:* (d, k)
        bias: b, frozen, or None. *Shape:* (d,)
        pair: A and B in fp32; they are cast to x's format. *Shape:* (R, k), (d, R)
        scaling: s.

    Returns:
        h. *Shape:* (rows, d)
    """
    down, up = pair
    return cast("Tensor", _PairedLinear.apply(x, weight, bias, down, up, scaling))


def merging_pays(rows: int, shape: tuple[int, int], rank: int, dtype: torch.dtype) -> bool:
    """Whether W + s B A is cheaper to make for one step than the pair is to apply.

    Merging saves the product with B on the way forward and with A on the way back. It is for fp32
    alone: rounded to bf16, the sum would lose most of a small update.

    Args:
        rows: Rows of x.
        shape: (d, k).
        rank: R.
        dtype: x's number format.
    """
    d, k = shape
    saved = 2.0 * rank * (rows * (d + k) - d * k)
    return dtype == torch.float32 and saved > _MERGE_COST * d * k


class _PairedLinear(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        x, weight, bias, down, up, scaling = inputs
        A, B = down.to(x.dtype), up.to(x.dtype)
        ctx.scaling, ctx.formats = scaling, (down.dtype, up.dtype)
        ctx.merged = merging_pays(len(x), tuple(weight.shape), len(A), x.dtype)
        if ctx.merged:
            whole = torch.addmm(weight, B, A, alpha=scaling)
            ctx.save_for_backward(x, whole, A, B)
            return F.linear(x, whole, bias)
        ctx.save_for_backward(x, weight, A, B)
        h = F.linear(x, weight, bias)
        return h.addmm_(x @ A.T, B.T, alpha=scaling)  # eq. (1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, A, B = ctx.saved_tensors
        (dh,) = grads
        wants_dx, _, _, wants_down, _, _ = ctx.needs_input_grad
        t = dh @ B
        if ctx.scaling != 1:
            t *= ctx.scaling
        d_up = dh.T @ (x @ A.T)  # A x again: cheaper than keeping it
        if ctx.scaling != 1:
            d_up *= ctx.scaling
        dx = None
        if wants_dx:
            dx = dh @ weight
            if not ctx.merged:
                dx.addmm_(t, A)
        down_format, up_format = ctx.formats
        d_down = (t.T @ x).to(down_format) if wants_down else None
        return dx, None, None, d_down, d_up.to(up_format), None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Scale rows to a root mean square of 1, then by a frozen weight.

    Args:
        x: Inputs, of the weight's number format or a finer one. *Shape:* (rows, width)
        weight: The norm's weight. *Shape:* (width,)
        eps: Added to the mean square.

    Returns:
        The scaled rows, in the weight's number format. *Shape:* (rows, width)
    """
    return cast("Tensor", _RMSNorm.apply(x, weight, eps))


class _RMSNorm(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        x, weight, eps = inputs
        y, inverse = fused(_rms_forward)(x, weight, eps)
        ctx.save_for_backward(x, weight, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        return fused(_rms_backward)(grads[0], x, weight, inverse), None, None


def _rms_forward(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    full = x.float()
    inverse = full.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
    return (full * inverse).to(weight.dtype).mul_(weight), inverse


def _rms_backward(dy: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    scaled = (dy * weight).float()
    normal = x.float() * inverse
    along = (scaled * normal).mean(-1, keepdim=True)
    return scaled.sub_(normal.mul_(along)).mul_(inverse).to(x.dtype)


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """Multiply silu(gate) by up; either may be without a gradient. *Shape:* (rows, d) each."""
    return cast("Tensor", _Gated.apply(gate, up))


class _Gated(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        gate, up = inputs
        ctx.save_for_backward(gate, up)
        return fused(_gated_forward)(gate, up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gate, up = ctx.saved_tensors
        (dy,) = grads
        if not ctx.needs_input_grad[0]:
            return None, fused(_gated_forward)(gate, dy)
        d_gate, d_up = fused(_gated_backward)(dy, gate, up)
        return d_gate, d_up if ctx.needs_input_grad[1] else None


def _gated_forward(gate: Tensor, up: Tensor) -> Tensor:
    return F.silu(gate).mul_(up)


def _gated_backward(dy: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return torch.ops.aten.silu_backward(dy * up, gate), F.silu(gate).mul_(dy)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of each head by the row's angles (rotary position embedding).

    Args:
        x: Queries or keys. *Shape:* (rows, heads, head width)
        cos: Cosines, the two halves alike. *Shape:* (rows, 1, head width)
        sin: Sines, likewise. *Shape:* (rows, 1, head width)
    """
    return cast("Tensor", _Rotated.apply(x, cos, sin))


class _Rotated(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        x, cos, sin = inputs
        ctx.save_for_backward(cos, sin)
        return fused(_rotate)(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return fused(_rotate)(grads[0], cos, -sin), None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    out = x * cos
    out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
    out[..., half:].addcmul_(x[..., :half], sin[..., half:])
    return out


_FUSING = {"on": False}


def set_fusing(*, on: bool, device: torch.device | None = None) -> bool:
    """Whether the element-wise functions here are compiled, each into one pass over its data.

    `torch.compile` does it, with a C++ compiler on the CPU and Triton on a GPU; the first call of
    each function then takes seconds. The numbers stay the same up to rounding.

    Args:
        on: Whether to compile.
        device: Where; the CPU when None.

    Returns:
        Whether they are compiled now: false where there is no compiler.
    """
    if on and not _FUSING["on"]:
        x = torch.ones(2, 2, device=device)
        try:
            _compiled(_gated_forward)(x, x)
        except Exception:  # noqa: BLE001 - each backend raises its own where it is not complete
            return False
    _FUSING["on"] = on
    return on


def fused(function: Callable[P, R]) -> Callable[P, R]:
    """Return the compiled form of an element-wise function, or the function itself."""
    return cast("Callable[P, R]", _compiled(function)) if _FUSING["on"] else function


@cache
def _compiled(function: Callable[..., object]) -> Callable[..., object]:
    return torch.compile(function, dynamic=True)
