"""Maximum pooling of vectors in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx


def max_pool_te(
    x: te.Tensor,
    *,
    pool_size: list[int],
    strides: list[int],
    padding: list[int],
    dilation: list[int],
    channels: int,
) -> te.Tensor:
    """`x` int16[N, H, W, CV, V+1] to accumulators int64[N, OH, OW, channels]."""
    batch, height, width, _, lanes = x.shape
    size = lanes - 1
    top, left, bottom, right = padding
    out_height = (height + top + bottom - dilation[0] * (pool_size[0] - 1) - 1) // strides[0] + 1
    out_width = (width + left + right - dilation[1] * (pool_size[1] - 1) - 1) // strides[1] + 1
    r = te.reduce_axis((0, pool_size[0]), name="r")
    s = te.reduce_axis((0, pool_size[1]), name="s")

    def largest(n: Any, i: Any, j: Any, k: Any) -> Any:
        row, column = i * strides[0] + r * dilation[0] - top, j * strides[1] + s * dilation[1] - left
        present = tirx.all(row >= 0, row < height, column >= 0, column < width)
        vector = (n, row, column, k // size)
        value = x(*vector, k % size).astype("int64") * x(*vector, size).astype("int64")
        lowest = tirx.const(-(1 << 62), "int64")
        return te.max(tirx.if_then_else(present, value, lowest), axis=[r, s])

    return te.compute([batch, out_height, out_width, channels], largest, name="accumulator")
