"""vsq.matmul: integer product of two stacks of matrices of vectors (docs/numerics.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.ops.matmul.te import multiply_te
from tvm_vsq.relax_ops.checks import (
    OperatorError,
    argument_count,
    read_attributes,
    spell,
    static,
    tensor_shape,
    vector_axes,
)
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.operands import check_epilogue_operands, check_input
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.matmul"


def matmul(
    x: Expr,
    other: Expr,
    params: Expr,
    residual: Expr | None = None,
    *,
    channels: int = 0,
    layer: str,
    **epilogue: Any,
) -> Call:
    """Multiply matrices `x` int16[..., M, CV, V+1] by `other` int16[..., N, CV, V+1] transposed, all in
    integers.

    Axes before are the same for both, but for the last of several, which `other` may have one of for all of
    x. The elements of `other` are signed. `params` int32[N, 4] holds (mult,
    shift, bias, clip) of each column; `residual` int16[..., M, ceil(N/V), V+1] is added before ReLU;
    `epilogue` takes the fields of `Epilogue`; `channels` as for vsq.dense. The result is int16[..., M,
    ceil(N/V), V+1], or int32[..., M, N] with wide=1. Raises OperatorError naming the layer and the argument
    or attribute at fault.
    """
    arguments = [x, other, params] if residual is None else [x, other, params, residual]
    return Call(_OP, arguments, {"channels": channels, **Epilogue.build(layer, epilogue).attributes()})


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3, 4))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    x, size = check_input(where, call, "[..., M, CV, V+1]", 3, 8)
    other = tensor_shape(where, "other", call.args[1], "int16", "[..., N, CV, V+1]", len(x), len(x))
    if vector_axes(where, "x", x) != vector_axes(where, "other", other):
        raise OperatorError(
            f"{where}: x {spell(x)} and other {spell(other)} differ in vectors; "
            f"quantize both with the same vector size"
        )
    ours, theirs = ([static(where, "an extent", extent) for extent in shape[:-3]] for shape in (x, other))
    if ours != theirs and (len(ours) < 2 or [*ours[:-1], 1] != theirs):
        raise OperatorError(f"{where}: x {spell(x)} and other {spell(other)} are stacks of other extents")
    columns = static(where, "other's rows", other[-3])
    return check_epilogue_operands(where, call, epilogue, x[:-2], columns, size)


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue = Epilogue.read(_NAME, read_attributes(call))

    def compute(x: Any, other: Any, params: Any, residual: Any = None) -> Any:
        accumulator = multiply_te(x, other, epilogue.product_shift, epilogue.product_bits)
        return epilogue_te(accumulator, params, residual, epilogue, int(x.shape[-1]) - 1)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_matmul")


_OP = register_op(
    _NAME, "Integer product of two stacks of matrices with post-processing.", _infer_type, _legalize
)


def _from_source(_call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    return matmul(*operands, **attributes)


RELAX = LayerOperator(has_weights=False, has_other=True, from_source=_from_source)
