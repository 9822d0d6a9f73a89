"""vsq.depthwise_conv2d: integer depthwise convolution of vectors (docs/numerics.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.graph import static_shape
from tvm_vsq.ops.depthwise_conv2d.te import convolve_channels_te
from tvm_vsq.relax_ops.checks import (
    OperatorError,
    argument_count,
    attribute,
    integer,
    read_attributes,
    static,
    tensor_shape,
)
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.operands import check_epilogue_operands, check_input
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.relax_ops.windows import window_geometry, window_pixels
from tvm_vsq.tvm_compat import Call, Expr

_NAME = "vsq.depthwise_conv2d"


def depthwise_conv2d(
    x: Expr,
    w: Expr,
    params: Expr,
    residual: Expr | None = None,
    *,
    kernel: Sequence[int],
    strides: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0, 0, 0),
    dilation: Sequence[int] = (1, 1),
    channels: int,
    layer: str,
    **epilogue: Any,
) -> Call:
    """Convolve each channel of `x` int16[N, H, W, CV, V+1] with its own of `w` int16[channels, R, SV, V+1].

    A row of a filter holds the S taps of a row of `kernel` (R, S) in SV = ceil(S / V) vectors. `params`
    int32[channels, 4] holds (mult, shift, bias, clip) of each channel; `residual`
    int16[N, OH, OW, CV, V+1] is added before ReLU. `padding` is top, left, bottom, right; `epilogue` takes
    the fields of `Epilogue`, of which those for products of scales do not matter: inputs are scaled before
    they are multiplied. The result is int16[N, OH, OW, CV, V+1], or int32[N, OH, OW, channels] with wide=1.
    Raises OperatorError naming the layer and the argument or attribute at fault.
    """
    given = {"kernel": kernel, "strides": strides, "padding": padding, "dilation": dilation}
    geometry = window_geometry(f"layer '{layer}'", given, "kernel")
    arguments = [x, w, params] if residual is None else [x, w, params, residual]
    attributes = Epilogue.build(layer, epilogue).attributes()
    return Call(_OP, arguments, {**geometry, "channels": channels, **attributes})


def _geometry(call: Call) -> dict[str, list[int]]:
    return window_geometry(_NAME, read_attributes(call), "kernel")


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    argument_count(_NAME, call, (3, 4))
    epilogue = Epilogue.read(_NAME, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({_NAME})"
    geometry = _geometry(call)
    x, size = check_input(where, call, "[N, H, W, CV, V+1]", 5, 5)
    channels = integer(where, "channels", attribute(_NAME, read_attributes(call), "channels"), 1, 1 << 24)
    rows, columns = geometry["kernel"]
    w = tensor_shape(where, "w", call.args[1], "int16", "[K, R, SV, V+1]", 4, 4)
    found = [static(where, "w's shape", extent) for extent in w]
    wanted = [channels, rows, -(-columns // size), size + 1]
    if found != wanted:
        raise OperatorError(
            f"{where}: w must be int16{wanted}, {channels} filters of {rows} x {columns} taps with vectors "
            f"of {size} along their rows, got {found}"
        )
    pixels = window_pixels(where, x, geometry, "kernel", "kernel")
    return check_epilogue_operands(where, call, epilogue, pixels, channels, size)


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    epilogue, geometry = Epilogue.read(_NAME, read_attributes(call)), _geometry(call)

    def compute(x: Any, w: Any, params: Any, residual: Any = None) -> Any:
        accumulator = convolve_channels_te(x, w, **geometry)
        return epilogue_te(accumulator, params, residual, epilogue, int(x.shape[-1]) - 1)

    return builder.call_te(compute, *call.args, primfunc_name_hint="vsq_depthwise_conv2d")


_OP = register_op(
    _NAME, "Integer 2-D depthwise convolution of vector tensors with post-processing.", _infer_type, _legalize
)


def _from_source(call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    strides, padding, dilation = (
        [int(extent) for extent in getattr(call.attrs, name)] for name in ("strides", "padding", "dilation")
    )
    kernel = static_shape(call.args[1])[1:3]
    return depthwise_conv2d(
        *operands, kernel=kernel, strides=strides, padding=padding, dilation=dilation, **attributes
    )


RELAX = LayerOperator(has_weights=True, from_source=_from_source)
