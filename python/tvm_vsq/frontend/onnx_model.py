"""Reads an ONNX model, with every dimension a number, or says why it cannot be taken."""

from __future__ import annotations

import os
from typing import Any

import onnx
import onnx.version_converter
from onnx import TensorProto

from tvm_vsq.errors import ModelError, first_line
from tvm_vsq.frontend.onnx_integers import describe
from tvm_vsq.frontend.onnx_quantization import OWN_DOMAIN, STANDARD


def read_model(
    model: onnx.ModelProto | str | os.PathLike[str], example_inputs: Any
) -> tuple[onnx.ModelProto, list[onnx.ValueInfoProto]]:
    """A copy of `model`, or of the file it names, and those of its inputs that are no initializers.

    Opset 11 or later where Clip needs it. Raises ModelError: see `from_onnx`.
    """
    proto = _with_clip_inputs(_read(model))
    initializers = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in initializers]  # before IR 4 both are
    _fix_shapes(inputs, example_inputs)
    _check_operators(proto)
    return proto, inputs


def _read(model: onnx.ModelProto | str | os.PathLike[str]) -> onnx.ModelProto:
    """A copy of the model, its external data read, checked."""
    what = "the ONNX model" if isinstance(model, onnx.ModelProto) else f"'{os.fspath(model)}'"
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
    try:
        onnx.checker.check_model(proto)
    except Exception as error:
        raise ModelError(f"{what} is not valid: {first_line(error)}; export it again") from error
    return proto


def _with_clip_inputs(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Before opset 11 Clip has its bounds as attributes, which TVM hides in a function. Removing a
    QuantizeLinear may leave a Clip."""
    opset = max((entry.version for entry in proto.opset_import if entry.domain in STANDARD), default=0)
    if opset >= 11 or all(node.op_type not in ("Clip", "QuantizeLinear") for node in proto.graph.node):
        return proto
    try:
        return onnx.version_converter.convert_version(proto, 13)
    except Exception as error:
        raise ModelError(
            f"opset {opset} cannot be raised to 13: {first_line(error)}; export with opset 13 or later"
        ) from error


def _fix_shapes(inputs: list[onnx.ValueInfoProto], example_inputs: Any) -> None:
    """Give every dimension of the inputs a number, in place."""
    examples = _as_tuple(example_inputs)
    if examples is not None and len(examples) != len(inputs):
        raise ModelError(
            f"example_inputs holds {len(examples)} tensors, the model has {len(inputs)} inputs: "
            f"{', '.join(value.name for value in inputs)}"
        )
    for position, value in enumerate(inputs):
        if not value.type.HasField("tensor_type"):
            raise ModelError(f"input '{value.name}' is not a tensor; the model may only take tensors")
        if not value.type.tensor_type.HasField("shape"):
            raise ModelError(f"input '{value.name}' has no shape; export the model with one")
        dims = value.type.tensor_type.shape.dim
        shown = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims]
        if examples is None:
            if any(not isinstance(extent, int) for extent in shown):
                raise ModelError(
                    f"input '{value.name}' has a dynamic shape [{', '.join(map(str, shown))}]: give "
                    "example_inputs=(array, ...), one for each input (tvm-vsq: --shape), whose shapes fix it"
                )
            continue
        given = tuple(int(extent) for extent in examples[position].shape)
        if len(given) != len(dims) or any(
            isinstance(n, int) and n != g for n, g in zip(shown, given, strict=True)
        ):
            raise ModelError(
                f"example_inputs[{position}] has shape {list(given)}, input '{value.name}' is "
                f"[{', '.join(map(str, shown))}]"
            )
        for dim, extent in zip(dims, given, strict=True):
            dim.dim_value = extent


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
    for node in proto.graph.node:
        if node.op_type in ("If", "Loop", "Scan"):
            raise ModelError(f"{describe(node)} branches or loops; the model must be straight-line")
        is_quantization = node.op_type in ("QuantizeLinear", "DequantizeLinear")
        if node.domain not in (*STANDARD, OWN_DOMAIN) and not is_quantization:
            raise ModelError(
                f"operator {node.domain}.{node.op_type} ('{node.name or node.output[0]}') is none of ONNX's "
                "own; export with standard operators (local functions: onnx.inliner.inline_local_functions)"
            )
