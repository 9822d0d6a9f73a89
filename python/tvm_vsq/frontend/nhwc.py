"""Two-dimensional operators with the channels last."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.frontend.permutes import PermutingRebuilder
from tvm_vsq.graph import constant, constant_array, is_constant, op_name, replace_main
from tvm_vsq.tvm_compat import Call, IRModule, Var

TO_NCHW = [0, 3, 1, 2]
"""Axes with which permute_dims turns NHWC into NCHW."""

TO_NHWC = [0, 2, 3, 1]
"""The inverse."""


def convolutions_to_nhwc(module: IRModule) -> IRModule:
    """Every conv2d as NHWC with OHWI weights, between permute_dims that keep the layout around it; and every
    conv2d_transpose of constant weights, in which channels of one group are given first, as NHWC with IOHW.

    TVM's ConvertLayout also moves layout changes past other operators, but it reads out of bounds on
    operators that have nothing to do with convolutions (the squeeze of torch's attention among them), and
    stops at clip. `sink_permutes` does that part.
    """
    return replace_main(module, _ConvolutionsToNhwc(module["main"]).run())


class _ConvolutionsToNhwc(PermutingRebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        is_transposed = name == "relax.nn.conv2d_transpose"
        if name != "relax.nn.conv2d" and not (is_transposed and is_constant(value.args[1])):
            return value
        attrs = value.attrs
        data, kernel, out = (str(getattr(attrs, f"{name}_layout")) for name in ("data", "kernel", "out"))
        is_plain = all(sorted(layout) == ["C", "H", "N", "W"] for layout in (data, out))
        if not is_plain or sorted(kernel) != ["H", "I", "O", "W"]:
            return value  # packed layouts, such as NCHW4c, have further axes
        build, weights = relax.op.nn.conv2d, "OHWI"
        more: dict[str, list[int]] = {}
        if is_transposed:
            build, weights = relax.op.nn.conv2d_transpose, "IOHW"
            more["output_padding"] = [int(n) for n in attrs.output_padding]
        conv = build(
            self._in(value.args[0], data, "NHWC"),
            self._in(value.args[1], kernel, weights),
            strides=[int(n) for n in attrs.strides],
            padding=[int(n) for n in attrs.padding],
            dilation=[int(n) for n in attrs.dilation],
            groups=int(attrs.groups),
            data_layout="NHWC",
            kernel_layout=weights,
            out_layout="NHWC",
            out_dtype=attrs.out_dtype,
            **more,
        )
        return conv if out == "NHWC" else self._in(self.emit(conv), "NHWC", out)

    def _in(self, x: Any, source: str, target: str) -> Any:
        axes = [source.index(axis) for axis in target]
        return constant(constant_array(x).transpose(axes)) if is_constant(x) else self.permute(x, axes)


def in_nhwc(call: Call, x: Any) -> Call | None:
    """An NCHW pool or resize as the same operator on `x`, its operand in NHWC; None if it is no such call."""
    name, attrs = op_name(call), call.attrs
    if name not in _BUILDERS or str(attrs.layout) != "NCHW":
        return None
    return None if str(getattr(attrs, "out_layout", "NCHW")) != "NCHW" else _BUILDERS[name](x, call)


def _pool(build: Any) -> Any:
    def rebuild(x: Any, call: Call) -> Call:
        attrs = call.attrs
        return build(
            x,
            pool_size=list(attrs.pool_size),
            strides=list(attrs.strides),
            padding=list(attrs.padding),
            dilation=list(attrs.dilation),
            ceil_mode=bool(attrs.ceil_mode),
            count_include_pad=bool(attrs.count_include_pad),
            layout="NHWC",
            out_layout="NHWC",
        )

    return rebuild


def _adaptive_pool(x: Any, call: Call) -> Call:
    size = call.attrs.output_size
    output_size = None if size is None else [int(n) for n in size]
    return relax.op.nn.adaptive_avg_pool2d(x, output_size, layout="NHWC", out_layout="NHWC")


def _resize(x: Any, call: Call) -> Call:
    attrs = call.attrs
    return relax.op.image.resize2d(
        x,
        call.args[1],
        roi=[float(n) for n in attrs.roi],
        layout="NHWC",
        method=str(attrs.method),
        coordinate_transformation_mode=str(attrs.coordinate_transformation_mode),
        rounding_method=str(attrs.rounding_method),
        cubic_alpha=float(attrs.cubic_alpha),
        cubic_exclude=int(attrs.cubic_exclude),
        extrapolation_value=float(attrs.extrapolation_value),
        out_dtype=attrs.out_dtype,
    )


_BUILDERS: dict[str, Any] = {
    "relax.nn.max_pool2d": _pool(relax.op.nn.max_pool2d),
    "relax.nn.avg_pool2d": _pool(relax.op.nn.avg_pool2d),
    "relax.nn.adaptive_avg_pool2d": _adaptive_pool,
    "relax.image.resize2d": _resize,
}
