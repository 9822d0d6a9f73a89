"""Normalization by the root of mean squares in ONNX, whose own operator for it is younger than most
readers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_vsq.export.onnx_operators import LayerWriter, Operands
from tvm_vsq.export.onnx_writer import Writer
from tvm_vsq.tvm_compat import Var


def _write(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    x, weight = operands
    axes = writer.constant(np.array([-1], np.int64))
    squares = writer.node("ReduceMean", writer.node("Mul", x, x), axes, keepdims=1)
    shifted = writer.node("Add", squares, writer.constant(np.array(float(call.attrs.epsilon), np.float32)))
    return writer.node("Mul", writer.node("Div", x, writer.node("Sqrt", shifted)), weight, hint=var.name)


ONNX = LayerWriter(_write)
