"""Zeros around an image that a convolution or a pool reads become its padding."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import Rebuilder, op_name, replace_main
from tvm_vsq.network.rebuild import is_nonnegative
from tvm_vsq.tvm_compat import Call, IRModule, Var


def fold_pads(module: IRModule) -> IRModule:
    """`conv2d(pad(x))` becomes `conv2d(x)` with more padding, which may differ from side to side.

    So does an average, of which the zeros are a part, and a maximum of what is never negative.
    Models with TensorFlow's "same" padding come with explicit pads in front of their strided convolutions;
    as operators of their own they would cut an accelerator's region in two.
    """
    return replace_main(module, _FoldPads(module["main"]).run())


class _FoldPads(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        is_pool = op_name(value) in _POOLS
        if op_name(value) != "relax.nn.conv2d" and not is_pool:
            return value
        pad: Any = self.value_of(value.args[0])
        axes = str(value.attrs.layout if is_pool else value.attrs.data_layout)
        widths = _zeros_around(pad)
        if widths is None or sorted(axes) != ["C", "H", "N", "W"]:
            return value
        added = {axis: widths[2 * at : 2 * at + 2] for at, axis in enumerate(axes)}
        if any((*added["N"], *added["C"])) or min(*added["H"], *added["W"]) < 0:
            return value
        around = [added["H"][0], added["W"][0], added["H"][1], added["W"][1]]
        attrs = value.attrs
        padding = [int(old) + new for old, new in zip(attrs.padding, around, strict=True)]
        if is_pool:
            return self._pool(value, pad.args[0], padding)
        return relax.op.nn.conv2d(
            pad.args[0],
            value.args[1],
            strides=[int(n) for n in attrs.strides],
            padding=padding,
            dilation=[int(n) for n in attrs.dilation],
            groups=int(attrs.groups),
            data_layout=axes,
            kernel_layout=attrs.kernel_layout,
            out_layout=attrs.out_layout,
            out_dtype=attrs.out_dtype,
        )

    def _pool(self, value: Call, x: Any, padding: list[int]) -> Call:
        attrs = value.attrs
        is_mean = op_name(value) == "relax.nn.avg_pool2d"
        if bool(attrs.ceil_mode) or any(int(step) != 1 for step in attrs.dilation):
            return value
        if is_mean:
            # zeros that were padding already do not count in every pool
            fits = bool(attrs.count_include_pad) or not any(int(border) for border in attrs.padding)
        else:
            reach = [int(extent) for extent in attrs.pool_size] * 2
            fits = is_nonnegative(self, x) and all(a < b for a, b in zip(padding, reach, strict=True))
        if not fits:
            return value
        return _POOLS[op_name(value)](
            x,
            pool_size=[int(n) for n in attrs.pool_size],
            strides=[int(n) for n in attrs.strides],
            padding=padding,
            count_include_pad=is_mean or bool(attrs.count_include_pad),
            layout=attrs.layout,
            out_layout=attrs.out_layout,
        )


_POOLS: dict[str, Any] = {
    "relax.nn.avg_pool2d": relax.op.nn.avg_pool2d,
    "relax.nn.max_pool2d": relax.op.nn.max_pool2d,
}


def _zeros_around(call: Any) -> list[int] | None:
    """Before and after each axis, what relax.nn.pad adds; None if it is no such call, or adds no zeros."""
    if not isinstance(call, Call) or op_name(call) != "relax.nn.pad":
        return None
    if str(call.attrs.pad_mode) != "constant" or float(call.attrs.pad_value) != 0:
        return None
    return [int(width) for width in call.attrs.pad_width]
