"""vsq.add: the sum of two vector tensors (docs/numerics.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.ops.add.te import unpack_te
from tvm_vsq.relax_ops.checks import argument_count, attribute, integer, read_attributes
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.operands import check_epilogue_operands, check_input
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.add"


def add(x: Expr, params: Expr, residual: Expr, *, channels: int, layer: str, **epilogue: Any) -> Call:
    """`x` int16[..., CV, V+1], scaled by `params`, plus `residual` of the same shape, in integers.

    `params` int32[channels, 4] holds (mult, shift, bias, clip) of each channel, which bring element * scale
    of x into the unit of the result, as res_mult and res_shift do it for the residual; `epilogue` takes the
    fields of `Epilogue`. The result is int16[..., CV, V+1], or int32[..., channels] with wide=1.
    Raises OperatorError naming the layer and the argument or attribute at fault.
    """
    attributes = Epilogue.build(layer, epilogue).attributes()
    return Call(_OP, [x, params, residual], {"channels": channels, **attributes})


def _channels(call: Call, where: str) -> int:
    return integer(where, "channels", attribute(_NAME, read_attributes(call), "channels"), 1, 1 << 24)


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3,))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    x, size = check_input(where, call, "[..., CV, V+1]", 2, 8)
    channels = _channels(call, where)
    return check_epilogue_operands(where, call, epilogue, x[:-2], channels, size, has_weights=False)


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue, channels = Epilogue.read(_NAME, read_attributes(call)), _channels(call, _NAME)

    def compute(x: Any, params: Any, residual: Any) -> Any:
        return epilogue_te(unpack_te(x, channels), params, residual, epilogue, int(x.shape[-1]) - 1)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_add")


_OP = register_op(_NAME, "Integer sum of two vector tensors with post-processing.", _infer_type, _legalize)


def _from_source(_call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    return add(*operands, **attributes)


RELAX = LayerOperator(has_weights=False, from_source=_from_source)
