"""Images that are resized by integers, from the operators that the accelerator has."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import floor
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.interleave import interleaved
from tvm_vsq.graph import constant, op_name, static_shape
from tvm_vsq.network import LayerRebuilder
from tvm_vsq.network.names import part_of
from tvm_vsq.network.rebuild import is_nonnegative
from tvm_vsq.tvm_compat import IRModule, Var

_PHASES = 16
"""Convolutions that one resize may become."""


def resizes_to_phases(module: IRModule) -> IRModule:
    """relax.image.resize2d, channels last, that enlarges by integers becomes its phases, interleaved.

    With the nearest pixel all phases are the image. Linear ones are weighted sums of two neighbours along an
    axis: depthwise convolutions of the image with a border that repeats its outermost pixels. For a factor of
    2 and 4 their weights are whole multiples of 1/16 and 1/64. Others, and those that align corners, whose
    weights change from pixel to pixel, stay.
    """
    return _ResizesToPhases(module).rebuilt()


@dataclass(frozen=True)
class _Phase:
    """Along one axis: pixel i is the sum of weights[n] * image[i + first + n]."""

    first: int
    weights: tuple[float, ...]

    @classmethod
    def at(cls, offset: float) -> _Phase:
        """What lies `offset` pixels behind each pixel, between two or on one."""
        first = floor(offset)
        part = offset - first
        return cls(first, (1 - part, part) if part else (1.0,))


_SAME = _Phase(0, (1.0,))


class _ResizesToPhases(LayerRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._count = 0

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.image.resize2d" or not isinstance(value.args[0], Var):
            return value
        given, results = static_shape(value.args[0])[1:3], static_shape(var)[1:3]
        if str(value.attrs.layout) != "NHWC" or any(b % a for a, b in zip(given, results, strict=True)):
            return value
        factors = [result // extent for extent, result in zip(given, results, strict=True)]
        offsets = _offsets(value, factors)
        if offsets is None:
            return value
        along = [
            [_SAME if extent == 1 else _Phase.at(offset) for offset in of_axis]
            for extent, of_axis in zip(given, offsets, strict=True)
        ]
        if len({(a, b) for a in along[0] for b in along[1]}) > _PHASES:
            return value
        return self._interleaved(value.args[0], along)

    def _interleaved(self, x: Var, along: list[list[_Phase]]) -> Any:
        parts: dict[tuple[_Phase, _Phase], Var] = {(_SAME, _SAME): x}
        needed = list(dict.fromkeys(product(along[0], along[1])))
        if needed != [(_SAME, _SAME)]:
            name, border = f"upsample_{self._count}", _Border.of(along)
            self._count += 1
            image = border.around(self, x)
            for number, pair in enumerate(pair for pair in needed if pair not in parts):
                parts[pair] = self._convolved(
                    image, border, pair, static_shape(x), part_of(name, "phase", number)
                )
        rows = [interleaved(self.emit, [parts[row, column] for row in along[0]], 1) for column in along[1]]
        return interleaved(self.emit, rows, 2)

    def _convolved(
        self, image: Var, border: _Border, pair: tuple[_Phase, _Phase], shape: tuple[int, ...], name: str
    ) -> Var:
        rows, columns = pair
        begins = [rows.first + border.top, columns.first + border.left]
        ends = [
            begin + extent + len(phase.weights) - 1
            for begin, extent, phase in zip(begins, shape[1:3], pair, strict=True)
        ]
        if begins != [0, 0] or tuple(ends) != static_shape(image)[1:3]:
            image = self.emit(relax.op.strided_slice(image, [1, 2], begins, ends))
        kernel = np.multiply.outer(rows.weights, columns.weights).astype(np.float32)
        weights = np.broadcast_to(kernel[None, :, :, None], (shape[3], *kernel.shape, 1))
        convolved = relax.op.nn.conv2d(
            image,
            constant(weights),
            groups=shape[3],
            data_layout="NHWC",
            kernel_layout="OHWI",
            out_layout="NHWC",
        )
        layer = self.layer(convolved, name)
        # no weight is below 0 either: a clamp that changes nothing says so, and vectors need no sign
        return self.emit(relax.op.nn.relu(layer)) if is_nonnegative(self, image) else layer


@dataclass(frozen=True)
class _Border:
    """How many rows and columns are repeated on each side."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of(cls, along: list[list[_Phase]]) -> _Border:
        """What the phases reach."""
        before = [max(-phase.first for phase in phases) for phases in along]
        after = [max(phase.first + len(phase.weights) - 1 for phase in phases) for phases in along]
        return cls(max(before[0], 0), max(before[1], 0), max(after[0], 0), max(after[1], 0))

    def around(self, rebuilder: LayerRebuilder, x: Var) -> Var:
        """`x` with its border."""
        for axis, before, after in ((1, self.top, self.bottom), (2, self.left, self.right)):
            if not before and not after:
                continue
            extent = static_shape(x)[axis]
            first = [rebuilder.emit(relax.op.strided_slice(x, [axis], [0], [1]))] if before else []
            last = (
                [rebuilder.emit(relax.op.strided_slice(x, [axis], [extent - 1], [extent]))] if after else []
            )
            x = rebuilder.emit(relax.op.concat([*first * before, x, *last * after], axis=axis))
        return x


def _offsets(value: Any, factors: list[int]) -> list[list[float]] | None:
    """Where each phase lies, in pixels of the image from one of them; None if that is no fixed place."""
    attrs = value.attrs
    method, coordinates = str(attrs.method), str(attrs.coordinate_transformation_mode)
    rounding = str(attrs.rounding_method)
    if method == "nearest_neighbor":
        is_floor = coordinates == "asymmetric" and rounding in ("", "floor")
        is_round = coordinates in ("half_pixel", "pytorch_half_pixel") and rounding.startswith("round")
        return [[0.0] * factor for factor in factors] if is_floor or is_round else None
    if method != "linear":
        return None
    if coordinates == "asymmetric":
        return [[phase / factor for phase in range(factor)] for factor in factors]
    if coordinates in ("half_pixel", "pytorch_half_pixel"):
        return [[(phase + 0.5) / factor - 0.5 for phase in range(factor)] for factor in factors]
    return None
