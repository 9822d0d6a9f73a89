"""Type checks that layers on whole rows share: vsq.layer_norm, vsq.softmax, vsq.rotary."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.formats import VECTOR_SIZES
from tvm_vsq.formats.rows import MOST_LANES
from tvm_vsq.formats.table import TABLE_SEGMENTS
from tvm_vsq.relax_ops.checks import (
    OperatorError,
    integer,
    read_attributes,
    scale_count,
    spell,
    static,
    tensor_shape,
)
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.tvm_compat import Call


def check_rows(where: str, call: Call, epilogue: Epilogue, tables: list[int]) -> relax.TensorType:
    """Check (x, tables, params[, other]) and return the type of the result.

    x int32[..., K], `tables` the leading extents of int32[..., segments, 2], params int32[K, 4], other int32
    with the axes of x or 1.
    """
    x = check_row_operands(where, call, params=2)
    channels = int(x[-1])
    _exactly(where, "tables", call.args[1], [*tables, TABLE_SEGMENTS, 2])
    if len(call.args) == 4:
        other = tensor_shape(where, "other", call.args[3], "int32", spell(x), len(x), len(x))
        pairs = zip(x, other, strict=True)
        fits = all(
            static(where, "an extent", theirs) in (1, static(where, "an extent", ours))
            for ours, theirs in pairs
        )
        if not fits or int(other[-1]) != channels:
            raise OperatorError(
                f"{where}: other must have the shape of x, {spell(x)}, or 1 in place of "
                f"extents before the last, got {spell(other)}"
            )
    if epilogue.wide:
        return relax.TensorType(x, "int32")
    size = vector_size(where, call)
    vectors = -(-channels // size)
    scale_count(where, "out_scales", epilogue.out_scales, vectors)
    return relax.TensorType([*x[:-1], vectors, size + 1], "int16")


def check_row_operands(where: str, call: Call, params: int) -> list[Any]:
    """Dimensions of x int32[..., K], operand 0, with which operand `params` int32[K, 4] has to agree."""
    x = tensor_shape(where, "x", call.args[0], "int32", "[..., K]", 1, 8)
    channels = static(where, "x's last axis", x[-1])
    if channels > MOST_LANES:
        raise OperatorError(f"{where}: rows of {channels} numbers are longer than {MOST_LANES}")
    _exactly(where, "params", call.args[params], [channels, 4])
    return x


def vector_size(where: str, call: Call) -> int:
    """Of the result, which no operand tells."""
    size = integer(where, "vector_size", read_attributes(call).get("vector_size", 0), 0, 64)
    if size not in VECTOR_SIZES:
        raise OperatorError(f"{where}: vector_size={size} is not one of {VECTOR_SIZES}")
    return size


def _exactly(where: str, name: str, operand: Any, shape: list[int]) -> None:
    found = tensor_shape(where, name, operand, "int32", spell(shape), len(shape), len(shape))
    if [static(where, f"{name}' shape", extent) for extent in found] != shape:
        raise OperatorError(f"{where}: {name} must be int32{spell(shape)}, got {spell(found)}")
