"""Takes QuantizeLinear and DequantizeLinear out of an ONNX graph, and keeps what they say.

TVM's importer refuses them with a block_size, and would run the others as operators on the CPU.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from tvm_vsq.errors import ModelError, VsqWarning
from tvm_vsq.frontend.given import GivenWeights
from tvm_vsq.frontend.onnx_integers import (
    INTEGERS,
    Integers,
    attributes,
    bounds,
    dequantize,
    describe,
    quantize,
)

Array = npt.NDArray[Any]

STANDARD = ("", "ai.onnx")
OWN_DOMAIN = "tvm_vsq"
OWN_QUANTIZER, OWN_STATIC_QUANTIZER = "VectorFakeQuantize", "VectorFakeQuantizeStatic"
"""The functions that `export_onnx` writes wherever an activation goes through vectors."""

_LAYERS = {"Conv", "Gemm", "MatMul"}
_QDQ_DOMAINS = (*STANDARD, "com.microsoft", "trt")
_FP32_HINT = "export the model in QDQ form (QuantizeLinear and DequantizeLinear around fp32 operators)"
_INTEGER_OPERATORS = {
    "ConvInteger",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "MatMulNBits",
    "QLinearConv",
    "QLinearMatMul",
}
_KEEP_RANGE = {
    "Flatten",
    "Identity",
    "MaxPool",
    "Pad",
    "Relu",
    "Reshape",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}


@dataclass
class Found:
    """By the name of the weight in the graph: its integers, the range its layer's input is given, and the
    name of the initializer that it was computed from."""

    weights: dict[str, GivenWeights] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


def remove_quantization(graph: onnx.GraphProto) -> Found:
    """Make `graph` fp32, in place: constants are folded, quantization of activations is bypassed.

    Raises ModelError for integer operators, and for what does not come in pairs; warns (VsqWarning) where
    something the model says cannot be kept.
    """
    return _Removal(graph).run()


class _Removal:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants: dict[str, Array] = {}
        self._protos = {tensor.name: tensor for tensor in graph.initializer}
        self._integers: dict[str, Integers] = {}
        self._root: dict[str, str] = {}  # a transposed weight's folded origin
        self._found = Found()
        self._kept: list[onnx.NodeProto] = []
        self._quantized: dict[str, onnx.NodeProto] = {}  # activations, by the output of QuantizeLinear
        self._renamed: dict[str, str] = {}  # an activation's quantized form to what replaces it
        self._limits: dict[str, tuple[float, str]] = {}  # and the range it had, with the tensor it is from
        self._unused: set[str] = set()

    def run(self) -> Found:
        for node in self._graph.node:
            if node.op_type in _INTEGER_OPERATORS:
                raise ModelError(f"{describe(node)} computes on integers; {_FP32_HINT}")
            node.input[:] = [self._renamed.get(name, name) for name in node.input]
            if not self._take(node):
                self._follow(node)
                self._note_layer(node)
                self._kept.append(node)
        for output in self._graph.output:
            if output.name in self._renamed:
                self._kept.append(helper.make_node("Identity", [self._renamed[output.name]], [output.name]))
            if output.name in self._quantized:
                raise ModelError(f"output '{output.name}' is quantized; end the model with DequantizeLinear")
        readers = {name for node in self._kept for name in node.input}
        for name, source in self._quantized.items():
            if name in readers:
                raise ModelError(f"{describe(source)} has a reader that is no DequantizeLinear; {_FP32_HINT}")
        del self._graph.node[:]
        self._graph.node.extend(self._kept)
        if self._unused:
            warnings.warn(
                f"the model quantizes {', '.join(sorted(self._unused))}, but not with one scale in front of "
                "a layer with constant weights; these ranges are calibrated anew",
                VsqWarning,
                stacklevel=2,
            )
        return self._found

    def _take(self, node: onnx.NodeProto) -> bool:
        """Whether `node` is quantization, and gone."""
        if node.domain == OWN_DOMAIN and node.op_type in (OWN_QUANTIZER, OWN_STATIC_QUANTIZER):
            a = attributes(node)
            limit = float(a["gamma"]) * float(a["qmax"]) * float(a["smax"])
            self._bypass(node.output[0], node.input[0], limit)
            return True
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.domain not in _QDQ_DOMAINS:
            return False
        x, scale, zero = (self._constant(name) for name in [*node.input, ""][:3])
        if scale is None or (len(node.input) > 2 and node.input[2] and zero is None):
            raise ModelError(f"{describe(node)} has a scale that is computed at run time; {_FP32_HINT}")
        output = node.output[0]
        if node.op_type == "QuantizeLinear":
            if x is None:
                self._quantized[output] = node
            else:
                self._constants[output] = quantize(node, x, scale, zero)
                self._found.origins[output] = node.input[0]
            return True
        if x is not None:
            self._fold(node, x, scale, zero)
            return True
        source = self._quantized.get(node.input[0])
        if source is None:
            raise ModelError(
                f"{describe(node)} reads '{node.input[0]}', which no QuantizeLinear wrote; {_FP32_HINT}"
            )
        low, high = self._range(source)
        if low == 0 < high:
            self._clip(output, source.input[0], high)
        else:
            self._bypass(output, source.input[0], max(-low, high))
        return True

    def _fold(self, node: onnx.NodeProto, x: Array, scale: Array, zero: Array | None) -> None:
        name = node.output[0]
        if node.input[0] in self._protos and self._protos[node.input[0]].data_type not in INTEGERS:
            raise ModelError(f"{describe(node)} reads {x.dtype} elements; only integers have a form here")
        made = dequantize(node, x, scale, zero, self._integers.get(node.input[1]))
        self._integers[name], self._root[name] = made, name
        self._constants[name] = made.value()
        self._found.origins[name] = self._found.origins.get(node.input[0], node.input[0])
        self._graph.initializer.append(numpy_helper.from_array(self._constants[name], name))

    def _follow(self, node: onnx.NodeProto) -> None:
        """Let what is known of a tensor pass through operators that only move its elements."""
        source = node.input[0] if node.input else ""
        if source in self._limits and node.op_type in _KEEP_RANGE:
            self._limits[node.output[0]] = self._limits[source]
        if source not in self._integers or node.op_type not in ("Identity", "Transpose"):
            return
        integers = self._integers[source]
        if node.op_type == "Transpose":
            reverse = list(range(integers.elements.ndim))[::-1]
            integers = integers.transposed(list(attributes(node).get("perm", reverse)))
        self._integers[node.output[0]], self._root[node.output[0]] = integers, self._root[source]

    def _note_layer(self, node: onnx.NodeProto) -> None:
        if node.op_type not in _LAYERS or node.domain not in STANDARD or len(node.input) < 2:
            return
        data, weight = node.input[:2]
        a = attributes(node)
        root = self._root.get(weight, weight)
        if data in self._limits and a.get("alpha", 1.0) == 1.0 and self._is_constant(root):
            limit, origin = self._limits[data]
            self._found.limits[root] = max(limit, self._found.limits.get(root, 0.0))
            self._unused.discard(origin)
        integers = self._integers.get(weight)
        if integers is None or integers.elements.ndim not in (2, 4):
            return
        transposed = node.op_type == "Gemm" and a.get("transB", 0)
        to_rows = [0, 2, 3, 1] if integers.elements.ndim == 4 else [0, 1] if transposed else [1, 0]
        given = integers.transposed(to_rows).given()
        if given is None:
            warnings.warn(
                f"{describe(node)}: the blocks of '{root}' do not run along the input channels; the weights "
                "they stand for are quantized anew",
                VsqWarning,
                stacklevel=2,
            )
        else:
            self._found.weights[root] = given

    def _is_constant(self, name: str) -> bool:
        return name in self._constants or name in self._protos

    def _constant(self, name: str) -> Array | None:
        if name not in self._constants and name in self._protos:
            self._constants[name] = numpy_helper.to_array(self._protos[name])
        return self._constants.get(name)

    def _range(self, node: onnx.NodeProto) -> tuple[float, float]:
        """The smallest and largest value a QuantizeLinear of an activation can hold; 0, 0 if it has several
        scales. The most negative code of a symmetric type is left out."""
        scale, zero = self._constant(node.input[1]), self._constant([*node.input, ""][2])
        kind = attributes(node).get("output_dtype", 0)
        dtype = helper.tensor_dtype_to_np_dtype(kind or TensorProto.UINT8) if zero is None else zero.dtype
        if scale is None or scale.size != 1 or helper.np_dtype_to_tensor_dtype(dtype) not in INTEGERS:
            return 0.0, 0.0
        offset = 0 if zero is None else int(np.asarray(zero).reshape(-1)[0])
        low, high = bounds(dtype)
        low = -high if low < 0 and offset == 0 else low
        step = float(scale.reshape(-1)[0])
        return (low - offset) * step, (high - offset) * step

    def _clip(self, output: str, source: str, high: float) -> None:
        """In place of a range from 0: onnxruntime's quantizer drops the Relu or Clip whose work it does."""
        names = []
        for part, value in (("zero", 0.0), ("limit", high)):
            names.append(f"{output}.{part}")
            self._graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), names[-1]))
        self._kept.append(helper.make_node("Clip", [source, *names], [output], name=output))
        self._limits[output] = (high, source)
        self._unused.add(source)

    def _bypass(self, output: str, source: str, limit: float) -> None:
        self._renamed[output] = source
        self._unused.add(source)
        if limit > 0:
            self._limits[source] = (limit, source)
