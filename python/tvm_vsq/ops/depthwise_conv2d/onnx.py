"""Depthwise convolutions in ONNX: convolutions with groups."""

from __future__ import annotations

from tvm_vsq.export.onnx_operators import LayerWriter
from tvm_vsq.ops.conv2d.onnx import ONNX as CONV2D

ONNX = LayerWriter(CONV2D.write, CONV2D.kernel_axes)
