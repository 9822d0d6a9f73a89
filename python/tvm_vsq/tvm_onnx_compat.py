"""As `tvm_compat`, of what imports onnx besides."""

from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter
from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map as onnx_operators

__all__ = ["ONNXGraphImporter", "onnx_operators"]
