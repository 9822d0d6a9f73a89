"""Number formats: what an integer is stored in, and nothing that computes with one.

The reference implementations (NumPy, TensorIR, torch, C++) share these descriptions and no arithmetic.
"""

from tvm_vsq.formats.attributes import OUTPUT, QUANTIZED, WEIGHTS
from tvm_vsq.formats.layer import LayerFormats
from tvm_vsq.formats.notation import is_notation, parse_notation, write_notation
from tvm_vsq.formats.vector import VectorFormat
from tvm_vsq.formats.widths import (
    ELEMENT_BITS,
    MAX_DIGITS,
    SCALE_BITS,
    VECTOR_SIZES,
    ElementBits,
    ScaleBits,
    VectorSize,
)

__all__ = [
    "ELEMENT_BITS",
    "MAX_DIGITS",
    "OUTPUT",
    "QUANTIZED",
    "SCALE_BITS",
    "VECTOR_SIZES",
    "WEIGHTS",
    "ElementBits",
    "LayerFormats",
    "ScaleBits",
    "VectorFormat",
    "VectorSize",
    "is_notation",
    "parse_notation",
    "write_notation",
]
