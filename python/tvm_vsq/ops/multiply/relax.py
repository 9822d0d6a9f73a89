"""vsq.multiply: the product of two vector tensors (docs/numerics.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.ops.multiply.te import multiply_te
from tvm_vsq.relax_ops.checks import (
    OperatorError,
    argument_count,
    attribute,
    integer,
    read_attributes,
    spell,
    static,
    tensor_shape,
)
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.operands import check_epilogue_operands, check_input
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.multiply"
_RANGES = {"channels": (1, 1 << 24), "rounding": (0, 62), "other_signed": (0, 1)}


def multiply(
    x: Expr,
    other: Expr,
    params: Expr,
    residual: Expr | None = None,
    *,
    channels: int,
    layer: str,
    rounding: int = 0,
    other_signed: int = 1,
    **epilogue: Any,
) -> Call:
    """`x` int16[..., CV, V+1] times `other`, whose axes before the last two are those of x or 1, in integers.

    A product of element * scale of both loses `rounding` bits, rounded half up. `params` int32[channels, 4]
    holds (mult, shift, bias, clip) of each channel; `residual`, of the shape of x, is added before ReLU.
    other_signed: as act_signed of `Epilogue`, whose fields `epilogue` takes. The result is
    int16[..., CV, V+1], or int32[..., channels] with wide=1.
    Raises OperatorError naming the layer and the argument or attribute at fault.
    """
    arguments = [x, other, params] if residual is None else [x, other, params, residual]
    own = {"channels": channels, "rounding": rounding, "other_signed": other_signed}
    return Call(_OP, arguments, {**own, **Epilogue.build(layer, epilogue).attributes()})


def _number(call: Call, where: str, name: str) -> int:
    return integer(where, name, attribute(_NAME, read_attributes(call), name), *_RANGES[name])


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3, 4))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    for name in _RANGES:
        _number(call, where, name)
    x, size = check_input(where, call, "[..., CV, V+1]", 2, 8)
    other = tensor_shape(where, "other", call.args[1], "int16", "[..., CV, V+1]", len(x), len(x))
    ours, theirs = ([static(where, "an extent", extent) for extent in shape] for shape in (x, other))
    fits = all(b in (a, 1) for a, b in zip(ours[:-2], theirs[:-2], strict=True))
    if not fits or ours[-2:] != theirs[-2:]:
        raise OperatorError(
            f"{where}: other must have the shape of x, {spell(x)}, or 1 instead of extents before the last "
            f"two, got {spell(other)}"
        )
    channels = _number(call, where, "channels")
    return check_epilogue_operands(where, call, epilogue, x[:-2], channels, size, has_weights=True)


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    channels, rounding = (_number(call, _NAME, name) for name in ("channels", "rounding"))

    def compute(x: Any, other: Any, params: Any, residual: Any = None) -> Any:
        accumulator = multiply_te(x, other, channels, rounding)
        return epilogue_te(accumulator, params, residual, epilogue, int(x.shape[-1]) - 1)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_multiply")


_OP = register_op(
    _NAME, "Integer product of two vector tensors with post-processing.", _infer_type, _legalize
)


def _from_source(_call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    return multiply(*operands, **attributes)


RELAX = LayerOperator(has_weights=False, has_other=True, from_source=_from_source)
