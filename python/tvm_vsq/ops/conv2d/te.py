"""The integer convolution in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from tvm_vsq.relax_ops.scale_product_te import scale_product_te


def convolve_te(
    x: te.Tensor,
    w: te.Tensor,
    strides: list[int],
    padding: list[int],
    dilation: list[int],
    product_shift: int,
    product_bits: int,
) -> te.Tensor:
    """`x` int16[N, H, W, CV, V+1] with `w` int16[K, R, S, CV, V+1] to accumulators int64[N, OH, OW, K]."""
    batch, height, width, vectors, lanes = x.shape
    top, left, bottom, right = padding
    channels, kernel_height, kernel_width = w.shape[:3]
    padded_height, padded_width = height + top + bottom, width + left + right
    out_height = (padded_height - dilation[0] * (kernel_height - 1) - 1) // strides[0] + 1
    out_width = (padded_width - dilation[1] * (kernel_width - 1) - 1) // strides[1] + 1

    def inside(n: Any, i: Any, j: Any, *vector: Any) -> Any:
        row, column = i - top, j - left
        present = tirx.all(row >= 0, row < height, column >= 0, column < width)
        return tirx.if_then_else(present, x(n, row, column, *vector), tirx.const(0, "int16"))

    padded = te.compute([batch, padded_height, padded_width, vectors, lanes], inside, name="padded")
    r = te.reduce_axis((0, kernel_height), name="r")
    s = te.reduce_axis((0, kernel_width), name="s")
    vector = te.reduce_axis((0, vectors), name="vector")
    lane = te.reduce_axis((0, lanes - 1), name="lane")

    def accumulate(n: Any, i: Any, j: Any, k: Any) -> Any:
        pixel = (n, i * strides[0] + r * dilation[0], j * strides[1] + s * dilation[1], vector)
        tap = (k, r, s, vector)
        product = scale_product_te(w(*tap, lanes - 1), padded(*pixel, lanes - 1), product_shift, product_bits)
        elements = w(*tap, lane).astype("int32") * padded(*pixel, lane).astype("int32")
        return te.sum(product * elements.astype("int64"), axis=[r, s, vector, lane])

    return te.compute([batch, out_height, out_width, channels], accumulate, name="accumulator")
