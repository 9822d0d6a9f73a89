"""Integers in steps of gamma / 2^guard_bits to vectors, in TE (docs/numerics.md, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import te, tirx

from tvm_vsq.formats import VectorFormat


def requantize_te(y: te.Tensor, fmt: VectorFormat, guard_bits: int, scales: Sequence[int] = ()) -> te.Tensor:
    """`y` int32[..., C] to int16[..., ceil(C/V), V+1]; channels beyond C count as 0.

    scales: static ones, one for each vector; empty where they follow from the data.
    """
    *leading, channels = y.shape
    vector_size = fmt.vector_size
    vectors = (int(channels) + vector_size - 1) // vector_size
    largest_element = 2 ** (fmt.bits - 1) - 1 if fmt.signed else 2**fmt.bits - 1
    smallest_element = -largest_element if fmt.signed else 0
    largest_scale = 2**fmt.scale_bits - 1 if fmt.scale_bits else 1
    lane = te.reduce_axis((0, vector_size), name="lane")

    def magnitude(*at: Any) -> Any:
        # int64: the magnitude of int32's least value does not fit int32
        *row, vector = at
        channel = vector * vector_size + lane
        value = te.abs(y(*row, te.min(channel, channels - 1)).astype("int64"))
        return te.max(tirx.if_then_else(channel < channels, value, tirx.const(0, "int64")), axis=lane)

    peak = te.compute([*leading, vectors], magnitude, name="peak")

    def choose_scale(*at: Any) -> Any:
        if scales:
            # a chain of choices, since TE has no constant arrays; one select for each vector of the channels
            chosen = tirx.const(scales[0], "int64")
            for vector, scale in enumerate(scales[1:], start=1):
                chosen = tirx.Select(at[-1] >= vector, tirx.const(scale, "int64"), chosen)
            return chosen
        one = tirx.const(1, "int64")
        divisor = tirx.const(largest_element << guard_bits, "int64")
        needed = te.floordiv(peak(*at) + (divisor - 1), divisor)
        return te.max(one, te.min(needed, tirx.const(largest_scale, "int64")))

    scale = te.compute([*leading, vectors], choose_scale, name="scale")

    def lane_value(*at: Any) -> Any:
        *row, vector, position = at
        channel = vector * vector_size + position
        value = tirx.if_then_else(
            channel < channels, y(*row, te.min(channel, channels - 1)), tirx.const(0, "int32")
        )
        # Clipping first gives the same, as element * step rounds to element. Then the dividend is positive
        # and below 2^28, so that a division of doubles is cut exactly; processors do several at a time.
        step = scale(*row, vector).astype("int32") * (1 << guard_bits)
        low = smallest_element * step
        clipped = te.max(te.min(value, largest_element * step), low)
        dividend, divisor = (each.astype("float64") for each in (2 * (clipped - low) + step, 2 * step))
        element = (dividend / divisor).astype("int32") + smallest_element
        return tirx.if_then_else(position < vector_size, element, scale(*row, vector).astype("int32")).astype(
            "int16"
        )

    return te.compute([*leading, vectors, vector_size + 1], lane_value, name="requantized")
