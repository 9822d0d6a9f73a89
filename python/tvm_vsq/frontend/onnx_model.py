"""Reads an ONNX model, with every dimension a number, or says why it cannot be taken."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
from onnx import TensorProto, numpy_helper

from tvm_vsq.arguments import by_name
from tvm_vsq.errors import ModelError, first_line
from tvm_vsq.frontend.onnx_nodes import STANDARD, attributes, describe
from tvm_vsq.frontend.onnx_quantization import OWN_DOMAIN


def read_model(model: onnx.ModelProto | str | os.PathLike[str], example_inputs: Any) -> onnx.ModelProto:
    """A checked copy of `model`, or of the file it names: inputs have static shapes, initializers are none.

    Raises ModelError: see `from_onnx`.
    """
    what = "the ONNX model" if isinstance(model, onnx.ModelProto) else f"'{os.fspath(model)}'"
    proto = _read(model, what)
    initializers = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in initializers]  # before IR 4 both are
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    _fix_shapes(proto.graph.input, example_inputs)
    _check_operators(proto)
    return _inferred(proto, what)


def _read(model: onnx.ModelProto | str | os.PathLike[str], what: str) -> onnx.ModelProto:
    """A copy of the model, its external data read."""
    if isinstance(model, onnx.ModelProto):
        proto = onnx.ModelProto()
        proto.CopyFrom(model)
    elif not os.path.isfile(model):
        raise ModelError(f"there is no model file {what}")
    else:
        try:
            proto = onnx.load(model)
        except Exception as error:
            raise ModelError(f"{what} is not an ONNX model: {first_line(error)}; export it again") from error
    outside = [t.name for t in proto.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    if outside:
        raise ModelError(
            f"the data of '{outside[0]}' are in a file beside the model: give the model's path, or load them "
            "with onnx.external_data_helper.load_external_data_for_model"
        )
    return proto


def _inferred(proto: onnx.ModelProto, what: str) -> onnx.ModelProto:
    """The model with the shapes that follow from its inputs', in place of those it declares, checked."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    bare.ir_version = max(bare.ir_version, 4)  # initializers are no inputs
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.ClearField("type")
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
        for value, declared in zip(inferred.graph.output, proto.graph.output, strict=True):
            if not value.type.tensor_type.HasField("shape"):
                value.CopyFrom(declared)
        _check_outputs(inferred.graph)
        unshaped = [
            v.type.tensor_type for v in inferred.graph.output if not v.type.tensor_type.HasField("shape")
        ]
        for kind in unshaped:  # the checker wants one
            kind.shape.SetInParent()
        onnx.checker.check_model(inferred)
        for kind in unshaped:
            kind.ClearField("shape")
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{what} is not valid: {first_line(error)}; export it again") from error
    return inferred


def _check_outputs(graph: onnx.GraphProto) -> None:
    makers = {name: describe(node) for node in graph.node for name in node.output}
    for value in graph.output:
        if value.HasField("type") and not value.type.HasField("tensor_type"):
            raise ModelError(
                f"output '{value.name}' of {makers.get(value.name, 'the model')} is not a tensor; the "
                "model may only return tensors"
            )
        if any(dim.HasField("dim_value") and dim.dim_value < 1 for dim in value.type.tensor_type.shape.dim):
            raise ModelError(
                f"output '{value.name}' of {makers.get(value.name, 'the model')} has no elements; export the "
                "model without it"
            )


