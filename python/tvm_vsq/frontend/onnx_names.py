"""Names of the layers of an ONNX graph: from the initializer of their weights, else from their node."""

from __future__ import annotations

import re

import onnx

from tvm_vsq.network.names import name_of_weight, unused

LAYERS = ("Conv", "Gemm", "MatMul")
"""Operators that become a layer if their second operand is constant."""

_IN_PARTS = ("ConvTranspose",)
"""Those that become several."""

_GENERATED = re.compile(r"(onnx::.*|trt::.*|val_\d+|_v_\d+|\d+)")
"""Names that exporters make up for a weight they changed."""

_SCOPES = "pkg.torch.onnx.name_scopes"
_QUOTED = re.compile(r"'([^']*)'")

_INTEGER_SUFFIX = re.compile(r"_(i4|i8|int4|int8|quantized)$")
"""What quantizers append to the name of a weight."""


def modules_of(graph: onnx.GraphProto) -> dict[str, str]:
    """The module that torch's exporter says a node comes from, by the node's name.

    It writes ['', 'layers', 'layers.0', 'layers.0.fc', 'linear'] beside the node.
    """
    scopes = {
        node.name: _QUOTED.findall(entry.value)
        for node in graph.node
        for entry in node.metadata_props
        if entry.key == _SCOPES
    }
    return {name: scope[-2] for name, scope in scopes.items() if len(scope) > 1 and scope[-2]}


def layers_of(graph: onnx.GraphProto, origins: dict[str, str], modules: dict[str, str]) -> dict[str, str]:
    """A name of its own for each node with constant weights, by the node's output.

    origins: for an initializer that was computed from another one, that one's name. modules: `modules_of` the
    graph as it was read.
    """
    makers = {output: node for node in graph.node for output in node.output}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    names: dict[str, str] = {}
    for node in graph.node:
        if node.op_type not in (*LAYERS, *_IN_PARTS) or len(node.input) < 2:
            continue
        weight = _weight(node.input[1], makers, tensors)
        if weight is None:
            continue
        name = _INTEGER_SUFFIX.sub("", origins.get(weight, weight))
        if _GENERATED.fullmatch(name):
            name = modules.get(node.name) or _path(node)
        names[node.output[0]] = unused(name_of_weight(name), set(names.values()))
    return names


def _path(node: onnx.NodeProto) -> str:
    """The node's name; of torch's exporter before, /layers/layers.0/fc/MatMul, the module in it.

    A child of a sequence repeats the path of its parent.
    """
    path: list[str] = []
    parts = (node.name or node.output[0]).strip("/").split("/")
    for part in parts[:-1] if len(parts) > 1 and parts[-1].startswith(node.op_type) else parts:
        if path and part.startswith(f"{path[-1]}."):
            path.pop()
        path.append(part)
    return ".".join(path)


def _weight(name: str, makers: dict[str, onnx.NodeProto], tensors: dict[str, onnx.TensorProto]) -> str | None:
    """The first matrix or kernel `name` is computed from; None if that takes more than initializers."""
    pending, found = [name], None
    while pending:
        source = pending.pop()
        if source in tensors:
            found = source if found is None and len(tensors[source].dims) > 1 else found
        elif source in makers:
            pending.extend(other for other in reversed(makers[source].input) if other)
        else:
            return None
    return found
