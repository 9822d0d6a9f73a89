"""Writes operators that TVM lacks in others, as ONNX itself defines them."""

from __future__ import annotations

from typing import Any

import onnx
import onnx.inliner

from tvm_vsq.frontend.onnx_nodes import STANDARD, opset_of
from tvm_vsq.tvm_onnx_compat import onnx_operators

_INEXACT = {"Attention", "MeanVarianceNormalization", "RMSNormalization"}
"""Operators that TVM imports in part, or wrongly."""

_QUANTIZATION = {"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"}

_DOMAIN = "expanded"


def expand_functions(proto: onnx.ModelProto) -> onnx.ModelProto:
    """`proto`, whose shapes are inferred, without operators that TVM lacks and ONNX defines by others.

    onnx.inliner can do so itself, but not where an optional input is left out.
    """
    types = {
        value.name: value.type for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output)
    } | {
        tensor.name: onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
        for tensor in proto.graph.initializer
    }
    opset = opset_of(proto)
    found = 0
    for index, node in enumerate(proto.graph.node):
        body = _body(node, types, opset) if _is_better_written_out(node, opset) else None
        if body is not None:
            for part in body.node:
                part.name = f"in {node.op_type} {node.name or node.output[0]}"  # what messages name
            body.domain, body.name = _DOMAIN, f"{node.op_type}{index}"
            proto.functions.append(body)
            node.domain, node.op_type = body.domain, body.name
            found += 1
    if not found:
        return proto
    proto.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    return onnx.inliner.inline_local_functions(proto, convert_version=True)


def _is_better_written_out(node: onnx.NodeProto, opset: int) -> bool:
    if node.domain not in STANDARD or node.op_type in _QUANTIZATION:
        return False
    is_partial = node.op_type == "LayerNormalization" and len(node.output) > 1
    return node.op_type in _INEXACT or node.op_type not in onnx_operators() or is_partial


def _body(node: onnx.NodeProto, types: dict[str, onnx.TypeProto], opset: int) -> onnx.FunctionProto | None:
    schema: Any = onnx.defs.get_schema(node.op_type, opset, "")
    body = onnx.FunctionProto()
    if schema.has_context_dependent_function:
        given = [types.get(name, onnx.TypeProto()).SerializeToString() for name in node.input]
        body.ParseFromString(schema.get_context_dependent_function(node.SerializeToString(), given))
    elif schema.has_function:
        body.CopyFrom(schema.function_body)
        own = {attribute.name for attribute in node.attribute}
        defaults = (attribute.default_value for attribute in schema.attributes.values())
        node.attribute.extend(a for a in defaults if a.name and a.name not in own)
    return body if body.node else None
