"""vsq.conv2d: integer convolution of vector tensors (docs/numerics.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.ops.conv2d.te import convolve_te
from tvm_vsq.relax_ops.checks import (
    OperatorError,
    argument_count,
    attribute,
    integers,
    read_attributes,
    static,
)
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.operands import check_epilogue_operands, check_vectors
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.conv2d"


def conv2d(
    x: Expr,
    w: Expr,
    params: Expr,
    residual: Expr | None = None,
    *,
    strides: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0, 0, 0),
    dilation: Sequence[int] = (1, 1),
    channels: int = 0,
    layer: str,
    **epilogue: Any,
) -> Call:
    """Convolve `x` int16[N, H, W, CV, V+1] with `w` int16[K, R, S, CV, V+1], all in integers.

    `params` int32[K, 4] holds (mult, shift, bias, clip) of each output channel; `residual`
    int16[N, OH, OW, ceil(K/V), V+1] is added before ReLU. `padding` is top, left, bottom, right; `epilogue`
    takes the fields of `Epilogue`. `channels` of x are real, the rest of its last vector is padding (0: there
    is none); it counts for reports only.
    The result is int16[N, OH, OW, ceil(K/V), V+1], or int32[N, OH, OW, K] with wide=1.
    Raises OperatorError naming the layer and the argument or attribute at fault.
    """
    where = f"layer '{layer}'"
    geometry = {
        "strides": integers(where, "strides", strides, 2, 1),
        "padding": integers(where, "padding", padding, 4, 0),
        "dilation": integers(where, "dilation", dilation, 2, 1),
    }
    arguments = [x, w, params] if residual is None else [x, w, params, residual]
    return Call(
        _OP, arguments, {**geometry, "channels": channels, **Epilogue.build(layer, epilogue).attributes()}
    )


def _geometry(call: Call) -> tuple[list[int], list[int], list[int]]:
    attributes = read_attributes(call)
    strides = integers(_NAME, "strides", attribute(_NAME, attributes, "strides"), 2, 1)
    padding = integers(_NAME, "padding", attribute(_NAME, attributes, "padding"), 4, 0)
    dilation = integers(_NAME, "dilation", attribute(_NAME, attributes, "dilation"), 2, 1)
    return strides, padding, dilation


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3, 4))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    strides, padding, dilation = _geometry(call)
    x, w, size = check_vectors(where, call, "[N, H, W, CV, V+1]", 5, 5, "[K, R, S, CV, V+1]", 5)
    pixels = [x[0]]
    for axis, name in ((0, "height"), (1, "width")):
        reach = dilation[axis] * (static(where, f"w's axis {axis + 1}", w[axis + 1]) - 1) + 1
        extent = static(where, f"x's {name}", x[axis + 1]) + padding[axis] + padding[axis + 2]
        if reach > extent:
            raise OperatorError(
                f"{where}: the dilated kernel's {name} {reach} exceeds the padded input's {extent}"
            )
        pixels.append((extent - reach) // strides[axis] + 1)
    return check_epilogue_operands(
        where, call, epilogue, pixels, static(where, "w's output channels", w[0]), size
    )


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    strides, padding, dilation = _geometry(call)

    def compute(x: Any, w: Any, params: Any, residual: Any = None) -> Any:
        accumulator = convolve_te(
            x, w, strides, padding, dilation, epilogue.product_shift, epilogue.product_bits
        )
        return epilogue_te(accumulator, params, residual, epilogue, int(x.shape[-1]) - 1)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_conv2d")


_OP = register_op(
    _NAME, "Integer 2-D convolution of vector tensors with post-processing.", _infer_type, _legalize
)


def _from_source(call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    strides, padding, dilation = (
        [int(extent) for extent in getattr(call.attrs, name)] for name in ("strides", "padding", "dilation")
    )
    return conv2d(*operands, strides=strides, padding=padding, dilation=dilation, **attributes)


RELAX = LayerOperator(has_weights=True, from_source=_from_source)
