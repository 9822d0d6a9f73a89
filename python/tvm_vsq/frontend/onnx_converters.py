"""Relax operators for those of ONNX that TVM's importer makes TIR functions of, or knows in part."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.local_response import LocalResponse
from tvm_vsq.graph import constant, constant_array, dtype_of, is_constant, static_shape

_PAD_MODES = {b"constant": "constant", b"edge": "replicate", b"reflect": "reflect", b"wrap": "circular"}


def _clip(inputs: list[Any], _attributes: dict[str, Any]) -> Any:
    """min(max(x, low), high): where low is above high, the result is high everywhere."""
    x, low, high = inputs[:3]
    if not all(bound is None or is_constant(bound) for bound in (low, high)) or dtype_of(x) != "float32":
        x = x if low is None else relax.op.maximum(x, low)
        return x if high is None else relax.op.minimum(x, high)
    # NaN is no bound
    lower, upper = (
        default if bound is None or np.isnan(constant_array(bound)) else float(constant_array(bound))
        for bound, default in ((low, -np.inf), (high, np.inf))
    )
    if (lower, upper) == (0.0, np.inf):
        return relax.op.nn.relu(x)
    return relax.op.clip(x, min(lower, upper), upper)


def _pad(inputs: list[Any], attributes: dict[str, Any]) -> Any:
    x, widths, value, axes = inputs[:4]
    shape = static_shape(x)
    listed = range(len(shape)) if axes is None else [int(axis) % len(shape) for axis in constant_array(axes)]
    pads = np.zeros((len(shape), 2), int)
    pads[list(listed)] = constant_array(widths).reshape(2, -1).T
    if (pads < 0).any():
        cut = np.minimum(pads, 0)
        ends = [extent + int(after) for extent, (_, after) in zip(shape, cut, strict=True)]
        x = relax.op.strided_slice(x, list(range(len(shape))), [-int(before) for before, _ in cut], ends)
        pads = np.maximum(pads, 0)
    number = 0.0 if value is None else constant_array(value).item()
    mode = _PAD_MODES[attributes.get("mode", b"constant")]
    return relax.op.nn.pad(x, [int(width) for width in pads.reshape(-1)], mode, number) if pads.any() else x


def _tile(inputs: list[Any], _attributes: dict[str, Any]) -> Any:
    return relax.op.tile(inputs[0], [int(n) for n in constant_array(inputs[1])])


def _einsum(inputs: list[Any], attributes: dict[str, Any]) -> Any:
    return relax.op.einsum(tuple(x for x in inputs if x is not None), attributes["equation"].decode())


def _dropout(inputs: list[Any], _attributes: dict[str, Any]) -> Any:
    x, _, training = inputs[:3]
    if training is not None and not (is_constant(training) and not constant_array(training).any()):
        raise NotImplementedError("it is in training mode; export the model in eval mode")
    return relax.Tuple([x, constant(np.ones(static_shape(x), bool))])


def _gather(inputs: list[Any], attributes: dict[str, Any]) -> Any:
    x, indices = inputs[:2]
    if not isinstance(getattr(x, "ty", None), relax.TensorType) or is_constant(x) or not is_constant(indices):
        return NotImplemented
    axis = int(attributes.get("axis", 0)) % len(x.ty.shape)
    extent, array = static_shape(x)[axis], constant_array(indices)
    if array.size and not -extent <= array.min() <= array.max() < extent:
        raise IndexError(f"indices from {array.min()} to {array.max()}, the axis has {extent} elements")
    return relax.op.take(x, constant(array % extent), axis, mode="clip")


def _is_inf(inputs: list[Any], attributes: dict[str, Any]) -> Any:
    x = inputs[0]
    signs = [
        sign for sign, name in ((1, "positive"), (-1, "negative")) if attributes.get(f"detect_{name}", 1)
    ]
    found = [relax.op.equal(x, constant(np.array(sign * np.inf, dtype_of(x)))) for sign in signs]
    if not found:
        return constant(np.zeros(static_shape(x), bool))
    return found[0] if len(found) == 1 else relax.op.logical_or(*found)


def _lrn(inputs: list[Any], attributes: dict[str, Any]) -> Any:
    x, size = inputs[0], int(attributes["size"])
    if len(x.ty.shape) != 4:
        return NotImplemented
    found = LocalResponse(
        size,
        (size - 1) // 2,
        float(attributes.get("alpha", 1e-4)),
        float(attributes.get("beta", 0.75)),
        float(attributes.get("bias", 1.0)),
    )
    return found.of(x, lambda call: call, lambda call: call)


def _sum(inputs: list[Any], _attributes: dict[str, Any]) -> Any:
    """A chain of additions, which layers take as their residual; TVM would stack the operands."""
    operands = [x for x in inputs if x is not None]
    if not all(isinstance(getattr(x, "ty", None), relax.TensorType) for x in operands):
        return NotImplemented
    return functools.reduce(relax.op.add, operands)


CONVERTERS: dict[str, Callable[[list[Any], dict[str, Any]], Any]] = {
    "Clip": _clip,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "Gather": _gather,
    "IsInf": _is_inf,
    "LRN": _lrn,
    "Pad": _pad,
    "Sum": _sum,
    "Tile": _tile,
}
"""(inputs, then None for each one that is left out; attributes) to an expression, or to NotImplemented where
TVM's own form is right; by operator, opset 21."""
