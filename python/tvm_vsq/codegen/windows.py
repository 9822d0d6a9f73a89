"""The geometry of a vsq.* call that reduces windows, as workloads hold it."""

from __future__ import annotations

from typing import Any

from tvm_vsq.codegen.lowering import output_blocks
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig


def windows_of(
    call: Any, has_residual: bool, hardware: HardwareConfig, size: str = "pool_size"
) -> dict[str, Any]:
    """The fields of `schedule.windows.Windows`; size: the attribute with the extents of a window."""
    n, h, w, _, _ = static_shape(call.args[0])
    kernel, strides, dilation = (
        (int(call.attrs[name][0]), int(call.attrs[name][1])) for name in (size, "strides", "dilation")
    )
    top, left, bottom, right = map(int, call.attrs["padding"])
    return {
        "n": n,
        "h": h,
        "w": w,
        "kb": output_blocks(int(call.attrs["channels"]), hardware),
        "kernel": kernel,
        "strides": strides,
        "padding": (top, left, bottom, right),
        "dilation": dilation,
        "has_residual": has_residual,
        "wide": bool(int(call.attrs["wide"])),
    }
