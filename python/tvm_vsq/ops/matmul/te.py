"""Products of two stacks of matrices of vectors in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from typing import Any

from tvm import te

from tvm_vsq.relax_ops.scale_product_te import scale_product_te


def multiply_te(x: te.Tensor, w: te.Tensor, product_shift: int, product_bits: int) -> te.Tensor:
    """`x` int16[..., M, CV, V+1] with `w` int16[..., N, CV, V+1], which has 1 where it is repeated, to
    accumulators int64[..., M, N].
    """
    *stack, count, vectors, lanes = w.shape
    vector = te.reduce_axis((0, vectors), name="vector")
    lane = te.reduce_axis((0, lanes - 1), name="lane")

    def accumulate(*at: Any) -> Any:
        *matrix, row, column = at
        repeated = [0 if int(extent) == 1 else i for i, extent in zip(matrix, stack, strict=True)]
        left, right = (*matrix, row, vector), (*repeated, column, vector)
        product = scale_product_te(w(*right, lanes - 1), x(*left, lanes - 1), product_shift, product_bits)
        elements = w(*right, lane).astype("int32") * x(*left, lane).astype("int32")
        return te.sum(product * elements.astype("int64"), axis=[vector, lane])

    return te.compute([*x.shape[:-2], count], accumulate, name="accumulator")
