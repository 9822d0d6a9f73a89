"""The integer matrix product in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from typing import Any

from tvm import te

from tvm_vsq.relax_ops.scale_product_te import scale_product_te


def multiply_te(x: te.Tensor, w: te.Tensor, product_shift: int, product_bits: int) -> te.Tensor:
    """`x` int16[..., CV, V+1] with `w` int16[K, CV, V+1] to accumulators int64[..., K]."""
    channels, vectors, lanes = w.shape
    vector = te.reduce_axis((0, vectors), name="vector")
    lane = te.reduce_axis((0, lanes - 1), name="lane")

    def accumulate(*at: Any) -> Any:
        *row, k = at
        product = scale_product_te(
            w(k, vector, lanes - 1), x(*row, vector, lanes - 1), product_shift, product_bits
        )
        elements = w(k, vector, lane).astype("int32") * x(*row, vector, lane).astype("int32")
        return te.sum(product * elements.astype("int64"), axis=[vector, lane])

    return te.compute([*x.shape[:-2], channels], accumulate, name="accumulator")
