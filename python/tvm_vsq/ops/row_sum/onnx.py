"""Sums in ONNX."""

from __future__ import annotations

from tvm_vsq.export.onnx_operators import LayerWriter, plain

ONNX = LayerWriter(plain("Add"))
