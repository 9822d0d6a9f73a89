"""Writes each Resize that TVM computes otherwise as a sum of gathered rows, axis by axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from tvm_vsq.frontend.onnx_nodes import attributes, shapes_of

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Axis:
    """One axis that changes: `size` elements become `target`, `scale` apart in ONNX's formulas."""

    axis: int
    size: int
    target: int
    scale: float


_POLICIES: dict[bytes, Callable[..., float]] = {b"not_larger": min, b"not_smaller": max}


def expand_resizes(graph: onnx.GraphProto) -> None:
    """Replace Resize nodes of constant scales or sizes, in place; those that TVM computes as ONNX does stay.

    TVM derives its scale from the sizes, knows two spatial axes, and rounds coordinates in its own way.
    """
    shapes = shapes_of(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        axes = _axes(node, shapes, constants) if node.op_type == "Resize" else None
        new = None if axes is None else _expanded(node, axes, len(shapes[node.input[0]]))
        nodes.extend([node] if new is None else new[0])
        graph.initializer.extend([] if new is None else new[1])
    del graph.node[:]
    graph.node.extend(nodes)


def _axes(
    node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], constants: dict[str, onnx.TensorProto]
) -> list[_Axis] | None:
    """The axes that change; None where that is not known."""
    found = attributes(node)
    shape = shapes.get(node.input[0])
    _, _, scales, sizes = [*node.input, "", "", ""][:4]
    given = constants.get(scales or sizes)
    if shape is None or given is None:
        return None
    listed = [int(axis) % len(shape) for axis in found.get("axes", range(len(shape)))]
    numbers = numpy_helper.to_array(given).tolist()
    choose = _POLICIES.get(found.get("keep_aspect_ratio_policy", b"stretch"))
    if choose and not scales:
        common = choose(size / shape[axis] for axis, size in zip(listed, numbers, strict=True))
        result = [_Axis(axis, shape[axis], int(common * shape[axis] + 0.5), common) for axis in listed]
    elif scales:
        result = [_Axis(a, shape[a], int(shape[a] * n), n) for a, n in zip(listed, numbers, strict=True)]
    else:
        result = [_Axis(a, shape[a], int(n), n / shape[a]) for a, n in zip(listed, numbers, strict=True)]
    return [axis for axis in result if axis.scale != 1 or axis.target != axis.size]


def _expanded(
    node: onnx.NodeProto, axes: list[_Axis], rank: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]] | None:
    """Nodes and constants in place of `node`; None where TVM's own form is right, or there is none here."""
    found = attributes(node)
    mode = found.get("mode", b"nearest").decode()
    coordinates = found.get("coordinate_transformation_mode", b"half_pixel").decode()
    is_image = rank == 4 and all(axis.axis >= 2 for axis in axes)
    if coordinates == "tf_crop_and_resize" or found.get("antialias", 0):
        return None
    if mode != "nearest" and is_image and _is_exact_in_tvm(axes, coordinates):
        return None
    weigh = {"nearest": _nearest, "linear": _linear, "cubic": _cubic}[mode]
    taps = [[(np.clip(i, 0, axis.size - 1), w) for i, w in weigh(axis, coordinates, found)] for axis in axes]
    if mode == "nearest" and is_image and all(map(_is_repetition, axes, taps)):
        return [_repetition(node)], []
    return _gathers(node, axes, taps, rank)


def _is_exact_in_tvm(axes: list[_Axis], coordinates: str) -> bool:
    is_whole = all(axis.target == axis.scale * axis.size for axis in axes)
    return is_whole and coordinates != "half_pixel_symmetric" and min(axis.target for axis in axes) > 1


def _positions(axis: _Axis, coordinates: str) -> Array:
    """float64[target]: where each element of the result lies in the original, in its elements."""
    at, scale = np.arange(axis.target, dtype=np.float64), axis.scale
    if coordinates == "align_corners":
        return at * (axis.size - 1) / max(axis.scale * axis.size - 1, 1e-30) if axis.target > 1 else at * 0
    if coordinates == "asymmetric":
        return at / scale
    if coordinates == "pytorch_half_pixel" and axis.target == 1:
        return at * 0 - 0.5
    centred = (at + 0.5) / scale - 0.5
    if coordinates == "half_pixel_symmetric":
        centred += axis.size / 2 * (1 - axis.target / (scale * axis.size))
    return centred


