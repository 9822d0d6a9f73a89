"""A convolution as a workload."""

from __future__ import annotations

from typing import Any

from tvm_vsq.codegen.lowering import Lowering, output_blocks
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Convolution


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> Convolution:
    n, h, w, cv, _ = static_shape(call.args[0])
    channels, r, s, _, _ = static_shape(call.args[1])
    top, left, bottom, right = (int(extent) for extent in call.attrs["padding"])
    (down, across), (dilate_h, dilate_w) = (map(int, call.attrs[name]) for name in ("strides", "dilation"))
    return Convolution(
        n,
        h,
        w,
        cv,
        output_blocks(channels, hardware),
        r,
        s,
        (down, across),
        (top, left, bottom, right),
        (dilate_h, dilate_w),
        has_residual,
        bool(int(call.attrs["wide"])),
    )


LOWER = Lowering(_workload, lambda weights, _call, _hardware: weights)
