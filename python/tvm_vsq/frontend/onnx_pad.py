"""Lets convolutions do the padding in front of them: TVM's importer makes a TIR function of Pad."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tvm_vsq.frontend.onnx_integers import attributes


def fold_pads(graph: onnx.GraphProto) -> None:
    """Move each Pad with zeros, all of whose readers are Conv, into their attribute, in place."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Pad"]:
        pads = _spatial_zeros(node, constants)
        readers = [other for other in graph.node if node.output[0] in other.input]
        is_result = any(value.name == node.output[0] for value in graph.output)
        if pads is None or is_result or not all(_can_take(reader, node.output[0]) for reader in readers):
            continue
        for reader in readers:
            reader.input[0] = node.input[0]
            own = attributes(reader).get("pads", [0, 0, 0, 0])
            kept = [attribute for attribute in reader.attribute if attribute.name != "pads"]
            del reader.attribute[:]
            total = [int(a) + int(b) for a, b in zip(own, pads, strict=True)]
            reader.attribute.extend([*kept, helper.make_attribute("pads", total)])
        graph.node.remove(node)


def _spatial_zeros(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> list[int] | None:
    """[top, left, bottom, right] of a Pad of an NCHW image with zeros; None for any other."""
    found: dict[str, Any] = attributes(node)
    pads, value = (_array(constants, name) for name in [*node.input[1:], "", ""][:2])
    if "pads" in found:  # before opset 11
        pads, value = np.array(found["pads"]), np.array(found.get("value", 0.0))
    is_plain = found.get("mode", b"constant") == b"constant" and not any(node.input[3:])
    is_zero = not any(node.input[2:3]) if value is None else not np.any(value)
    if pads is None or pads.size != 8 or not (is_plain and is_zero):
        return None
    batch, image = pads.reshape(2, 4)[:, :2], pads.reshape(2, 4)[:, 2:]
    return None if batch.any() or (image < 0).any() else [int(n) for n in image.reshape(-1)]


def _array(constants: dict[str, onnx.TensorProto], name: str) -> Any:
    return numpy_helper.to_array(constants[name]) if name in constants else None


def _can_take(node: onnx.NodeProto, x: str) -> bool:
    is_input = node.op_type == "Conv" and node.input[0] == x and x not in list(node.input)[1:]
    return is_input and attributes(node).get("auto_pad", b"NOTSET") == b"NOTSET"
