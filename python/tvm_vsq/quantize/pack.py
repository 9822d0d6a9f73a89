"""Lets neighbouring pixels of a thin input share vectors: an image of 3 channels would fill 3 of 16 elements.

The host, which quantizes the inputs of a network anyway, lays them out: at each position of the result, the
columns of the window, some of them, or all of it, lie one behind the other as channels. The convolution then
has a kernel of so many columns less, or of one pixel, and computes the same function. A vector's scale covers
all pixels in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.given import given_weights
from tvm_vsq.graph import (
    Rebuilder,
    bindings,
    constant,
    constant_array,
    definitions,
    replace_main,
    static_shape,
    tensors,
)
from tvm_vsq.network import Window, source_of
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.plan import choose_layers
from tvm_vsq.tvm_compat import Call, IRModule, Var


@dataclass(frozen=True)
class _Way:
    """What lies side by side as channels: a window's pixels along `axes`, 0 for rows.

    some: of the columns so many at a time, and not all; together as far as a multiple of the stride, so that
    those that follow lie side by side at another position of the result.
    """

    axes: tuple[int, ...]
    some: int = 0


_WHOLE = (_Way(()), _Way((1,)), _Way((0, 1)))

_GROWTH = 1.05
"""Vectors that a packed input may take, over those before: strides make one more in a row of odd length."""

_PIECES = 64
"""Each pixel of a window is a slice of the input, which the host's compiler takes time for."""


