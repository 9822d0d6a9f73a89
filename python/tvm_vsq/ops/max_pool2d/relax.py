"""vsq.max_pool2d: maximum pooling of a vector tensor (docs/numerics.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.network.pools import pool_window
from tvm_vsq.ops.max_pool2d.te import max_pool_te
from tvm_vsq.relax_ops.checks import argument_count, attribute, integer, read_attributes
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.operands import check_epilogue_operands, check_input
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.relax_ops.windows import window_geometry, window_pixels
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.max_pool2d"


def max_pool2d(
    x: Expr,
    params: Expr,
    residual: Expr | None = None,
    *,
    pool_size: Sequence[int],
    strides: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0, 0, 0),
    dilation: Sequence[int] = (1, 1),
    channels: int,
    layer: str,
    **epilogue: Any,
) -> Call:
    """The largest element * scale of each channel of `x` int16[N, H, W, CV, V+1] in each window, in integers.

    `params` int32[channels, 4] holds (mult, shift, bias, clip) of each channel; `residual`
    int16[N, OH, OW, CV, V+1] is added before ReLU. `padding` is top, left, bottom, right, and never the
    largest; `epilogue` takes the fields of `Epilogue`. The result is int16[N, OH, OW, CV, V+1], or
    int32[N, OH, OW, channels] with wide=1.
    Raises OperatorError naming the layer and the argument or attribute at fault.
    """
    given = {"pool_size": pool_size, "strides": strides, "padding": padding, "dilation": dilation}
    geometry = window_geometry(f"layer '{layer}'", given)
    arguments = [x, params] if residual is None else [x, params, residual]
    attributes = Epilogue.build(layer, epilogue).attributes()
    return Call(_OP, arguments, {**geometry, "channels": channels, **attributes})


def _channels(call: Call, where: str) -> int:
    return integer(where, "channels", attribute(_NAME, read_attributes(call), "channels"), 1, 1 << 24)


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (2, 3))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    geometry = window_geometry(_NAME, read_attributes(call))
    x, size = check_input(where, call, "[N, H, W, CV, V+1]", 5, 5)
    pixels = window_pixels(where, x, geometry)
    channels = _channels(call, where)
    return check_epilogue_operands(where, call, epilogue, pixels, channels, size, has_weights=False)


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    attributes = read_attributes(call)
    epilogue, geometry = Epilogue.read(_NAME, attributes), window_geometry(_NAME, attributes)
    channels = _channels(call, _NAME)

    def compute(x: Any, params: Any, residual: Any = None) -> Any:
        accumulator = max_pool_te(x, **geometry, channels=channels)
        return epilogue_te(accumulator, params, residual, epilogue, int(x.shape[-1]) - 1)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_max_pool2d")


_OP = register_op(
    _NAME, "Integer 2-D maximum pooling of vector tensors with post-processing.", _infer_type, _legalize
)


def _from_source(call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    found = pool_window(call)
    return max_pool2d(
        *operands,
        pool_size=found.kernel,
        strides=found.strides,
        padding=found.padding,
        dilation=found.dilation,
        **attributes,
    )


RELAX = LayerOperator(has_weights=False, from_source=_from_source)
