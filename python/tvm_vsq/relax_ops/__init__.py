"""The `vsq.*` Relax operators: constructors, type inference and the CPU reference in TIR.

Importing this package registers the operators with TVM. Each constructor returns a `tvm.ir.Call`; the
arithmetic is specified in docs/numerics.md, and is written here a second time, independently of
`tvm_vsq.numerics`, so that the one can be tested against the other.
"""

from tvm_vsq.relax_ops.checks import OperatorError
from tvm_vsq.relax_ops.conv2d import conv2d
from tvm_vsq.relax_ops.dense import dense
from tvm_vsq.relax_ops.dequantize import dequantize
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.quantize import quantize

__all__ = ["Epilogue", "OperatorError", "conv2d", "dense", "dequantize", "quantize"]
