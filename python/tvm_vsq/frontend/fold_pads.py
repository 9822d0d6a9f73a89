"""Zeros around an image that only a convolution reads become that convolution's padding."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import Rebuilder, op_name, replace_main
from tvm_vsq.tvm_compat import Call, IRModule, Var


def fold_pads(module: IRModule) -> IRModule:
    """`conv2d(pad(x))` becomes `conv2d(x)` with more padding, which may differ from side to side.

    Models with TensorFlow's "same" padding come with explicit pads in front of their strided convolutions;
    as operators of their own they would cut an accelerator's region in two.
    """
    return replace_main(module, _FoldPads(module["main"]).run())


class _FoldPads(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.nn.conv2d":
            return value
        pad: Any = self.value_of(value.args[0])
        axes = str(value.attrs.data_layout)
        widths = _zeros_around(pad)
        if widths is None or sorted(axes) != ["C", "H", "N", "W"]:
            return value
        added = {axis: widths[2 * at : 2 * at + 2] for at, axis in enumerate(axes)}
        if any((*added["N"], *added["C"])) or min(*added["H"], *added["W"]) < 0:
            return value
        around = [added["H"][0], added["W"][0], added["H"][1], added["W"][1]]
        attrs = value.attrs
        return relax.op.nn.conv2d(
            pad.args[0],
            value.args[1],
            strides=[int(n) for n in attrs.strides],
            padding=[int(old) + new for old, new in zip(attrs.padding, around, strict=True)],
            dilation=[int(n) for n in attrs.dilation],
            groups=int(attrs.groups),
            data_layout=axes,
            kernel_layout=attrs.kernel_layout,
            out_layout=attrs.out_layout,
            out_dtype=attrs.out_dtype,
        )


def _zeros_around(call: Any) -> list[int] | None:
    """Before and after each axis, what relax.nn.pad adds; None if it is no such call, or adds no zeros."""
    if not isinstance(call, Call) or op_name(call) != "relax.nn.pad":
        return None
    if str(call.attrs.pad_mode) != "constant" or float(call.attrs.pad_value) != 0:
        return None
    return [int(width) for width in call.attrs.pad_width]
