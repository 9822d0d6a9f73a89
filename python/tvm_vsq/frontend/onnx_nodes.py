"""How ONNX graphs are read and their nodes are named in messages."""

from __future__ import annotations

import re
from typing import Any

import onnx
from onnx import helper

STANDARD = ("", "ai.onnx")
"""Names of the domain of ONNX's own operators."""


def opset_of(proto: onnx.ModelProto) -> int:
    """The version of ONNX's own operators; 0 if the model has none."""
    return max((entry.version for entry in proto.opset_import if entry.domain in STANDARD), default=0)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def shapes_of(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor all of whose extents are known."""
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found


def describe(node: onnx.NodeProto) -> str:
    """How messages name a node: by its own name, or, where it has none, its output's."""
    name = "" if re.fullmatch(r"node_\w+_\d+", node.name) else node.name  # made up by onnx_ir
    return f"{node.op_type} '{name or next(filter(None, node.output), '')}'"
