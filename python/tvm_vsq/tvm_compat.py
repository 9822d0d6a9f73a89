"""Names that TVM has moved or renamed between releases, imported here and nowhere else (TVM 0.27).

An upgrade of TVM edits this file; `tvm`, `tvm.relax`, `tvm.te` and `tvm.tirx` are imported directly.
"""

from tvm.ir import (
    Call,
    Expr,
    GenericConst,  # once relax.Constant
    GlobalVar,
    IRModule,
    Op,
    Tuple,  # once relax.Tuple
    Var,  # once relax.Var
    register_op_attr,
)
from tvm.relax.dpl import is_const, is_op, wildcard
from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter
from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map as onnx_operators
from tvm.s_tir import Schedule, TensorIntrin  # once tvm.tir
from tvm.sym import Analyzer, detect_linear_equation  # once tvm.arith
from tvm.tirx import IntImm  # once tvm.tir

__all__ = [
    "Analyzer",
    "Call",
    "Expr",
    "GenericConst",
    "GlobalVar",
    "IRModule",
    "IntImm",
    "ONNXGraphImporter",
    "Op",
    "Schedule",
    "TensorIntrin",
    "Tuple",
    "Var",
    "detect_linear_equation",
    "is_const",
    "is_op",
    "onnx_operators",
    "register_op_attr",
    "wildcard",
]
