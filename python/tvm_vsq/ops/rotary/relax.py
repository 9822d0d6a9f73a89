"""vsq.rotary: pairs of numbers of rows of int32 turned (docs/numerics.md, sections 5 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.ops.rotary.te import rotate_te
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
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.rotary"


def rotary(x: Expr, params: Expr, factors: Expr, *, layer: str, vector_size: int, **epilogue: Any) -> Call:
    """Rows of `x` int32[..., heads * D], in which (a, b), the numbers i and i + D/2 of a head, become
    (a cos - b sin, b cos + a sin).

    `factors` int32[..., D], with 1 in place of axes where it is repeated: of 1 + cos of each pair, and behind
    them of 1 + sin, a mantissa of 16 bits each with the shift above it. `params`, `epilogue` and the result
    as in `layer_norm`. Raises OperatorError naming the layer and the argument or attribute at fault.
    """
    own = {"vector_size": vector_size}
    return Call(_OP, [x, params, factors], {**own, **Epilogue.build(layer, epilogue).attributes()})


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3,))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    x = check_row_operands(where, call, params=1)
    factors = tensor_shape(where, "factors", call.args[2], "int32", spell(x), len(x), len(x))
    ours, theirs = ([static(where, "an extent", extent) for extent in shape] for shape in (x, factors))
    fits = all(b in (1, a) for a, b in zip(ours[:-1], theirs[:-1], strict=True))
    if not fits or theirs[-1] % 2 or ours[-1] % theirs[-1]:
        raise OperatorError(
            f"{where}: factors must be int32[..., D] with an even D that divides the {ours[-1]} numbers of a "
            f"row, and the axes of x, {spell(x)}, or 1 before it, got {spell(factors)}"
        )
    if epilogue.wide:
        return relax.TensorType(x, "int32")
    size = vector_size(where, call)
    return relax.TensorType([*x[:-1], -(-ours[-1] // size), size + 1], "int16")


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue, size = Epilogue.read(_NAME, read_attributes(call)), vector_size(_NAME, call)

    def compute(x: Any, params: Any, factors: Any) -> Any:
        return epilogue_te(rotate_te(x, factors), params, None, epilogue, size)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_rotary")


_OP = register_op(_NAME, "Pairs of numbers of rows turned, with post-processing.", _infer_type, _legalize)


def _from_source(_call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    return rotary(*operands, **attributes)


RELAX = LayerOperator(has_weights=False, from_source=_from_source, on_rows=True)
