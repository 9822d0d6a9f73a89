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
from tvm_vsq.frontend.given import GivenClip, GivenWeights
from tvm_vsq.frontend.onnx_integers import INTEGERS, Integers, along, bounds, dequantize, quantize
from tvm_vsq.frontend.onnx_names import LAYERS
from tvm_vsq.frontend.onnx_nodes import STANDARD, attributes, describe, shapes_of

Array = npt.NDArray[Any]

OWN_DOMAIN = "tvm_vsq"
OWN_QUANTIZER, OWN_STATIC_QUANTIZER = "VectorFakeQuantize", "VectorFakeQuantizeStatic"
"""The functions that `export_onnx` writes wherever an activation goes through vectors."""

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
    "DepthToSpace",
    "Flatten",
    "Gather",
    "Identity",
    "MaxPool",
    "Pad",
    "Relu",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
"""Operators whose results are elements of their first operand, or 0."""

_POSITIVE = {"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Sqrt"}
_KEEP_SIGN = (_KEEP_RANGE - {"Pad"}) | {
    "Add",
    "AveragePool",
    "Concat",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Mul",
}
"""Operators whose results are never below 0, and those for which this follows from their operands."""


OWN_FUNCTIONS = [(OWN_DOMAIN, OWN_QUANTIZER), (OWN_DOMAIN, OWN_STATIC_QUANTIZER)]


@dataclass(frozen=True)
class Bypassed:
    """QuantizeLinear and DequantizeLinear (`what`) from tensor `source` to `output`. A clip to [low, high]
    stands for them, from which they differ by half a step at most."""

    what: str
    source: str
    output: str
    low: Array
    high: Array
    step: float


@dataclass
class Found:
    """What the model says of its layers, by the output of each one's node: integer weights, and the range
    that its input is given. clips: those in the graph that stand for quantization alone. origins: for a
    constant made here, the initializer that it was made from. bypassed: what was taken out."""

    weights: dict[str, GivenWeights] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    clips: set[GivenClip] = field(default_factory=set)
    origins: dict[str, str] = field(default_factory=dict)
    bypassed: list[Bypassed] = field(default_factory=list)


