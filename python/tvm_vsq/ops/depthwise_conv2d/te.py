"""The integer depthwise convolution in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx


def convolve_channels_te(
    x: te.Tensor,
    w: te.Tensor,
    kernel: list[int],
    strides: list[int],
    padding: list[int],
    dilation: list[int],
) -> te.Tensor:
    """`x` int16[N, H, W, CV, V+1] with `w` int16[K, R, SV, V+1] to accumulators int64[N, OH, OW, K]."""
    batch, height, width, _, lanes = x.shape
    size = lanes - 1
    top, left, bottom, right = padding
    out_height = (height + top + bottom - dilation[0] * (kernel[0] - 1) - 1) // strides[0] + 1
    out_width = (width + left + right - dilation[1] * (kernel[1] - 1) - 1) // strides[1] + 1
    r = te.reduce_axis((0, kernel[0]), name="r")
    s = te.reduce_axis((0, kernel[1]), name="s")

    def value(vectors: te.Tensor, *at: Any) -> Any:
        *vector, lane = at
        return vectors(*vector, lane).astype("int64") * vectors(*vector, size).astype("int64")

    def accumulate(n: Any, i: Any, j: Any, k: Any) -> Any:
        row, column = i * strides[0] + r * dilation[0] - top, j * strides[1] + s * dilation[1] - left
        present = tirx.all(row >= 0, row < height, column >= 0, column < width)
        pixel = value(x, n, row, column, k // size, k % size)
        weight = value(w, k, r, s // size, s % size)
        return te.sum(weight * tirx.if_then_else(present, pixel, tirx.const(0, "int64")), axis=[r, s])

    return te.compute([batch, out_height, out_width, w.shape[0]], accumulate, name="accumulator")
