"""Convolutions in ONNX."""

from __future__ import annotations

from typing import Any

from tvm_vsq.export.onnx_operators import LayerWriter, Operands, in_nchw, kept_layout
from tvm_vsq.export.onnx_writer import Writer
from tvm_vsq.tvm_compat import Var


def _write(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    attrs = call.attrs
    window = {
        "strides": [int(n) for n in attrs.strides],
        "pads": [int(n) for n in attrs.padding],
        "dilations": [int(n) for n in attrs.dilation],
        "group": int(attrs.groups),
    }
    layout, (x, kernel) = kept_layout(var, attrs.data_layout, attrs.out_layout), operands
    return in_nchw(writer, x, layout, lambda x: writer.node("Conv", x, kernel, hint=var.name, **window))


def _kernel_axes(call: Any) -> list[int]:
    return [str(call.attrs.kernel_layout).index(axis) for axis in "OIHW"]


ONNX = LayerWriter(_write, _kernel_axes)
