"""ONNX models, through TVM's importer."""

from __future__ import annotations

import os
from typing import Any

import onnx
from tvm import relax

from tvm_vsq.frontend.from_relax import from_relax
from tvm_vsq.frontend.given import with_given
from tvm_vsq.frontend.layers import live_layers
from tvm_vsq.frontend.onnx_half import in_float32, is_half
from tvm_vsq.frontend.onnx_importer import import_graph
from tvm_vsq.frontend.onnx_model import check_straight, check_weights, read_model
from tvm_vsq.frontend.onnx_names import layers_of, modules_of
from tvm_vsq.frontend.onnx_nodes import opset_of
from tvm_vsq.frontend.onnx_normal import modernize, write_out
from tvm_vsq.frontend.onnx_quantization import OWN_FUNCTIONS, has_quantization, remove_quantization
from tvm_vsq.frontend.onnx_source import OnnxSource
from tvm_vsq.network import with_layer_names
from tvm_vsq.tvm_compat import IRModule


def from_onnx(
    model: onnx.ModelProto | str | os.PathLike[str], example_inputs: Any
) -> tuple[IRModule, OnnxSource]:
    """Import `model`, or the file it names; layers are named after the initializer of their weights.

    Weights in external files are read. Axes without a number take it from `example_inputs`. Quantization in
    the model is taken out and kept (`frontend.given`). Half precision becomes fp32 of the same numbers.

    Raises ModelError for what is no valid ONNX model, for shapes that stay dynamic, and, with the node's
    name, for weights that are NaN and for operators without a form in TVM.

    Also returns what the import is checked against: the model, or, if it is quantized, what is left of it
    when quantization is taken out.
    """
    original = read_model(model, example_inputs)
    title = "ONNX model" if isinstance(model, onnx.ModelProto) else f"ONNX model '{os.fspath(model)}'"
    if is_half(original):
        original, title = in_float32(original), f"{title} in fp32"
    proto = modernize(original, OWN_FUNCTIONS)
    check_straight(proto.graph)
    check_weights(proto.graph)
    is_quantized = has_quantization(proto.graph)
    quantized = onnx.ModelProto()
    quantized.CopyFrom(proto)
    found = remove_quantization(proto.graph)
    names = layers_of(proto.graph, found.origins, modules_of(original.graph))
    came = original
    if is_quantized:
        original = proto
    proto = write_out(proto)
    module, nodes = import_graph(proto.graph, opset_of(proto))
    module = relax.transform.DeadCodeElimination()(module)
    layers = [names.get(nodes[var], "") for var in live_layers(module["main"])]
    module = with_given(
        with_layer_names(from_relax(module), layers),
        {names[output]: given for output, given in found.weights.items()},
        {names[output]: limit for output, limit in found.limits.items()},
        found.clips,
    )
    if not is_quantized:
        return module, OnnxSource(title, original, proto)
    title = f"{title} without its quantization"
    return module, OnnxSource(title, original, proto, quantized, found.bypassed, came)
