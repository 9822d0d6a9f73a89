"""A trained network in, one canonical Relax function out."""

from tvm_vsq.frontend.importer import convert, import_model
from tvm_vsq.frontend.quantized import QuantizedModel, as_quantized, is_quantized

__all__ = ["QuantizedModel", "as_quantized", "convert", "import_model", "is_quantized"]
