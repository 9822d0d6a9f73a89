"""vsq.dense: integer matrix product of vector tensors (docs/numerics.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.ops.dense.te import multiply_te
from tvm_vsq.relax_ops.checks import argument_count, read_attributes, static
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.operands import check_epilogue_operands, check_vectors
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.dense"


def dense(
    x: Expr,
    w: Expr,
    params: Expr,
    residual: Expr | None = None,
    *,
    channels: int = 0,
    layer: str,
    **epilogue: Any,
) -> Call:
    """Multiply `x` int16[..., CV, V+1] by `w` int16[K, CV, V+1] transposed, all in integers.

    `params` int32[K, 4] holds (mult, shift, bias, clip) of each output channel; `residual`
    int16[..., ceil(K/V), V+1] is added before ReLU; `epilogue` takes the fields of `Epilogue`;
    `channels` as for vsq.conv2d. The result is
    int16[..., ceil(K/V), V+1], or int32[..., K] with wide=1. Raises OperatorError naming the layer and the
    argument or attribute at fault.
    """
    arguments = [x, w, params] if residual is None else [x, w, params, residual]
    return Call(_OP, arguments, {"channels": channels, **Epilogue.build(layer, epilogue).attributes()})


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3, 4))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    x, w, size = check_vectors(where, call, "[..., CV, V+1]", 2, 8, "[K, CV, V+1]", 3)
    return check_epilogue_operands(
        where, call, epilogue, x[:-2], static(where, "w's output channels", w[0]), size
    )


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue = Epilogue.read(_NAME, read_attributes(call))

    def compute(x: Any, w: Any, params: Any, residual: Any = None) -> Any:
        accumulator = multiply_te(x, w, epilogue.product_shift, epilogue.product_bits)
        return epilogue_te(accumulator, params, residual, epilogue, int(x.shape[-1]) - 1)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_dense")


_OP = register_op(
    _NAME, "Integer matrix product of vector tensors with post-processing.", _infer_type, _legalize
)


def _from_source(_call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    return dense(*operands, **attributes)


RELAX = LayerOperator(has_weights=True, from_source=_from_source, is_flat=True)
