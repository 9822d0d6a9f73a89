"""vsq.row_sum: a sum of two tensors of int32 (docs/numerics.md, sections 5 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.relax_ops.checks import (
    OperatorError,
    argument_count,
    read_attributes,
    spell,
    static,
    tensor_shape,
)
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.relax_ops.row_operands import check_row_operands, vector_size
from tvm_vsq.relax_ops.rows_te import sum_te
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.row_sum"


def row_sum(x: Expr, params: Expr, other: Expr, *, layer: str, vector_size: int, **epilogue: Any) -> Call:
    """`x` int32[..., K] plus `other`, of the same shape or with 1 in place of axes where it is repeated.

    `params`, `epilogue` and the result as in `layer_norm`. Raises OperatorError naming the layer and the
    argument or attribute at fault.
    """
    own = {"vector_size": vector_size}
    return Call(_OP, [x, params, other], {**own, **Epilogue.build(layer, epilogue).attributes()})


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3,))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    x = check_row_operands(where, call, params=1)
    other = tensor_shape(where, "other", call.args[2], "int32", spell(x), len(x), len(x))
    ours, theirs = ([static(where, "an extent", extent) for extent in shape] for shape in (x, other))
    if ours[-1] != theirs[-1] or any(b not in (1, a) for a, b in zip(ours, theirs, strict=True)):
        raise OperatorError(
            f"{where}: other must have the shape of x, {spell(x)}, or 1 in place of extents before the last, "
            f"got {spell(other)}"
        )
    if epilogue.wide:
        return relax.TensorType(x, "int32")
    size = vector_size(where, call)
    return relax.TensorType([*x[:-1], -(-ours[-1] // size), size + 1], "int16")


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue, size = Epilogue.read(_NAME, read_attributes(call)), vector_size(_NAME, call)

    def compute(x: Any, params: Any, other: Any) -> Any:
        return epilogue_te(sum_te(x, other), params, None, epilogue, size)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_row_sum")


_OP = register_op(_NAME, "A sum of rows of integers, with post-processing.", _infer_type, _legalize)


def _from_source(_call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    return row_sum(*operands, **attributes)


RELAX = LayerOperator(has_weights=False, from_source=_from_source, on_rows=True)
