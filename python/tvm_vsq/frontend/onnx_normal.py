"""Brings an ONNX model of static shapes into the form that is imported."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import onnx.inliner
import onnx.numpy_helper
import onnx.version_converter
import onnx_ir
from onnx.reference import ReferenceEvaluator
from onnxscript.optimizer import fold_constants_ir

from tvm_vsq.errors import ModelError, first_line
from tvm_vsq.frontend.onnx_functions import expand_functions
from tvm_vsq.frontend.onnx_nodes import opset_of
from tvm_vsq.frontend.onnx_resize import expand_resizes
from tvm_vsq.frontend.onnx_windows import make_windows_explicit

_OPSET, _IR_VERSION = 21, 10
"""What older models are raised to: the first with blocked quantization."""

_FOLDED = 1 << 16
"""Elements of a constant that takes part in folding, which is for shapes, widths, masks and grids."""

_NESTED = 4
"""How deep functions lie in functions."""

_EXTREMES = ("ReduceMax", "ReduceMin")
"""TVM's start from the largest finite number, and so miss that all of a row is infinite (masks)."""

_QUANTIZATION = ("DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear")


def modernize(proto: onnx.ModelProto, kept: list[tuple[str, str]]) -> onnx.ModelProto:
    """An equal model of opset 21 or later without local functions; what shapes determine is computed.

    kept: domain and name of functions that stay. Quantization stays too, and weights, by their names.
    Raises ModelError where the model cannot be raised.
    """
    return _folded(_raised(onnx.inliner.inline_selected_functions(proto, kept, exclude=True)))


def write_out(proto: onnx.ModelProto) -> onnx.ModelProto:
    """An equal model without what TVM lacks or computes otherwise, where other operators say the same."""
    for _ in range(_NESTED):
        expanded = expand_functions(proto)
        if expanded is proto:
            break
        proto = _folded(expanded)
    make_windows_explicit(proto.graph)
    expand_resizes(proto.graph)
    return proto


def _raised(proto: onnx.ModelProto) -> onnx.ModelProto:
    opset = opset_of(proto)
    if opset < _OPSET:
        try:
            proto = onnx.version_converter.convert_version(proto, _OPSET)
        except Exception as error:
            raise ModelError(
                f"opset {opset} cannot be raised to {_OPSET}: {first_line(error)}; export with opset {_OPSET}"
            ) from error
    proto.ir_version = max(proto.ir_version, _IR_VERSION)
    return proto


def _folded(proto: onnx.ModelProto) -> onnx.ModelProto:
    model = onnx_ir.serde.deserialize_model(proto)
    with _quiet():
        fold_constants_ir(
            model,
            onnx_shape_inference=True,
            input_size_limit=_FOLDED,
            output_size_limit=_FOLDED,
            should_fold=_should_fold,
        )
    return _without_constant_nodes(onnx_ir.serde.serialize_model(model))


@contextmanager
def _quiet() -> Iterator[None]:
    """It warns of each operator that it leaves as it is."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _should_fold(node: onnx_ir.Node) -> bool | None:
    """None: what the library thinks of it."""
    tensors = [
        value.const_value for value in node.inputs if value is not None and value.const_value is not None
    ]
    if node.op_type in _EXTREMES:
        return True
    if node.op_type in _QUANTIZATION or any(
        t.dtype.is_floating_point() and len(t.shape) > 1 for t in tensors
    ):
        return False
    return True if node.op_type == "ConstantOfShape" else None  # large ones stay


def _without_constant_nodes(proto: onnx.ModelProto) -> onnx.ModelProto:
    graph, opsets = proto.graph, {entry.domain: entry.version for entry in proto.opset_import}
    kept = []
    for node in graph.node:
        if node.op_type == "Constant":
            (value,) = ReferenceEvaluator(node, opsets=opsets).run(None, {})
            graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), node.output[0]))
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    return proto