@dataclass(frozen=True)
class _Layer:
    """A convolution of `channels` channels, with its input's and its result's rows and columns."""

    rewindowed: Callable[[Any, Any, Any, Window], Call]
    window: Window
    given: tuple[int, ...]
    taken: tuple[int, ...]
    channels: int

    @staticmethod
    def of(call: Any, result: Var) -> _Layer | None:
        source = source_of(call)
        window = None if source is None else source.window(call)
        if source is None or source.rewindowed is None or window is None or window.groups != 1:
            return None
        _, *given, channels = static_shape(call.args[0])
        return _Layer(source.rewindowed, window, tuple(given), static_shape(result)[1:3], channels)

    def pieces(self, way: _Way) -> int:
        """Pixels that lie side by side."""
        return way.some or prod([int(self.window.kernel[axis]) for axis in way.axes])

    def inside(self, way: _Way) -> int:
        """Channels of the packed layer."""
        return self.channels * self.pieces(way)

    def extents(self, way: _Way) -> list[int]:
        """Rows and columns of the packed input."""
        left = self.packed(way)
        return [
            self.taken[axis] + (left.kernel[axis] - 1) * int(left.dilation[axis])
            if axis in way.axes
            else self.given[axis]
            for axis in (0, 1)
        ]

    def costs(self, way: _Way, size: int) -> tuple[int, int]:
        """Products of vectors of `size` elements for each result, and vectors of an image."""
        vectors = -(-self.inside(way) // size)
        return vectors * prod(self.packed(way).kernel), vectors * prod(self.extents(way))

    def best(self, size: int) -> _Way:
        """The way with the fewest products of those that take about as many vectors as before, or fewer.

        Some of the columns are tried where all of them would take more vectors, or are too many.
        """
        most = _GROWTH * self.costs(_WHOLE[0], size)[1]

        def fits(way: _Way) -> bool:
            return self.pieces(way) <= _PIECES and self.costs(way, size)[1] <= most

        ways = [way for way in _WHOLE if fits(way)]
        if _WHOLE[1] not in ways:
            ways += filter(fits, self._parts())
        return min(ways, key=lambda way: self.costs(way, size))

    def _parts(self) -> list[_Way]:
        columns, step, stride = (
            int(extents[1]) for extents in (self.window.kernel, self.window.dilation, self.window.strides)
        )
        numbers = range(2, min(columns, _PIECES + 1))
        return [_Way((1,), number) for number in numbers if number * step % stride == 0]

    def packed(self, way: _Way) -> Window:
        """The window that remains."""
        kernel, strides, dilation = (
            [1 if axis in way.axes else int(extents[axis]) for axis in (0, 1)]
            for extents in (self.window.kernel, self.window.strides, self.window.dilation)
        )
        if way.some:
            kernel[1] = -(-self.window.kernel[1] // way.some)
            dilation[1] = way.some * int(self.window.dilation[1]) // int(self.window.strides[1])
        padding = [
            0 if side % 2 in way.axes else int(border) for side, border in enumerate(self.window.padding)
        ]
        return Window((kernel[0], kernel[1]), strides, padding, dilation)


def pack_inputs(module: IRModule, config: QuantConfig) -> IRModule:
    """The canonical `module` with what the host gives to its convolutions packed, where that saves products.

    Layers are left alone whose integers came with the model, whose input would take more vectors than before,
    and whose windows are large. fp32 results differ by the order of sums alone.
    """
    function = module["main"]
    values = definitions(function)
    given = given_weights(module)
    chosen = choose_layers(module, config)
    host = set(function.params)
    for binding in bindings(function):
        read = {leaf for leaf in tensors(binding.value) if isinstance(leaf, Var)}
        if binding.var not in chosen and host.issuperset(read):
            host.add(binding.var)
    ways = {}
    for var, (candidate, settings) in chosen.items():
        call: Any = values[var]
        layer = _Layer.of(call, var)
        if layer is None or call.args[0] not in host or candidate.name in given:
            continue
        way = layer.best(settings.vector_size)
        # What is refused for its padding is named as it is in the model.
        is_refused = config.strict and layer.inside(way) % settings.vector_size
        if way.axes and not is_refused:
            ways[var] = layer, way
    return replace_main(module, _Pack(function, ways).run()) if ways else module


class _Pack(Rebuilder):
    def __init__(self, function: relax.Function, ways: dict[Var, tuple[_Layer, _Way]]) -> None:
        super().__init__(function)
        self._ways = ways

    def rewrite(self, var: Var, value: Any) -> Any:
        if var not in self._ways:
            return value
        layer, way = self._ways[var]
        window = layer.packed(way)
        weights = constant_array(value.args[1])
        if way.some:
            missing = window.kernel[1] * way.some - layer.window.kernel[1]
            weights = np.pad(weights, [(0, 0), (0, 0), (0, missing), (0, 0)])
        weights = weights.reshape(len(weights), *window.kernel, -1)
        x = self._side_by_side(value.args[0], layer, way)
        return layer.rewindowed(value, x, constant(weights), window)

    def _side_by_side(self, x: Any, layer: _Layer, way: _Way) -> Any:
        """`x` with the pixels of each window that `way` names as channels, in the order of the kernel's."""
        window, extents, axes = layer.window, layer.extents(way), way.axes
        counts = [way.some or window.kernel[axis] for axis in axes]
        strides = [int(window.strides[axis]) for axis in axes]
        dilation = [int(window.dilation[axis]) for axis in axes]
        top, left, bottom, right = (
            int(border) if side % 2 in axes else 0 for side, border in enumerate(window.padding)
        )
        if way.some:  # the taps that the kernel is filled up with read zeros, too
            reach = (extents[1] - 1) * strides[0] + (way.some - 1) * dilation[0] + 1
            right = max(right, reach - left - layer.given[1])
        if top or left or bottom or right:
            x = self.emit(relax.op.nn.pad(x, (0, 0, top, bottom, left, right, 0, 0)))
        parts = []
        for taps in product(*map(range, counts)):
            first = [tap * step for tap, step in zip(taps, dilation, strict=True)]
            end = [
                begin + (extents[axis] - 1) * stride + 1
                for begin, axis, stride in zip(first, axes, strides, strict=True)
            ]
            parts.append(
                self.emit(relax.op.strided_slice(x, [1 + axis for axis in axes], first, end, strides))
            )
        return self.emit(relax.op.concat(parts, axis=3))
