"""Convolutions with groups as ordinary and depthwise ones, whose operands are whole vectors.

A group is a convolution of some of the channels, where these are whole vectors. Where they are not, so many
neighbouring groups are one convolution that they are, with zeros between channels of different groups. A
convolution that reads every channel m times is m depthwise ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.frontend.given import given_weights
from tvm_vsq.frontend.sink_moves import sink_moves
from tvm_vsq.graph import constant, constant_array, definitions, op_name, static_shape
from tvm_vsq.network import LayerRebuilder, Window, layer_names, source_of
from tvm_vsq.network.names import part_of
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.plan import grouped_layers
from tvm_vsq.tvm_compat import Call, IRModule, Var

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Channels:
    """Of a convolution: input and output channels, and in how many groups they are read apart."""

    inputs: int
    outputs: int
    groups: int

    def joined(self, size: int) -> int:
        """How many neighbouring groups become one convolution: those with the fewest products on vectors of
        `size` elements, of the numbers that leave whole vectors; else all of them.
        """
        inputs, outputs = self.inputs // self.groups, self.outputs // self.groups
        fits = [
            count
            for count in range(1, self.groups)
            if self.groups % count == 0 and count * inputs % size == 0 and count * outputs % size == 0
        ]

        def products(count: int) -> tuple[int, int]:
            whole = -(-count * inputs // size) * -(-count * outputs // size)
            return self.groups // count * whole, self.groups // count

        return min([*fits, self.groups], key=products)


def split_groups(module: IRModule, config: QuantConfig) -> IRModule:
    """The canonical `module` with convolutions in groups, which `config` does not leave in fp32, as others.

    Layers whose integers came with the model are left alone. fp32 results stay the same, but for zeros that
    are added.
    """
    given, names = given_weights(module), layer_names(module)
    sizes = {
        var: settings.vector_size
        for var, settings in grouped_layers(module, config).items()
        if names[var] not in given
    }
    return sink_moves(_SplitGroups(module, sizes).rebuilt()) if sizes else module


class _SplitGroups(LayerRebuilder):
    def __init__(self, module: IRModule, sizes: Mapping[Var, int]) -> None:
        super().__init__(module)
        self._sizes = sizes
        self._values = definitions(module["main"])

    def rewrite(self, var: Var, value: Any) -> Any:
        if var not in self._sizes or op_name(value) != "relax.nn.conv2d":
            return value
        source = source_of(self._values[var])
        window = None if source is None else source.window(value)
        if window is None:
            return value
        weights = constant_array(value.args[1])
        channels = Channels(static_shape(value.args[0])[-1], len(weights), window.groups)
        name = self.name_of(var)
        if channels.inputs == channels.groups:
            return self._depthwise(value, window, weights, name)
        return self._joined(value, window, weights, channels, channels.joined(self._sizes[var]), name)

    def _depthwise(self, value: Call, window: Window, weights: Array, name: str) -> Any:
        """Result c * m + j is the j-th of channel c."""
        channels = window.groups
        count = len(weights) // channels
        parts = [
            self.layer(_rewindowed(value, value.args[0], weights[number::count], window), at)
            for number in range(count)
            for at in (part_of(name, "channels", number),)
        ]
        beside = self.emit(relax.op.concat(parts, axis=3))
        order = np.arange(len(weights)).reshape(count, channels).T.reshape(-1)
        return relax.op.take(beside, constant(order.astype(np.int64)), axis=3, mode="clip")

    def _joined(
        self, value: Call, window: Window, weights: Array, channels: Channels, count: int, name: str
    ) -> Any:
        x, parts = value.args[0], []
        inputs, outputs = (
            count * extent // channels.groups for extent in (channels.inputs, channels.outputs)
        )
        plain = Window(window.kernel, window.strides, window.padding, window.dilation)
        for number in range(channels.groups // count):
            blocks = _diagonal(weights[number * outputs : (number + 1) * outputs], count)
            if count == channels.groups:
                return _rewindowed(value, x, blocks, plain)
            piece = self.emit(relax.op.strided_slice(x, [3], [number * inputs], [(number + 1) * inputs]))
            parts.append(self.layer(_rewindowed(value, piece, blocks, plain), part_of(name, "group", number)))
        return relax.op.concat(parts, axis=3)


def _diagonal(weights: Array, count: int) -> Array:
    """Weights [K, R, S, C] of `count` groups as [K, R, S, count * C] of one."""
    outputs, inputs = len(weights) // count, weights.shape[-1]
    blocks = np.zeros((*weights.shape[:3], count * inputs), np.float32)
    for group in range(count):
        rows = slice(group * outputs, (group + 1) * outputs)
        blocks[rows, :, :, group * inputs : (group + 1) * inputs] = weights[rows]
    return blocks


def _rewindowed(value: Call, x: Any, weights: Array, window: Window) -> Call:
    source: Any = source_of(value)
    rewindowed: Call = source.rewindowed(value, x, constant(weights), window)
    return rewindowed
