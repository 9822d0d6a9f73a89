"""Elements of channels that become rows and columns of an image, and back, as moves of whole channels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.frontend.interleave import interleaved
from tvm_vsq.frontend.nhwc import TO_NCHW, TO_NHWC
from tvm_vsq.graph import constant, constant_array, definitions, is_constant, op_name, static_shape
from tvm_vsq.network import LayerRebuilder, facts_of
from tvm_vsq.network.names import between_layers, part_of
from tvm_vsq.tvm_compat import Call, IRModule, Var

_INTO_IMAGES = {(0, 1, 4, 2, 5, 3): (0, 1, 2), (0, 3, 4, 1, 5, 2): (2, 0, 1)}
"""Orders of axes that put parts of channels behind rows and columns (torch's pixel_shuffle, and ONNX's
DepthToSpace in both modes): which of the three parts are the channels that stay, rows and columns.
"""

_INTO_CHANNELS = {(0, 1, 3, 5, 2, 4): (0, 1, 2), (0, 3, 5, 1, 2, 4): (2, 0, 1)}
"""Those that put parts of rows and columns beside channels (pixel_unshuffle, SpaceToDepth): the place of the
channels there were, of rows and of columns among the new ones.
"""


def pixel_shuffles_to_moves(module: IRModule) -> IRModule:
    """[N, C r s, H, W] that reshapes and a permute make [N, C, H r, W s] is r s images, interleaved.

    Each is of some channels: of a convolution, which becomes one for each image, or else slices of the
    channels in another order. The way back joins every r-th row and s-th column as channels. What only the
    caller reads stays: its convolution is whole, and fills lanes better.
    """
    return _PixelShuffles(module).rebuilt()


@dataclass(frozen=True)
class _Shuffle:
    """x: NCHW, which `between` take apart. numbers: of its channels, or of the result's if it goes back, by
    channel of an image, row and column.
    """

    x: Var
    between: tuple[Var, Var]
    numbers: npt.NDArray[np.int64]
    is_back: bool


class _PixelShuffles(LayerRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._old = definitions(self.old)
        between = between_layers(self.old)
        self._shuffles = {
            var: found for var in self._old if var in between and (found := self._shuffle(var)) is not None
        }
        self._chains = {
            var: chain
            for var, shuffle in self._shuffles.items()
            if not shuffle.is_back and (chain := self._chain(shuffle))
        }
        self._gone = {
            member for var, chain in self._chains.items() for member in (*chain, *self._shuffles[var].between)
        }

    def rewrite(self, var: Var, value: Any) -> Any:
        if var in self._gone:
            return constant(np.zeros((), np.float32))  # which nothing reads
        shuffle = self._shuffles.get(var)
        if shuffle is None:
            return value
        if shuffle.is_back:
            return self._into_channels(self.new(shuffle.x), shuffle.numbers)
        rows, columns = shuffle.numbers.shape[1:]
        chain = self._chains.get(var)
        phases = self._convolved(chain, shuffle.numbers) if chain else self._sliced(shuffle)
        across = [
            interleaved(self.emit, [phases[row, column] for row in range(rows)], 1)
            for column in range(columns)
        ]
        return relax.op.permute_dims(interleaved(self.emit, across, 2), TO_NCHW)

    def _shuffle(self, var: Var) -> _Shuffle | None:
        value: Any = self._old[var]
        moved: Any = self._old.get(value.args[0]) if op_name(value) == "relax.reshape" else None
        split: Any = self._old.get(moved.args[0]) if op_name(moved) == "relax.permute_dims" else None
        if op_name(split) != "relax.reshape" or not isinstance(split.args[0], Var):
            return None
        given, axes = static_shape(split.args[0]), tuple(int(axis) for axis in moved.attrs.axes or ())
        if len(given) != 4 or len(axes) != 6:
            return None
        parts = [int(extent) for extent in split.args[1]]
        n, *new = (parts[axis] for axis in axes)
        numbers: Any
        result: tuple[int, ...]
        if axes in _INTO_IMAGES and tuple(parts[4:]) == given[2:]:
            c, height, rows, width, columns = new
            result = (n, c, height * rows, width * columns)
            numbers = np.arange(given[1]).reshape(parts[1:4]).transpose(_INTO_IMAGES[axes])
        elif axes in _INTO_CHANNELS and (n, parts[1]) == given[:2]:
            result = (n, int(np.prod(new[:3])), *new[3:])
            numbers = np.arange(result[1]).reshape(new[:3]).transpose(_INTO_CHANNELS[axes])
        else:
            return None
        if static_shape(var) != result:
            return None
        return _Shuffle(split.args[0], (value.args[0], moved.args[0]), numbers, axes in _INTO_CHANNELS)

    def _chain(self, shuffle: _Shuffle) -> list[Var]:
        """From a convolution on, what computes x of it, channel by channel, for nothing else; [] if none."""
        x, chain = shuffle.x, list[Var]()
        if any(self.uses[var] != 1 for var in shuffle.between):
            return chain
        while x in self._old and self.uses[x] == 1:
            chain.insert(0, x)
            call: Any = self._old[x]
            if op_name(call) == "relax.nn.conv2d":
                layouts = tuple(str(getattr(call.attrs, f"{name}_layout")) for name in ("data", "kernel"))
                fits = int(call.attrs.groups) == 1 and is_constant(call.args[1])
                return chain if fits and layouts == ("NCHW", "OIHW") else []
            if not facts_of(call).elementwise:
                return []
            operands = [arg for arg in call.args if isinstance(arg, Var)]
            if len(operands) != 1 or any(is_constant(arg) and _along(arg) is None for arg in call.args):
                return []
            (x,) = operands
        return []

    def _convolved(self, chain: list[Var], numbers: Any) -> dict[tuple[int, int], Var]:
        """For each image, NHWC, the chain of its channels."""
        phases = {}
        for row, column in product(*map(range, numbers.shape[1:])):
            chosen, y = numbers[:, row, column], None
            for member in chain:
                call: Any = self._old[member]
                if y is None:
                    kernel = constant(constant_array(call.args[1])[chosen])
                    name = part_of(self.name_of(member), "phase", f"{row},{column}")
                    y = self.layer(Call(call.op, [self.new(call.args[0]), kernel], call.attrs), name)
                else:
                    args = [y if isinstance(arg, Var) else _chosen(arg, chosen) for arg in call.args]
                    y = self.emit(Call(call.op, args, call.attrs))
            phases[row, column] = self.emit(relax.op.permute_dims(y, TO_NHWC))
        return phases

    def _sliced(self, shuffle: _Shuffle) -> dict[tuple[int, int], Var]:
        channels, rows, columns = shuffle.numbers.shape
        image = self.emit(relax.op.permute_dims(self.new(shuffle.x), TO_NHWC))
        stored = self.emit(_take(image, shuffle.numbers.transpose(1, 2, 0)))
        return {
            at: self.emit(relax.op.strided_slice(stored, [3], [number * channels], [(number + 1) * channels]))
            for number, at in enumerate(product(range(rows), range(columns)))
        }

    def _into_channels(self, x: Var, numbers: Any) -> Call:
        rows, columns = numbers.shape[1:]
        image = self.emit(relax.op.permute_dims(x, TO_NHWC))
        extents = static_shape(image)[1:3]
        phases = [
            self.emit(relax.op.strided_slice(image, [1, 2], list(at), list(extents), [rows, columns]))
            for at in product(range(rows), range(columns))
        ]
        joined = self.emit(relax.op.concat(phases, axis=3))  # in the order of rows, columns and channels
        order = np.argsort(numbers.transpose(1, 2, 0).reshape(-1))
        return relax.op.permute_dims(self.emit(_take(joined, order)), TO_NCHW)


def _along(operand: Any) -> tuple[int, ...] | None:
    """The shape of a constant beside [N, C, H, W] that differs along channels at most, as [C, 1, 1]."""
    shape = static_shape(operand)
    shape = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
    return shape if int(np.prod(shape)) == 1 or (len(shape) == 3 and shape[1:] == (1, 1)) else None


def _chosen(operand: Any, channels: Any) -> Any:
    """Of an operand beside NCHW, that beside these channels; numbers as they are."""
    if not is_constant(operand) or int(np.prod(static_shape(operand))) == 1:
        return operand
    return constant(constant_array(operand).reshape(-1, 1, 1)[channels])


def _take(x: Any, order: Any) -> Any:
    return relax.op.take(x, constant(np.asarray(order, np.int64).reshape(-1)), axis=3, mode="clip")
