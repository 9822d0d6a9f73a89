"""vsq.quantize, vsq.dequantize and requantization in torch (docs/numerics.md, section 3).

Integers are kept in floating point where that is exact, because torch divides it several times faster.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.formats import VectorFormat

_STEP_LIMIT = 2.0**30


def integer_steps(x: Tensor, inv: float) -> Tensor:
    """float32 `x` in steps of 1 / `inv`, whole numbers in float32; `inv` is float32(2^guard_bits / gamma)."""
    steps = torch.round((x * inv).clamp(-_STEP_LIMIT, _STEP_LIMIT))  # half to even
    return steps.masked_fill(x.isnan(), 0.0)


def dequantize(vectors: Tensor, gamma: Tensor, channels: int) -> Tensor:
    """Vectors int16[..., CV, V+1] to float32 [..., channels]; `gamma` float32, [] or [K]."""
    values = scaled_elements(vectors, torch.float32).flatten(-2)[..., :channels]
    return values * (gamma.reshape(-1, *[1] * (values.ndim - 1)) if gamma.ndim else gamma)


def scaled_elements(vectors: Tensor, dtype: torch.dtype) -> Tensor:
    """Element times scale, [..., CV, V]: below 255 * 1023 < 2^18, so exact in float32."""
    return vectors[..., :-1].to(dtype) * vectors[..., -1:].to(dtype)


def requantize(y: Tensor, fmt: VectorFormat, guard_bits: int, scales: Sequence[int] = ()) -> Tensor:
    """Whole numbers `y` [..., C] of any dtype, in units of gamma / 2^guard_bits, to int16[..., CV, V+1].

    scales: static vector scales, one for each vector; empty if each follows from its data.
    Clamping y to the largest value a vector can hold changes no result: beyond it the scale is smax and the
    element qmax or -qmax. Half up is the floor of (2 y + d) / (2 d), here computed as (y + d/2) / d. Since
    2 y + d and 2 d are integers below 2^24 for float32 or 2^53 for float64, the floor of the correctly
    rounded quotient is exact: a quotient below an integer stays at least 1 / (2 d) away from it, which is
    more than half of its last place.
    """
    reach = (fmt.qmax * fmt.smax) << guard_bits
    dtype = torch.float32 if 2 * reach + (fmt.smax << guard_bits) < 2**24 else torch.float64
    values = y.clamp(-reach, reach).to(dtype)
    missing = -y.shape[-1] % fmt.vector_size
    if missing:
        values = F.pad(values, (0, missing))
    values = torch.unflatten(values, -1, (-1, fmt.vector_size))
    if scales:
        scale = torch.tensor(scales)[:, None].expand(*values.shape[:-1], 1)
    else:
        divisor = fmt.qmax << guard_bits
        peak = values.abs().amax(-1, keepdim=True).to(torch.int64)
        scale = ((peak + (divisor - 1)) // divisor).clamp(1, fmt.smax)
    step = (scale << guard_bits).to(dtype)
    elements = values.add_(step / 2).div_(step).floor_().clamp_(fmt.lo, fmt.qmax)
    return torch.cat([elements.to(torch.int16), scale.to(torch.int16)], dim=-1)
