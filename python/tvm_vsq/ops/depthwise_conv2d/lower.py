"""A depthwise convolution as a workload."""

from __future__ import annotations

from typing import Any

from tvm_vsq.codegen.lowering import Lowering, output_blocks
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.depthwise import Depthwise


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> Depthwise:
    n, h, w, _, _ = static_shape(call.args[0])
    kernel, strides, dilation = (
        (int(call.attrs[name][0]), int(call.attrs[name][1])) for name in ("kernel", "strides", "dilation")
    )
    top, left, bottom, right = map(int, call.attrs["padding"])
    return Depthwise(
        n=n,
        h=h,
        w=w,
        kb=output_blocks(int(call.attrs["channels"]), hardware),
        kernel=kernel,
        strides=strides,
        padding=(top, left, bottom, right),
        dilation=dilation,
        has_residual=has_residual,
        wide=bool(int(call.attrs["wide"])),
    )


# Vectors of taps take the place of those of channels, of which each output channel reads one.
LOWER = Lowering(_workload, lambda weights: weights[:, None, None])
