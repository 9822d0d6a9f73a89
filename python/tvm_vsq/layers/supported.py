"""Which operators have an accelerator form."""

from __future__ import annotations

from typing import Any

from tvm_vsq.graph import is_constant, op_name
from tvm_vsq.tvm_compat import Var


def unsupported(call: Any) -> str:
    """Why a convolution or matrix product stays in fp32 on the CPU; empty if it need not."""
    x, weight = call.args[0], call.args[1]
    if not isinstance(x, Var):
        return "the input is a constant"
    if op_name(call) == "relax.matmul":
        if not is_constant(weight):
            return "both operands are activations, and only constant weights have an accelerator form yet"
        return (
            ""
            if len(weight.ty.shape) == 2
            else f"weights of rank {len(weight.ty.shape)}, only [C, K] has a form"
        )
    if int(call.attrs.groups) != 1:
        groups = int(call.attrs.groups)
        return f"groups={groups}: grouped and depthwise convolutions have no accelerator form yet"
    if not is_constant(weight):
        return "the kernel is computed at run time, and only constant weights have an accelerator form"
    layouts = (str(call.attrs.data_layout), str(call.attrs.kernel_layout), str(call.attrs.out_layout))
    return (
        ""
        if layouts == ("NHWC", "OHWI", "NHWC")
        else f"layouts {'/'.join(layouts)} instead of NHWC/OHWI/NHWC"
    )
