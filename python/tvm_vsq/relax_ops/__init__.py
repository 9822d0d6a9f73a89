"""Relax operators on vectors: quantize and dequantize, and what all operators that are layers have in common.

Constructors, type inference and the CPU reference in TIR. The layers themselves stand in `ops/`. Each
constructor returns a `tvm.ir.Call`; the arithmetic is specified in docs/numerics.md, and is written here a
second time, independently of `tvm_vsq.numerics`, so that the one can be tested against the other.
"""

from tvm_vsq.relax_ops.checks import OperatorError
from tvm_vsq.relax_ops.dequantize import dequantize
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.layer_operator import LayerOperator, layer_operator, layer_operators
from tvm_vsq.relax_ops.quantize import quantize

__all__ = [
    "Epilogue",
    "LayerOperator",
    "OperatorError",
    "dequantize",
    "layer_operator",
    "layer_operators",
    "quantize",
]
