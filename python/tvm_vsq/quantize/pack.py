"""Lets neighbouring pixels of a thin input share vectors: an image of 3 channels would fill 3 of 16 elements.

The host, which quantizes the inputs of a network anyway, lays them out: at each position of the result, the
columns of the window, or all of it, lie one behind the other as channels. The convolution then has a kernel
one column wide, or of one pixel, and computes the same function. A vector's scale covers all pixels in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

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

_WAYS: tuple[tuple[int, ...], ...] = ((), (1,), (0, 1))
"""Axes of a window, 0 for rows, whose pixels lie side by side as channels."""

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

    def pieces(self, axes: tuple[int, ...]) -> int:
        """Pixels that lie side by side."""
        return prod([int(self.window.kernel[axis]) for axis in axes])

    def inside(self, axes: tuple[int, ...]) -> int:
        """Channels of the packed layer."""
        return self.channels * self.pieces(axes)

    def costs(self, axes: tuple[int, ...], size: int) -> tuple[int, int]:
        """Products of vectors of `size` elements for each result, and vectors of an image."""
        products = stored = -(-self.inside(axes) // size)
        for axis in (0, 1):
            products *= 1 if axis in axes else self.window.kernel[axis]
            stored *= self.taken[axis] if axis in axes else self.given[axis]
        return products, stored

    def best(self, size: int) -> tuple[int, ...]:
        """The way with the fewest products of those that take about as many vectors as before, or fewer."""
        most = _GROWTH * self.costs((), size)[1]
        ways = [axes for axes in _WAYS if self.pieces(axes) <= _PIECES and self.costs(axes, size)[1] <= most]
        return min(ways, key=lambda axes: self.costs(axes, size))

    def packed(self, axes: tuple[int, ...]) -> Window:
        """The window that remains."""
        kernel, strides, dilation = (
            [1 if axis in axes else int(extents[axis]) for axis in (0, 1)]
            for extents in (self.window.kernel, self.window.strides, self.window.dilation)
        )
        padding = [0 if side % 2 in axes else int(border) for side, border in enumerate(self.window.padding)]
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
        axes = layer.best(settings.vector_size)
        # What is refused for its padding is named as it is in the model.
        is_refused = config.strict and layer.inside(axes) % settings.vector_size
        if axes and not is_refused:
            ways[var] = layer, axes
    return replace_main(module, _Pack(function, ways).run()) if ways else module


class _Pack(Rebuilder):
    def __init__(self, function: relax.Function, ways: dict[Var, tuple[_Layer, tuple[int, ...]]]) -> None:
        super().__init__(function)
        self._ways = ways

    def rewrite(self, var: Var, value: Any) -> Any:
        if var not in self._ways:
            return value
        layer, axes = self._ways[var]
        window = layer.packed(axes)
        weights = constant_array(value.args[1])
        weights = weights.reshape(len(weights), *window.kernel, -1)
        x = self._side_by_side(value.args[0], layer, axes)
        return layer.rewindowed(value, x, constant(weights), window)

    def _side_by_side(self, x: Any, layer: _Layer, axes: tuple[int, ...]) -> Any:
        """`x` with the pixels of each window along `axes` as channels, in the order of the kernel's."""
        window = layer.window
        top, left, bottom, right = (
            int(border) if side % 2 in axes else 0 for side, border in enumerate(window.padding)
        )
        if top or left or bottom or right:
            x = self.emit(relax.op.nn.pad(x, (0, 0, top, bottom, left, right, 0, 0)))
        strides = [int(window.strides[axis]) for axis in axes]
        parts = []
        for taps in product(*(range(window.kernel[axis]) for axis in axes)):
            first = [tap * int(window.dilation[axis]) for tap, axis in zip(taps, axes, strict=True)]
            end = [
                begin + (layer.taken[axis] - 1) * stride + 1
                for begin, axis, stride in zip(first, axes, strides, strict=True)
            ]
            parts.append(
                self.emit(relax.op.strided_slice(x, [1 + axis for axis in axes], first, end, strides))
            )
        return self.emit(relax.op.concat(parts, axis=3))
