"""ONNX models in half precision, as fp32 models of the same numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

_HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_AS_DTYPE = ("dtype", "output_dtype", "to")
"""Attributes that say of what dtype a result is."""


def is_half(model: onnx.ModelProto) -> bool:
    """Whether an input or a weight is float16 or bfloat16, which is then what the model computes in.

    One that computes in float32, and casts something for a while, is left as it is.
    """
    types = [value.type.tensor_type.elem_type for value in model.graph.input]
    return any(kind in _HALVES for kind in (*types, *(t.data_type for t in model.graph.initializer)))


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which everything of half precision is float32: weights, inputs, results and casts."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    _widen(wide.graph)
    for function in wide.functions:
        _widen_nodes(function.node)
    return wide


def _widen(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if value.type.HasField("tensor_type") and kind.elem_type in _HALVES:
            kind.elem_type = TensorProto.FLOAT
    _widen_nodes(graph.node)


def _widen_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
            elif attribute.type == AttributeProto.GRAPH:
                _widen(attribute.g)
            elif attribute.name in _AS_DTYPE and attribute.i in _HALVES:
                attribute.i = TensorProto.FLOAT


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _HALVES:
        array = numpy_helper.to_array(tensor).astype(np.float32)
        wide = helper.make_tensor(tensor.name, TensorProto.FLOAT, array.shape, array.tobytes(), raw=True)
        tensor.CopyFrom(wide)
