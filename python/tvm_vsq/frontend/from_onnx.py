"""ONNX models, through TVM's importer."""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from typing import Any

import numpy as np
import onnx
import tvm
from onnx import TensorProto, numpy_helper
from tvm.relax.frontend.onnx import from_onnx as tvm_from_onnx

from tvm_vsq.errors import ModelError, first_line
from tvm_vsq.frontend.from_relax import from_relax
from tvm_vsq.frontend.given import with_given
from tvm_vsq.frontend.layers import layer_names, name_of_weight
from tvm_vsq.frontend.onnx_clip import restore_clips
from tvm_vsq.frontend.onnx_constants import fold_constants
from tvm_vsq.frontend.onnx_model import read_model
from tvm_vsq.frontend.onnx_pad import fold_pads
from tvm_vsq.frontend.onnx_quantization import STANDARD, Found, remove_quantization
from tvm_vsq.graph import replace_main
from tvm_vsq.tvm_compat import IRModule

_GENERATED = re.compile(r"(onnx::.*|trt::.*|val_\d+|_v_\d+|\d+)")
"""Names that exporters make up for a weight they changed."""

_INTEGER_SUFFIX = re.compile(r"_(i4|i8|int4|int8|quantized)$")
"""What quantizers append to the name of a weight."""


def from_onnx(model: onnx.ModelProto | str | os.PathLike[str], example_inputs: Any) -> IRModule:
    """Import `model`, or the file it names; layers are named after the initializer of their weights.

    Weights in external files are read. Axes without a number take it from `example_inputs`. Quantization in
    the model is taken out and kept (`frontend.given`). Raises ModelError for what is no valid ONNX model, for
    shapes that stay dynamic, and for operators that have no form in TVM.
    """
    proto, inputs = read_model(model, example_inputs)
    graph = proto.graph
    fold_constants(proto)
    found = remove_quantization(graph)
    fold_pads(graph)
    del proto.functions[:]
    weights = _weights_as_inputs(graph, inputs, found)
    module = _through_tvm(proto)
    function = module["main"].with_attr("num_input", len(inputs)).with_attr("params", weights)
    module = from_relax(_only_main(restore_clips(replace_main(module, function))))
    bases = {name: re.sub(r"#\d+$", "", name) for name in layer_names(module).values()}
    taken = {name_of_weight(weight): given for weight, given in found.weights.items()}
    limits = {name_of_weight(weight): limit for weight, limit in found.limits.items()}
    return with_given(
        module,
        {name: taken[base] for name, base in bases.items() if base in taken},
        {name: limits[base] for name, base in bases.items() if base in limits},
    )


def _weights_as_inputs(
    graph: onnx.GraphProto, inputs: list[onnx.ValueInfoProto], found: Found
) -> list[tvm.runtime.Tensor]:
    """Move fp32 matrices and kernels from the initializers to the inputs, so that their names survive.

    The rest stays constant, because TVM has to know axes, shapes and bounds. Returns the moved arrays, in
    order. What nobody reads is removed.
    """
    readers: dict[str, onnx.NodeProto] = {}
    for node in reversed(graph.node):
        readers.update(dict.fromkeys(node.input, node))
    names = _shown_names(graph, readers, found.origins)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    found.weights = {names.get(name, name): given for name, given in found.weights.items()}
    found.limits = {names.get(name, name): limit for name, limit in found.limits.items()}
    outputs = {value.name for value in graph.output}
    kept, moved, arrays = [], [], []
    for tensor in graph.initializer:
        name = names.get(tensor.name, tensor.name)
        if tensor.name in readers and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            shape = list(tensor.dims)
            moved.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
            arrays.append(tvm.runtime.tensor(np.array(numpy_helper.to_array(tensor))))
        elif tensor.name in readers or tensor.name in outputs:
            kept.append(tensor)
    del graph.initializer[:], graph.input[:]
    graph.initializer.extend(kept)
    graph.input.extend([*inputs, *moved])
    return arrays


def _shown_names(
    graph: onnx.GraphProto, readers: dict[str, onnx.NodeProto], origins: dict[str, str]
) -> dict[str, str]:
    """Better names for weights: that of the integers behind one, or of the operator that reads it where an
    exporter made the weight's name up."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    names: dict[str, str] = {}
    for tensor in graph.initializer:
        reader = readers.get(tensor.name)
        if reader is None or len(tensor.dims) < 2:
            continue
        name = _INTEGER_SUFFIX.sub("", origins.get(tensor.name, tensor.name))
        if _GENERATED.fullmatch(name):
            scope = reader.name.strip("/").split("/")  # torch: /layer1/conv1/Conv
            name = ".".join(scope[:-1] if len(scope) > 1 and scope[-1].startswith(reader.op_type) else scope)
        if name and name not in taken:
            names[tensor.name] = name
            taken.add(name)
    return names


def _through_tvm(proto: onnx.ModelProto) -> IRModule:
    try:
        # It prints the operands of an operator that fails, and warns where it renames.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return tvm_from_onnx(proto, keep_params_in_input=False, sanitize_input_names=False)
    except Exception as error:
        opset = next(entry.version for entry in proto.opset_import if entry.domain in STANDARD)
        raise ModelError(
            f"TVM's ONNX importer does not take this model (opset {opset}): {first_line(error)}; replace "
            "the operator it names, or export with another opset"
        ) from error


def _only_main(module: IRModule) -> IRModule:
    names = [variable.name_hint for variable in module.get_global_vars()]
    others = sorted({name.rstrip("_0123456789") for name in names if name != "main"})
    if others:
        raise ModelError(
            f"TVM's ONNX importer has no Relax operator for {', '.join(others)} (a Pad that no Conv can "
            "take, Tile, a Clip whose bounds are computed, a Slice backwards); export the model without it"
        )
    return module
