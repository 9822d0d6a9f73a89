"""Names that TVM has moved or renamed between releases, imported here (TVM 0.27), and in tvm_onnx_compat.

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
    "Op",
    "Schedule",
    "TensorIntrin",
    "Tuple",
    "Var",
    "detect_linear_equation",
    "is_const",
    "is_op",
    "register_op_attr",
    "wildcard",
]
