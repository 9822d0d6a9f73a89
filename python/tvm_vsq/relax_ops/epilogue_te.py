"""Post-processing in TE: scale, bias, residual, activation, requantization (docs/numerics.md, section 5)."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from tvm_vsq.formats.table import TABLE_INPUT_BITS
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.requantize_te import requantize_te


def _int64(value: int) -> Any:
    return tirx.const(value, "int64")


def _round_shift(value: Any, shift: Any) -> Any:
    """value / 2^shift rounded half up. Half of 2^shift is added first: doubling value could leave int64."""
    half = (_int64(1) << shift) >> _int64(1)
    return (value + half) >> shift


def epilogue_te(
    accumulator: te.Tensor,
    params: te.Tensor,
    extra: te.Tensor | None,
    epilogue: Epilogue,
    vector_size: int,
) -> te.Tensor:
    """`accumulator` int64[..., K] to int32[..., K] (wide) or to vectors int16[..., ceil(K/V), V+1].

    extra: a residual, int16 vectors, or a table int32[segments, 2].
    """
    table = extra if extra is not None and str(extra.dtype) == "int32" else None
    residual = extra if table is None else None

    def process(*at: Any) -> Any:
        *row, k = at
        mult, shift, bias, clip = (params(k, field).astype("int64") for field in range(4))
        total = _round_shift(accumulator(*at) * mult, shift) + bias
        if residual is not None:
            vector = (*row, k // vector_size)
            value = residual(*vector, k % vector_size).astype("int64") * residual(
                *vector, vector_size
            ).astype("int64")
            total = total + _round_shift(value * _int64(epilogue.res_mult), _int64(epilogue.res_shift))
        total = te.max(te.min(total, _int64(2**31 - 1)), _int64(-(2**31)))
        if epilogue.relu:
            total = te.max(total, _int64(0))
        return te.min(total, clip).astype("int32")

    y = te.compute(accumulator.shape, process, name="processed")
    if table is not None:
        y = _looked_up(y, table, epilogue)
    processed = y
    if epilogue.transposed:
        *stack, rows, channels = y.shape
        y = te.compute(
            [*stack, channels, rows], lambda *at: processed(*at[:-2], at[-1], at[-2]), name="transposed"
        )
    if epilogue.wide:
        return y
    return requantize_te(y, epilogue.output(vector_size), epilogue.guard_bits, epilogue.out_scales)


def _looked_up(y: te.Tensor, table: te.Tensor, epilogue: Epilogue) -> te.Tensor:
    """The values of a table int32[segments, 2] (value, slope) for arguments y int32, in the result's unit."""
    low, high = -(1 << (TABLE_INPUT_BITS - 1)), (1 << (TABLE_INPUT_BITS - 1)) - 1
    segment_bits = TABLE_INPUT_BITS - (int(table.shape[0]) - 1).bit_length()

    def value(*at: Any) -> Any:
        argument = te.max(te.min(y(*at), tirx.const(high, "int32")), tirx.const(low, "int32"))
        place = argument - tirx.const(low, "int32")
        segment = place >> tirx.const(segment_bits, "int32")
        inside = (place & tirx.const((1 << segment_bits) - 1, "int32")).astype("int64")
        rise = _round_shift(table(segment, 1).astype("int64") * inside, _int64(segment_bits))
        return table(segment, 0).astype("int64") + rise

    values = te.compute(y.shape, value, name="value")

    def scaled(*at: Any) -> Any:
        total = _round_shift(values(*at) * _int64(epilogue.tab_mult), _int64(epilogue.tab_shift))
        return te.max(te.min(total, _int64(2**31 - 1)), _int64(-(2**31))).astype("int32")

    return te.compute(y.shape, scaled, name="scaled")
