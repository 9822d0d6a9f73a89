"""vsq.quantize: fp32 to a vector tensor (docs/numerics.md, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax, te, tirx

from tvm_vsq.formats import ELEMENT_BITS, QUANTIZED, SCALE_BITS, VECTOR_SIZES
from tvm_vsq.relax_ops.checks import (
    OperatorError,
    argument_count,
    attribute,
    integer,
    read_attributes,
    scale_count,
    static,
    static_scales,
    tensor_shape,
)
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.relax_ops.requantize_te import requantize_te
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.quantize"
_RANGES = {"bits": ELEMENT_BITS, "scale_bits": (0, SCALE_BITS[1]), "signed": (0, 1), "guard_bits": (0, 8)}
_LIMIT = float(1 << 30)  # keeps y inside int32 whatever x is; exact in float32


def quantize(
    x: Expr,
    *,
    bits: int,
    scale_bits: int,
    vector_size: int,
    signed: int,
    guard_bits: int,
    inv: float,
    scales: Sequence[int] = (),
) -> Call:
    """Quantize `x` f32[..., C] to vectors of V=`vector_size` channels each: int16[..., ceil(C/V), V+1].

    `scale_bits` is 0 for no vector scale, `signed` is 0 or 1. `inv` = 2^guard_bits / gamma in float32
    (`numerics.inverse_step`) is passed rather than gamma, so that no two places can round it differently.
    `scales`: static vector scales, one for each vector of the channels; empty if each follows from its data.
    Raises OperatorError naming the attribute or the argument at fault.
    """
    attributes = {
        "bits": bits,
        "scale_bits": scale_bits,
        "vector_size": vector_size,
        "signed": signed,
        "guard_bits": guard_bits,
        "inv": inv,
        "scales": list(scales),
    }
    return Call(_OP, [x], _checked(attributes))


def _checked(attributes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: integer(_NAME, name, attribute(_NAME, attributes, name), low, high)
        for name, (low, high) in _RANGES.items()
    }
    size = attribute(_NAME, attributes, "vector_size")
    if size not in VECTOR_SIZES:
        raise OperatorError(f"{_NAME}: vector_size={size} is not one of {VECTOR_SIZES}")
    inv = float(attribute(_NAME, attributes, "inv"))
    if not 0.0 < inv < 2.0**128:
        raise OperatorError(
            f"{_NAME}: inv={inv} must be positive and finite; it is float32(2^guard_bits / gamma)"
        )
    scales = static_scales(_NAME, "scales", attributes.get("scales", ()), values["scale_bits"])
    return {**values, "vector_size": int(size), "inv": inv, "scales": scales}


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (1,))
    values = _checked(read_attributes(call))
    size = values["vector_size"]
    shape = tensor_shape(_NAME, "x", call.args[0], "float32", "[..., C]", 1, 8)
    channels = static(_NAME, "x's last axis", shape[-1])
    scale_count(_NAME, "scales", values["scales"], -(-channels // size))
    return relax.TensorType([*shape[:-1], -(-channels // size), size + 1], "int16")


def _quantize_te(x: te.Tensor, values: dict[str, Any]) -> te.Tensor:
    inv = tirx.const(values["inv"], "float32")
    limit = tirx.const(_LIMIT, "float32")

    def step(*at: Any) -> Any:
        scaled = te.max(te.min(x(*at) * inv, limit), -limit)
        return tirx.Select(tirx.isnan(x(*at)), tirx.const(0, "int32"), te.nearbyint(scaled).astype("int32"))

    y = te.compute(x.shape, step, name="steps")
    return requantize_te(y, QUANTIZED.read(values), values["guard_bits"], values["scales"])


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    values = _checked(read_attributes(call))
    return builder.call_te(lambda x: _quantize_te(x, values), call.args[0], primfunc_name_hint="vsq_quantize")


_OP = register_op(
    _NAME, "Quantize fp32 to vectors of integers with an integer scale each.", _infer_type, _legalize
)
