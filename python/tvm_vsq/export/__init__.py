"""Quantized networks for other tools: ONNX with blocked quantization, and integer weights as safetensors."""

from tvm_vsq.export.to_onnx import export_onnx
from tvm_vsq.export.to_safetensors import export_safetensors, load_safetensors

__all__ = ["export_onnx", "export_safetensors", "load_safetensors"]
