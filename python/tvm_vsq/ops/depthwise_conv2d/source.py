"""The depthwise convolutions of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

from tvm_vsq.graph import is_constant
from tvm_vsq.network import Facts, Source, WeightForm
from tvm_vsq.ops.conv2d.source import is_depthwise, rewindowed, window
from tvm_vsq.tvm_compat import Var


def _refusal(call: Any, has_constant_weights: bool) -> str:
    if not isinstance(call.args[0], Var):
        return "the input is a constant"
    if not has_constant_weights:
        return "the kernel is computed at run time, and only constant weights have an accelerator form"
    layout = str(call.attrs.out_layout)
    return "" if layout == "NHWC" else f"result layout {layout} instead of NHWC"


SOURCE = Source(
    relax="relax.nn.conv2d",
    word="conv2d",
    refusal=_refusal,
    matches=is_depthwise,
    weights=WeightForm(outputs=0, inputs=-1, along_taps=True),
    window=window,
    rewindowed=rewindowed,
    facts=Facts(channelwise=lambda call: is_constant(call.args[1])),
)
