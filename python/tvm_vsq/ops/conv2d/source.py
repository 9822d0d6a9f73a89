"""The convolutions of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import is_constant, static_shape
from tvm_vsq.network import Facts, Source, WeightForm, Window
from tvm_vsq.tvm_compat import Call, Var


def _refusal(call: Any, has_constant_weights: bool) -> str:
    if not isinstance(call.args[0], Var):
        return "the input is a constant"
    groups = int(call.attrs.groups)
    if groups != 1:
        return (
            f"groups={groups}: of convolutions with groups, only depthwise ones have an accelerator form yet"
        )
    if not has_constant_weights:
        return "the kernel is computed at run time, and only constant weights have an accelerator form"
    layouts = (str(call.attrs.data_layout), str(call.attrs.kernel_layout), str(call.attrs.out_layout))
    return (
        ""
        if layouts == ("NHWC", "OHWI", "NHWC")
        else f"layouts {'/'.join(layouts)} instead of NHWC/OHWI/NHWC"
    )


def _is_grouped(call: Any) -> bool:
    return int(call.attrs.groups) != 1 and is_constant(call.args[1]) and isinstance(call.args[0], Var)


def is_depthwise(call: Any) -> bool:
    """Whether a convolution has one filter for each channel, channels last."""
    return (
        int(call.attrs.groups) == static_shape(call.args[1])[0] == static_shape(call.args[0])[-1] != 1
        and str(call.attrs.data_layout) == "NHWC"
        and str(call.attrs.kernel_layout) == "OHWI"
    )


def window(call: Any) -> Window:
    """What a convolution reads at one output position."""
    strides, padding, dilation = (
        [int(extent) for extent in getattr(call.attrs, name)] for name in ("strides", "padding", "dilation")
    )
    _, r, s, _ = static_shape(call.args[1])
    return Window((r, s), strides, padding, dilation, int(call.attrs.groups))


def rewindowed(call: Any, x: Any, weights: Any, window: Window) -> Call:
    """The convolution with another input, kernel and window."""
    attrs = call.attrs
    return relax.op.nn.conv2d(
        x,
        weights,
        strides=list(window.strides),
        padding=list(window.padding),
        dilation=list(window.dilation),
        groups=window.groups,
        data_layout=attrs.data_layout,
        kernel_layout=attrs.kernel_layout,
        out_layout=attrs.out_layout,
        out_dtype=attrs.out_dtype,
    )


SOURCE = Source(
    relax="relax.nn.conv2d",
    word="conv2d",
    refusal=_refusal,
    weights=WeightForm(outputs=0, inputs=-1),
    matches=lambda call: not is_depthwise(call),
    is_grouped=_is_grouped,
    window=window,
    rewindowed=rewindowed,
    facts=Facts(),
    comes_from=("relax.nn.conv1d", "relax.nn.conv1d_transpose", "relax.nn.conv2d_transpose"),
)
