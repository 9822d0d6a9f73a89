"""Pairs of numbers turned in ONNX: halves of each head, multiplied and put together again."""

from __future__ import annotations

from typing import Any

from tvm_vsq.export.onnx_operators import LayerWriter, Operands
from tvm_vsq.export.onnx_writer import Writer
from tvm_vsq.graph import static_shape
from tvm_vsq.tvm_compat import Var


def _write(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    shape, (*leading, size) = static_shape(var), static_shape(call.args[1])
    heads = writer.node("Reshape", operands[0], writer.integers([*shape[:-1], shape[-1] // size, size]))
    turns = writer.node("Reshape", operands[1], writer.integers([*leading, 1, size]))
    halves = writer.integers([size // 2, size // 2])
    a, b = writer.nodes_with("Split", 2, heads, halves, axis=-1)
    cos, sin = writer.nodes_with("Split", 2, turns, halves, axis=-1)
    first = writer.node("Sub", writer.node("Mul", a, cos), writer.node("Mul", b, sin))
    second = writer.node("Add", writer.node("Mul", b, cos), writer.node("Mul", a, sin))
    whole = writer.node("Concat", first, second, axis=-1)
    return writer.node("Reshape", whole, writer.integers(shape), hint=var.name)


ONNX = LayerWriter(_write)
