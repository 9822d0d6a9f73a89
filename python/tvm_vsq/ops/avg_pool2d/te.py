"""Average pooling of vectors in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from math import lcm
from typing import Any

from tvm import te, tirx


def avg_pool_te(
    x: te.Tensor,
    *,
    pool_size: list[int],
    strides: list[int],
    padding: list[int],
    dilation: list[int],
    counted: list[int],
    channels: int,
) -> te.Tensor:
    """`x` int16[N, H, W, CV, V+1] to accumulators int64[N, OH, OW, channels]: sums times coefficients."""
    batch, height, width, _, lanes = x.shape
    size, extents = lanes - 1, (int(height), int(width))
    out = [
        (extents[axis] + padding[axis] + padding[axis + 2] - dilation[axis] * (pool_size[axis] - 1) - 1)
        // strides[axis]
        + 1
        for axis in (0, 1)
    ]
    r = te.reduce_axis((0, pool_size[0]), name="r")
    s = te.reduce_axis((0, pool_size[1]), name="s")

    def place(result: Any, tap: Any, axis: int) -> Any:
        return result * strides[axis] + tap * dilation[axis] - padding[axis]

    def total(n: Any, i: Any, j: Any, k: Any) -> Any:
        row, column = place(i, r, 0), place(j, s, 1)
        present = tirx.all(row >= 0, row < height, column >= 0, column < width)
        vector = (n, row, column, k // size)
        value = x(*vector, k % size).astype("int64") * x(*vector, size).astype("int64")
        return te.sum(tirx.if_then_else(present, value, tirx.const(0, "int64")), axis=[r, s])

    def counts(axis: int) -> te.Tensor:
        tap = te.reduce_axis((0, pool_size[axis]), name="tap")

        def count(result: Any) -> Any:
            at = place(result, tap, axis)
            is_counted = tirx.all(at >= -counted[axis], at < extents[axis] + counted[axis + 2])
            return te.sum(is_counted.astype("int64"), axis=tap)

        return te.compute([out[axis]], count, name="count")

    sums = te.compute([batch, *out, channels], total, name="sum")
    rows, columns = counts(0), counts(1)
    numbers = [
        [
            sum(
                -counted[axis] <= place(result, tap, axis) < extents[axis] + counted[axis + 2]
                for tap in range(pool_size[axis])
            )
            for result in range(out[axis])
        ]
        for axis in (0, 1)
    ]
    divisor = tirx.const(lcm(*(row * column for row in numbers[0] for column in numbers[1])), "int64")
    return te.compute(
        [batch, *out, channels],
        lambda n, i, j, k: sums[n, i, j, k] * tirx.floordiv(divisor, rows[i] * columns[j]),
        name="accumulator",
    )