def has_quantization(graph: onnx.GraphProto) -> bool:
    """Whether there is anything for `remove_quantization` to take out."""
    kinds = {"QuantizeLinear", "DequantizeLinear", OWN_QUANTIZER, OWN_STATIC_QUANTIZER}
    return any(node.op_type in kinds for node in graph.node)


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
        self._shapes = shapes_of(graph)
        self._protos = {tensor.name: tensor for tensor in graph.initializer}
        self._integers: dict[str, Integers] = {}
        self._found = Found()
        self._kept: list[onnx.NodeProto] = []
        self._quantized: dict[str, onnx.NodeProto] = {}  # activations, by the output of QuantizeLinear
        self._pairs: dict[tuple[Any, ...], str] = {}  # what replaces a tensor quantized in one way
        # the range of such a tensor, and what it was made from
        self._limits: dict[str, tuple[float, frozenset[str]]] = {}
        self._positive: set[str] = set()  # tensors that hold nothing below 0
        self._unused: set[str] = set()
        self._fixed: set[tuple[float, float]] = set()  # bounds of clips that mean more than quantization

    def run(self) -> Found:
        for node in self._graph.node:
            if node.op_type in _INTEGER_OPERATORS:
                raise ModelError(f"{describe(node)} computes on integers; {_FP32_HINT}")
            if not self._take(node):
                self._follow(node)
                self._note_layer(node)
                self._kept.append(node)
        for output in self._graph.output:
            if output.name in self._quantized:
                last = describe(self._quantized[output.name])
                raise ModelError(
                    f"output '{output.name}' is quantized by {last}; end the model with DequantizeLinear"
                )
        readers = {name for node in self._kept for name in node.input}
        for name, source in self._quantized.items():
            if name in readers:
                raise ModelError(f"{describe(source)} has a reader that is no DequantizeLinear; {_FP32_HINT}")
        del self._graph.node[:]
        self._graph.node.extend(self._kept)
        readers |= {output.name for output in self._graph.output}
        read = [tensor for tensor in self._graph.initializer if tensor.name in readers]
        del self._graph.initializer[:]
        self._graph.initializer.extend(read)
        if self._unused:
            warnings.warn(
                f"the model quantizes {', '.join(sorted(self._unused))}, but not with one scale in front of "
                "a layer with constant weights; these ranges are calibrated anew",
                VsqWarning,
                stacklevel=2,
            )
        self._found.clips = {clip for clip in self._found.clips if (clip.low, clip.high) not in self._fixed}
        return self._found

    def _take(self, node: onnx.NodeProto) -> bool:
        """Whether `node` is quantization, and gone."""
        if node.domain == OWN_DOMAIN and node.op_type in (OWN_QUANTIZER, OWN_STATIC_QUANTIZER):
            a = attributes(node)
            step = float(a["gamma"]) * float(a["smax"])
            low, high = (np.array(step * float(a[bound])) for bound in ("lo", "qmax"))
            self._replace(node, node.input[0], low, high, step)
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
        if not self._is_inverse(source, node):
            raise ModelError(
                f"{describe(node)} has another scale, zero point or axis than {describe(source)}, whose "
                f"integers it reads; {_FP32_HINT}"
            )
        self._replace(node, source.input[0], *self._range(source))
        return True

    def _is_inverse(self, source: onnx.NodeProto, node: onnx.NodeProto) -> bool:
        """Whether a DequantizeLinear undoes a QuantizeLinear."""
        for there, back in zip([*source.input, ""][1:3], [*node.input, ""][1:3], strict=True):
            a, b = self._constant(there), self._constant(back)
            one, other = (
                np.zeros(()) if value is None else np.asarray(value, np.float64) for value in (a, b)
            )
            if not (
                np.array_equal(one, other) or (one.size == other.size == 1 and one.item() == other.item())
            ):
                return False
        scale = self._constant(node.input[1])
        forms = [(a.get("axis", 1), a.get("block_size", 0)) for a in map(attributes, (source, node))]
        return scale is None or scale.size == 1 or forms[0] == forms[1]

    def _fold(self, node: onnx.NodeProto, x: Array, scale: Array, zero: Array | None) -> None:
        name = node.output[0]
        if node.input[0] in self._protos and self._protos[node.input[0]].data_type not in INTEGERS:
            raise ModelError(f"{describe(node)} reads {x.dtype} elements; only integers have a form here")
        made = dequantize(node, x, scale, zero, self._integers.get(node.input[1]))
        self._integers[name] = made
        self._constants[name] = made.value()
        self._found.origins[name] = self._found.origins.get(node.input[0], node.input[0])
        self._graph.initializer.append(numpy_helper.from_array(self._constants[name], name))

    def _follow(self, node: onnx.NodeProto) -> None:
        """Let what is known of a tensor pass through operators that only move its elements."""
        if node.op_type == "Clip":
            low, high = (self._constant(name) for name in [*node.input, "", ""][1:3])
            if low is not None and high is not None:
                self._fixed.add((float(low.reshape(())), float(high.reshape(()))))
        source = node.input[0] if node.input else ""
        if source in self._limits and node.op_type in _KEEP_RANGE and self._pads_within(node):
            self._limits |= dict.fromkeys(node.output, self._limits[source])
        if node.op_type == "Concat" and all(name in self._limits for name in node.input):
            ranges, origins = zip(*(self._limits[name] for name in node.input), strict=True)
            if len(set(ranges)) == 1:
                self._limits[node.output[0]] = (ranges[0], frozenset().union(*origins))
        if self._is_positive(node):
            self._positive.update(node.output)
        if source not in self._integers or node.op_type not in ("Identity", "Transpose", "Reshape"):
            return
        integers = self._integers[source]
        if node.op_type == "Reshape":
            target = self._constant(node.input[1])
            if target is None or tuple(map(int, target)) != (*integers.elements.shape, 1):
                return
            integers = integers.with_unit_axis()
        if node.op_type == "Transpose":
            reverse = list(range(integers.elements.ndim))[::-1]
            integers = integers.transposed(list(attributes(node).get("perm", reverse)))
        self._integers[node.output[0]] = integers

    def _note_layer(self, node: onnx.NodeProto) -> None:
        if node.op_type not in LAYERS or node.domain not in STANDARD or len(node.input) < 2:
            return
        data, weight = node.input[:2]
        a = attributes(node)
        if data in self._limits and a.get("alpha", 1.0) == 1.0 and self._is_constant(weight):
            self._found.limits[node.output[0]], origins = self._limits[data]
            self._unused -= origins
        integers = self._integers.get(weight)
        rank = 0 if integers is None else integers.elements.ndim
        if integers is None or rank not in ((3, 4) if node.op_type == "Conv" else (2, 4)):
            return
        transposed = node.op_type == "Gemm" and a.get("transB", 0)
        to_rows = [0, *range(2, rank), 1] if rank > 2 else [0, 1] if transposed else [1, 0]
        given = integers.transposed(to_rows).given()
        if given is None:
            warnings.warn(
                f"{describe(node)}: the blocks of '{weight}' do not run along the input channels; the "
                "weights they stand for are quantized anew",
                VsqWarning,
                stacklevel=2,
            )
        else:
            self._found.weights[node.output[0]] = given.of_image() if rank == 3 else given

    def _pads_within(self, node: onnx.NodeProto) -> bool:
        """Whether what a Pad adds is 0 or from the tensor itself; true for other operators."""
        if node.op_type != "Pad" or attributes(node).get("mode", b"constant") != b"constant":
            return True
        value = self._constant([*node.input, "", ""][2])
        return not [*node.input, "", ""][2] or (value is not None and not value.any())

    def _is_constant(self, name: str) -> bool:
        return name in self._constants or name in self._protos or name in self._integers

    def _is_positive(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "Clip":
            low = self._constant([*node.input, ""][1])
            return low is not None and bool((low >= 0).all())
        data = node.input[:1] if node.op_type in _KEEP_RANGE else node.input  # the rest are shapes
        follows = (
            self._pads_within(node)
            and node.op_type in _KEEP_SIGN
            and all(name in self._positive for name in data)
        )
        return node.op_type in _POSITIVE or follows

    def _constant(self, name: str) -> Array | None:
        if name not in self._constants and name in self._protos:
            self._constants[name] = numpy_helper.to_array(self._protos[name])
        return self._constants.get(name)

    def _range(self, node: onnx.NodeProto) -> tuple[Array, Array, float]:
        """The smallest and largest value that a QuantizeLinear holds, in the rank of its tensor if there are
        several, and its largest step."""
        _, scale, zero = (self._constant(name) for name in [*node.input, ""][:3])
        kind = attributes(node).get("output_dtype", 0)
        dtype = helper.tensor_dtype_to_np_dtype(kind or TensorProto.UINT8) if zero is None else zero.dtype
        if scale is None or helper.np_dtype_to_tensor_dtype(dtype) not in INTEGERS:
            raise ModelError(f"{describe(node)} quantizes to {dtype}; only integers have a form here")
        offset = np.zeros_like(scale) if zero is None else zero
        low, high = ((bound - offset.astype(np.float64)) * scale for bound in bounds(dtype))
        if low.size == 1:
            return low.reshape(()), high.reshape(()), float(scale.max())
        shape = self._shapes.get(node.input[0])
        if shape is None:
            raise ModelError(
                f"{describe(node)} has several scales, and the shape of its tensor is not known; {_FP32_HINT}"
            )
        return along(node, low, shape), along(node, high, shape), float(scale.max())

    def _replace(self, node: onnx.NodeProto, source: str, low: Array, high: Array, step: float) -> None:
        """Let a Clip stand for an activation's quantization, of which the output of `node` is the result.

        It has a name of its own: what else reads `source` is not clipped, and has no such range.
        """
        output = node.output[0]
        first = self._pairs.setdefault((source, low.tobytes(), high.tobytes(), step), output)
        if first != output:
            self._kept.append(helper.make_node("Identity", [first], [output]))
            self._follow(self._kept[-1])
            return
        self._unused.add(source)
        is_symmetric = low.size == 1 and low + high == -step  # the most negative code has no counterpart
        limit = float(high if is_symmetric else np.maximum(-low, high)) if low.size == 1 else 0.0
        is_positive = source in self._positive
        low, high = (np.maximum(low, 0) if is_positive else low).astype(np.float32), high.astype(np.float32)
        if node.op_type == "DequantizeLinear":
            self._found.bypassed.append(Bypassed(describe(node), source, output, low, high, step))
        self._clip(output, source, low, high)
        if low.ndim == 0 and (low < 0 or is_positive):
            self._found.clips.add(GivenClip(float(low), float(high), step))
        elif low.ndim == 0:  # onnxruntime's quantizer drops the Relu or Clip whose work a range from 0 does
            self._fixed.add((float(low), float(high)))
        if (low >= 0).all():
            self._positive.add(output)
        if limit > 0:
            self._limits[output] = (limit, frozenset([source]))

    def _clip(self, output: str, source: str, low: Array, high: Array) -> None:
        names = [f"{output}.low", f"{output}.high"]
        self._graph.initializer.extend(map(numpy_helper.from_array, (low, high), names))
        if low.ndim == 0:
            self._kept.append(helper.make_node("Clip", [source, *names], [output], name=output))
            return
        self._kept.append(helper.make_node("Max", [source, names[0]], [f"{output}.above"], name=output))
        self._kept.append(helper.make_node("Min", [f"{output}.above", names[1]], [output], name=output))
