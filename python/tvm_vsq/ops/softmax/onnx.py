"""Softmax in ONNX."""

from __future__ import annotations

from tvm_vsq.export.onnx_operators import WRITERS, LayerWriter

ONNX = LayerWriter(WRITERS["relax.nn.softmax"])
