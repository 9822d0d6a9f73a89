"""vsq.dequantize: a vector tensor back to fp32 (docs/numerics.md, section 3)."""

from __future__ import annotations

from typing import Any

from tvm import relax, te

from tvm_vsq.relax_ops.checks import (
    OperatorError,
    argument_count,
    attribute,
    integer,
    read_attributes,
    static,
    tensor_shape,
    vector_axes,
)
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.dequantize"


def dequantize(v: Expr, gamma: Expr, *, channels: int) -> Call:
    """Undo `quantize`: `v` int16[..., CV, V+1] to f32[..., channels], float32(q*s) * gamma.

    `gamma` is f32[] (an activation tensor) or f32[K] along `v`'s first axis (weights). `channels` drops the
    padding, so it is at most CV*V and more than (CV-1)*V. Raises OperatorError otherwise.
    """
    return Call(_OP, [v, gamma], {"channels": integer(_NAME, "channels", channels, 1, 1 << 24)})


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (2,))
    channels = integer(_NAME, "channels", attribute(_NAME, read_attributes(call), "channels"), 1, 1 << 24)
    shape = tensor_shape(_NAME, "v", call.args[0], "int16", "[..., CV, V+1]", 2, 8)
    vectors, size = vector_axes(_NAME, "v", shape)
    if not (vectors - 1) * size < channels <= vectors * size:
        raise OperatorError(
            f"{_NAME}: channels={channels} needs {-(-channels // size)} vectors of {size}, v has {vectors}"
        )
    gamma = tensor_shape(_NAME, "gamma", call.args[1], "float32", "[] or [K]", 0, 1)
    if gamma:
        per_row = static(_NAME, "gamma's length", gamma[0])
        if len(shape) < 3 or static(_NAME, "v's first axis", shape[0]) != per_row:
            raise OperatorError(
                f"{_NAME}: gamma[{per_row}] belongs to v's first axis, but v is {call.args[0].ty}; "
                "use a scalar gamma for activations"
            )
    return relax.TensorType([*shape[:-2], channels], "float32")


def _dequantize_te(v: te.Tensor, gamma: te.Tensor, channels: int) -> te.Tensor:
    size = int(v.shape[-1]) - 1

    def value(*at: Any) -> Any:
        *row, channel = at
        vector = (*row, channel // size)
        element = v(*vector, channel % size).astype("int32")
        scale = v(*vector, size).astype("int32")
        return (element * scale).astype("float32") * (gamma(row[0]) if len(gamma.shape) else gamma())

    return te.compute([*v.shape[:-2], channels], value, name="dequantized")


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    channels = int(call.attrs["channels"])
    return builder.call_te(
        lambda v, gamma: _dequantize_te(v, gamma, channels), *call.args, primfunc_name_hint="vsq_dequantize"
    )


_OP = register_op(_NAME, "Vectors of integers with their scales back to fp32.", _infer_type, _legalize)
