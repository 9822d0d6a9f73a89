"""Type checks that layers on vectors share."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.formats.table import TABLE_SEGMENTS
from tvm_vsq.graph import dtype_of
from tvm_vsq.relax_ops.checks import (
    OperatorError,
    integer,
    read_attributes,
    scale_count,
    spell,
    static,
    tensor_shape,
    vector_axes,
)
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.tvm_compat import Analyzer, Call


def check_vectors(
    where: str, call: Call, x_form: str, x_low: int, x_high: int, w_form: str, w_rank: int
) -> tuple[list[Any], list[Any], int]:
    """Dimensions of x and w, and V; their vectors must agree in number and size, and hold the channels."""
    x, size = check_input(where, call, x_form, x_low, x_high)
    w = tensor_shape(where, "w", call.args[1], "int16", w_form, w_rank, w_rank)
    x_axes, w_axes = vector_axes(where, "x", x), vector_axes(where, "w", w)
    if x_axes != w_axes:
        raise OperatorError(
            f"{where}: x has {x_axes[0]} vectors of {x_axes[1]}, w has {w_axes[0]} vectors of {w_axes[1]}; "
            "quantize both with the same vector size and input channels"
        )
    return x, w, size


def check_input(where: str, call: Call, form: str, low: int, high: int) -> tuple[list[Any], int]:
    """Dimensions of x and V; its vectors must hold the channels."""
    x = tensor_shape(where, "x", call.args[0], "int16", form, low, high)
    vectors, size = vector_axes(where, "x", x)
    channels = integer(where, "channels", read_attributes(call).get("channels", 0), 0, 1 << 24)
    if channels and not (vectors - 1) * size < channels <= vectors * size:
        raise OperatorError(f"{where}: channels={channels} do not fill {vectors} vectors of {size}")
    return x, size


def check_epilogue_operands(
    where: str,
    call: Call,
    epilogue: Epilogue,
    rows: list[Any],
    channels: int,
    vector_size: int,
    has_weights: bool = True,
) -> relax.TensorType:
    """Check params and the residual or table for the result [*rows, channels]; return its type."""
    operands = call.args[1 + has_weights :]
    params = tensor_shape(where, "params", operands[0], "int32", "[K, 4]", 2, 2)
    found = [static(where, "params' shape", size) for size in params]
    if found != [channels, 4]:
        raise OperatorError(
            f"{where}: params must be int32[{channels}, 4] (mult, shift, bias, clip), got {found}"
        )
    vectors = [*rows, -(-channels // vector_size), vector_size + 1]
    if len(operands) == 2 and dtype_of(operands[1]) == "int32":
        table = [
            static(where, "the table's shape", size)
            for size in tensor_shape(where, "table", operands[1], "int32", "[segments, 2]", 2, 2)
        ]
        if table != [TABLE_SEGMENTS, 2]:
            raise OperatorError(f"{where}: a table must be int32[{TABLE_SEGMENTS}, 2], got {table}")
    elif len(operands) == 2:
        residual = tensor_shape(
            where, "residual", operands[1], "int16", spell(vectors), len(vectors), len(vectors)
        )
        analyzer = Analyzer()
        if not all(analyzer.can_prove_equal(a, b) for a, b in zip(residual, vectors, strict=True)):
            raise OperatorError(
                f"{where}: the residual must have the result's shape {spell(vectors)}, got {spell(residual)}"
            )
    if epilogue.transposed:
        if len(rows) < 2:
            raise OperatorError(
                f"{where}: transposed=1 needs a result [..., M, K], got {spell([*rows, channels])}"
            )
        rows, channels = [*rows[:-1], channels], static(where, "the number of rows", rows[-1])
        vectors = [*rows, -(-channels // vector_size), vector_size + 1]
    if epilogue.wide:
        return relax.TensorType([*rows, channels], "int32")
    scale_count(where, "out_scales", epilogue.out_scales, vectors[-2])
    return relax.TensorType(vectors, "int16")