def _fix_shapes(inputs: Sequence[onnx.ValueInfoProto], example_inputs: Any) -> None:
    """Give every dimension of the inputs a number, in place."""
    examples = _as_tuple(by_name(example_inputs, [v.name for v in inputs], "example_inputs", ModelError))
    if examples is not None and len(examples) != len(inputs):
        raise ModelError(
            f"example_inputs holds {len(examples)} tensors, the model has {len(inputs)} inputs: "
            f"{', '.join(value.name for value in inputs)}"
        )
    for position, value in enumerate(inputs):
        if not value.type.HasField("tensor_type"):
            raise ModelError(f"input '{value.name}' is not a tensor; the model may only take tensors")
        kind = value.type.tensor_type
        if examples is None:
            if not kind.HasField("shape"):
                raise ModelError(f"input '{value.name}' has no shape: {_ADVICE}")
            shown = [_extent(dim) for dim in kind.shape.dim]
            if any(not isinstance(extent, int) for extent in shown):
                raise ModelError(
                    f"input '{value.name}' has a dynamic shape [{', '.join(map(str, shown))}]: {_ADVICE}"
                )
            continue
        given = [int(extent) for extent in examples[position].shape]
        if kind.HasField("shape"):
            shown = [_extent(dim) for dim in kind.shape.dim]
            if len(given) != len(shown) or any(
                isinstance(n, int) and n != g for n, g in zip(shown, given, strict=True)
            ):
                raise ModelError(
                    f"example_inputs[{position}] has shape {given}, input '{value.name}' is "
                    f"[{', '.join(map(str, shown))}]"
                )
        if any(extent < 1 for extent in given):
            raise ModelError(
                f"example_inputs[{position}] has shape {given}, and no element; extents of input "
                f"'{value.name}' are at least 1"
            )
        del kind.shape.dim[:]
        kind.shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=extent) for extent in given)


_ADVICE = "give example_inputs=(array, ...), one for each input (tvm-vsq: --shape), whose shapes fix it"


def _extent(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    """A number, or the name of a dynamic axis; some exporters write those as -1 or 0."""
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value > 0 else str(dim.dim_value)
    return dim.dim_param or "?"


def _as_tuple(example_inputs: Any) -> tuple[Any, ...] | None:
    if example_inputs is None:
        return None
    examples = tuple(example_inputs) if isinstance(example_inputs, tuple | list) else (example_inputs,)
    for position, value in enumerate(examples):
        if not hasattr(value, "shape"):
            raise ModelError(f"example_inputs[{position}] must be an array, not {type(value).__name__}")
    return examples


def _check_operators(proto: onnx.ModelProto) -> None:
    """TVM looks at an operator's name alone; the same name in another domain is another operator."""
    functions = {(function.domain, function.name) for function in proto.functions}
    for node in proto.graph.node:
        if node.op_type == "BatchNormalization" and attributes(node).get("training_mode", 0):
            raise ModelError(
                f"{describe(node)} is in training mode: it computes its statistics at run time; export "
                "the model in eval mode"
            )
        is_quantization = node.op_type in ("QuantizeLinear", "DequantizeLinear")
        is_function = (node.domain, node.op_type) in functions
        if node.domain not in (*STANDARD, OWN_DOMAIN) and not is_quantization and not is_function:
            raise ModelError(
                f"operator {node.domain}.{node.op_type} ('{node.name or node.output[0]}') is none of ONNX's "
                "own; export with standard operators"
            )


_FLOATS = (TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.FLOAT16)

_ARITHMETIC = {
    "Add",
    "BatchNormalization",
    "Conv",
    "ConvTranspose",
    "Div",
    "Gemm",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "MatMul",
    "Mul",
    "PRelu",
    "RMSNormalization",
    "Sub",
}
"""Operators whose result is NaN wherever an operand is. Where, Equal or Max may be given NaN on purpose."""


def check_straight(graph: onnx.GraphProto) -> None:
    """Raise ModelError, naming the node, for branches and loops that are left when shapes are known."""
    for node in graph.node:
        if node.op_type in ("If", "Loop", "Scan"):
            raise ModelError(f"{describe(node)} branches or loops; the model must be straight-line")


def check_weights(graph: onnx.GraphProto) -> None:
    """Raise ModelError, naming the node, for NaN in a weight or another constant that is computed with."""
    tensors = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type in _FLOATS}
    has_nan = {name for name, tensor in tensors.items() if np.isnan(numpy_helper.to_array(tensor)).any()}
    for node in graph.node:
        found = next((name for name in node.input if name in has_nan), None)
        if found is not None and node.op_type in _ARITHMETIC and node.domain in STANDARD:
            raise ModelError(f"'{found}' of {describe(node)} holds NaN; load finite weights")
