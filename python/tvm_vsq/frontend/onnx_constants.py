"""Computes what exporters compute from integer constants, such as the widths of a Pad."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

_SHAPE_ARITHMETIC = {
    "Add",
    "Cast",
    "Concat",
    "ConstantOfShape",
    "Div",
    "Gather",
    "Mul",
    "Reshape",
    "Slice",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
}
_LARGEST = 1024
"""Elements: shapes, axes and widths are below, weights are not."""


def fold_constants(proto: onnx.ModelProto) -> None:
    """Turn Constant nodes that hold a tensor, and integer arithmetic on constants, into initializers."""
    graph = proto.graph
    opset = {entry.domain: entry.version for entry in proto.opset_import}
    outputs = {value.name for value in graph.output}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        folded = None if outputs & set(node.output) else _fold(node, tensors, opset)
        if folded is None:
            kept.append(node)
            continue
        folded.name = node.output[0]
        tensors[folded.name] = folded
        graph.initializer.append(folded)
    del graph.node[:]
    graph.node.extend(kept)


def _fold(
    node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto], opset: dict[str, int]
) -> onnx.TensorProto | None:
    if node.op_type == "Constant":
        values = [attribute for attribute in node.attribute if attribute.name == "value"]
        return values[0].t if values else None
    inputs = [name for name in node.input if name]
    if node.op_type not in _SHAPE_ARITHMETIC or not all(name in tensors for name in inputs):
        return None
    if any(int(np.prod(tensors[name].dims)) > _LARGEST for name in inputs):
        return None
    arrays = {name: numpy_helper.to_array(tensors[name]) for name in inputs}
    is_large = node.op_type == "ConstantOfShape" and np.prod(arrays[inputs[0]]) > _LARGEST
    if is_large or not all(_is_integer(array) for array in arrays.values()):
        return None
    (value,) = ReferenceEvaluator(node, opsets=opset).run(None, arrays)
    return numpy_helper.from_array(np.asarray(value))


def _is_integer(array: npt.NDArray[np.generic]) -> bool:
    return np.issubdtype(array.dtype, np.int64) or np.issubdtype(array.dtype, np.int32)