Taps = list[tuple[Array, Array | None]]
"""Indices int64[target] and their weights float32[target], None for 1; their sum is the result."""


def _nearest(axis: _Axis, coordinates: str, found: dict[str, Any]) -> Taps:
    x = _positions(axis, coordinates)
    rounded = {
        "floor": np.floor(x),
        "ceil": np.ceil(x),
        "round_prefer_floor": np.ceil(x - 0.5),
        "round_prefer_ceil": np.floor(x + 0.5),
    }[found.get("nearest_mode", b"round_prefer_floor").decode()]
    return [(rounded.astype(np.int64), None)]


def _linear(axis: _Axis, coordinates: str, found: dict[str, Any]) -> Taps:
    x = _positions(axis, coordinates)
    left = np.floor(x)
    return _within(axis, found, [(left, 1 - (x - left)), (left + 1, x - left)])


def _cubic(axis: _Axis, coordinates: str, found: dict[str, Any]) -> Taps:
    """Keys' kernel (1981), a = cubic_coeff_a."""
    x, a = _positions(axis, coordinates), found.get("cubic_coeff_a", -0.75)
    left = np.floor(x)
    taps = []
    for offset in (-1, 0, 1, 2):
        d = np.abs(x - left - offset)
        inner = ((a + 2) * d - (a + 3)) * d * d + 1
        outer = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        taps.append((left + offset, np.where(d <= 1, inner, outer)))
    return _within(axis, found, taps)


def _within(axis: _Axis, found: dict[str, Any], taps: list[tuple[Array, Array]]) -> Taps:
    """Elements beyond the border repeat it, or, with exclude_outside, weigh nothing."""
    if found.get("exclude_outside", 0):
        weights = [np.where((index < 0) | (index >= axis.size), 0, weight) for index, weight in taps]
        total = np.sum(weights, axis=0)
        taps = [(index, weight / total) for (index, _), weight in zip(taps, weights, strict=True)]
    return [(index.astype(np.int64), weight.astype(np.float32)) for index, weight in taps]


def _is_repetition(axis: _Axis, taps: Taps) -> bool:
    whole, rest = divmod(axis.target, axis.size)
    return rest == 0 and np.array_equal(taps[0][0], np.arange(axis.target) // whole)


def _repetition(node: onnx.NodeProto) -> onnx.NodeProto:
    """The same in the words that TVM takes exactly."""
    words = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    kept = [attribute for attribute in node.attribute if attribute.name not in words]
    del plain.attribute[:]
    plain.attribute.extend([*kept, *(helper.make_attribute(name, word) for name, word in words.items())])
    return plain


def _gathers(
    node: onnx.NodeProto, axes: list[_Axis], taps: list[Taps], rank: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def emit(kind: str, inputs: list[str], **fields: Any) -> str:
        nodes.append(
            helper.make_node(kind, inputs, [f"{node.output[0]}.{len(nodes)}"], name=node.name, **fields)
        )
        return str(nodes[-1].output[0])

    def keep(array: Array) -> str:
        constants.append(numpy_helper.from_array(array, f"{node.output[0]}.constant{len(constants)}"))
        return str(constants[-1].name)

    x = node.input[0]
    for axis, parts in zip(axes, taps, strict=True):
        terms = []
        for index, weight in parts:
            term = emit("Gather", [x, keep(index)], axis=axis.axis)
            if weight is not None:
                shape = [1] * rank
                shape[axis.axis] = -1
                term = emit("Mul", [term, keep(weight.reshape(shape))])
            terms.append(term)
        x = terms[0]
        for term in terms[1:]:
            x = emit("Add", [x, term])
    emit("Identity", [x])
    nodes[-1].output[0] = node.output[0]
    return nodes, constants
