"""vsq.softmax: rows of int32 as probabilities (docs/numerics.md, sections 5 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.relax_ops.checks import argument_count, attribute, integer, read_attributes
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.relax_ops.row_operands import check_rows, vector_size
from tvm_vsq.relax_ops.rows_te import probabilities_te, sum_te
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.softmax"
_RANGES = {"argument_shift": (0, 15), "exponent": (16, 62)}


def softmax(
    x: Expr,
    tables: Expr,
    params: Expr,
    other: Expr | None = None,
    *,
    argument_shift: int,
    exponent: int,
    layer: str,
    vector_size: int,
    **epilogue: Any,
) -> Call:
    """Rows of `x` int32[..., K], to which a mask `other` (with 1 where it is repeated) is added first, as
    probabilities.

    `tables` int32[2, 128, 2] are of exp, whose argument is x - max shifted by `argument_shift` bits, and of
    1 / x, with `exponent` the shift of a factor whose sum is in [2^16, 2^17); `params`, `epilogue` and the
    result as in `layer_norm`. Raises OperatorError naming the layer and the argument or attribute at fault.
    """
    arguments = [x, tables, params] if other is None else [x, tables, params, other]
    own = {"argument_shift": argument_shift, "exponent": exponent, "vector_size": vector_size}
    return Call(_OP, arguments, {**own, **Epilogue.build(layer, epilogue).attributes()})


def _numbers(call: Call, where: str) -> tuple[int, int]:
    attributes = read_attributes(call)
    shift, exponent = (
        integer(where, name, attribute(_NAME, attributes, name), *_RANGES[name]) for name in _RANGES
    )
    return shift, exponent


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3, 4))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    _numbers(call, where)
    return check_rows(where, call, epilogue, [2])


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue, size = Epilogue.read(_NAME, read_attributes(call)), vector_size(_NAME, call)
    shift, exponent = _numbers(call, _NAME)

    def compute(x: Any, tables: Any, params: Any, other: Any = None) -> Any:
        accumulator = probabilities_te(sum_te(x, other), tables, shift, exponent, masked=other is not None)
        return epilogue_te(accumulator, params, None, epilogue, size)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_softmax")


_OP = register_op(_NAME, "Rows of integers as probabilities, with post-processing.", _infer_type, _legalize)


def _from_source(_call: Call, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    return softmax(*operands, **attributes)


RELAX = LayerOperator(has_weights=True, from_source=_from_source, on_rows=True)
