"""Rows in integers, in torch (docs/numerics.md, section 7): normalized, or as probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from tvm_vsq.formats.rows import FACTOR_BITS, LEAST_MAXIMUM, MANTISSA_BITS, SQUARED_BITS, Normalization
from tvm_vsq.torch_graph.tables import look_up


def rounded_shift(x: Tensor, shift: Tensor | int) -> Tensor:
    """x / 2^shift, rounded half up; int64."""
    amount = torch.as_tensor(shift)
    half = torch.ones_like(amount).bitwise_left_shift(amount).bitwise_right_shift(torch.tensor(1))
    return (x + half).bitwise_right_shift(amount)


def saturated(x: Tensor, bits: int = 32) -> Tensor:
    """The nearest signed number of so many bits."""
    return x.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def normalize(x: Tensor, table: Tensor, how: Normalization) -> Tensor:
    """Rows int64[..., K] over the roots of their sums of squares, as accumulators."""
    if how.centered:
        mean = rounded_shift(x.sum(-1, keepdim=True) * how.mean_mult, how.mean_shift)
        x = saturated(x - saturated(mean))
    squares = saturated(rounded_shift(x, how.square_shift), SQUARED_BITS).square().sum(-1, keepdim=True)
    mantissa, doublings = _normalized(squares + how.epsilon)
    # the bits below the leading one, which is the parity of the power of two in their place
    place = (mantissa + ((doublings % 2) - 1) * (1 << MANTISSA_BITS)).div(2, rounding_mode="floor")
    return _scaled(x, place, table, how.exponent + doublings.div(2, rounding_mode="floor"))


def probabilities(x: Tensor, tables: Tensor, shift: int, exponent: int, masked: bool) -> Tensor:
    """Probabilities of rows int64[..., K], as accumulators; `tables` int64[2, segments, 2] of exp and 1 /
    x.
    """
    reach = 32767 << shift
    top = saturated(x.amax(-1, keepdim=True) - reach)
    if masked:
        top = top.clamp_min(LEAST_MAXIMUM - reach)
    values = look_up(rounded_shift(x - top, shift), tables[0])
    mantissa, doublings = _normalized(values.sum(-1, keepdim=True))
    return _scaled(values, mantissa - (1 << MANTISSA_BITS), tables[1], exponent + doublings)


def rotate(x: Tensor, factors: Tensor) -> Tensor:
    """Rows int64[..., heads * D] with pairs of numbers turned, as accumulators; `factors` int64[..., D]."""
    heads = x.reshape(*x.shape[:-1], -1, factors.shape[-1])
    mantissa, shift = (
        (factors & ((1 << FACTOR_BITS) - 1))[..., None, :],
        (factors >> FACTOR_BITS)[..., None, :],
    )
    half = factors.shape[-1] // 2
    partners = heads.roll(half, -1)  # numbers of the second half come first

    def grown(values: Tensor, part: slice) -> Tensor:
        by = [torch.cat([each[..., part]] * 2, -1) for each in (mantissa, shift & 63)]
        return saturated(rounded_shift(values * by[0], by[1]))

    sign = torch.ones(2 * half, dtype=torch.int64)
    sign[:half] = -1
    own = saturated(grown(heads, slice(half)) - heads)
    return saturated(saturated(own - sign * partners) + sign * grown(partners, slice(half, None))).flatten(-2)


def _normalized(x: Tensor) -> tuple[Tensor, Tensor]:
    """x, at least 1, as n * 2^e with n of 17 bits, rounded down; below 2^50, so exact in float64."""
    fraction, exponent = torch.frexp(x.clamp_min(1).to(torch.float64))  # in [1/2, 1)
    mantissa = torch.floor(fraction * 2.0 ** (MANTISSA_BITS + 1)).to(torch.int64)
    return mantissa, exponent.to(torch.int64) - (MANTISSA_BITS + 1)


def _scaled(x: Tensor, place: Tensor, table: Tensor, shift: Tensor) -> Tensor:
    factor = look_up(place - (1 << (MANTISSA_BITS - 1)), table).clamp(0, (1 << FACTOR_BITS) - 1)
    return saturated(rounded_shift(x * factor, shift.clamp(0, 62)))


def total(x: Tensor, other: Tensor | None = None) -> Tensor:
    """int64 rows of int32 `x`, with `other`, which broadcasts, added and saturated."""
    return x.long() if other is None else saturated(x.long() + other.long())
