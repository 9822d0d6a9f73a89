"""Average pooling in ONNX."""

from __future__ import annotations

from tvm_vsq.export.onnx_operators import LayerWriter, pool

ONNX = LayerWriter(pool("AveragePool"))
