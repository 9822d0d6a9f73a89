"""What moves elements and computes nothing, as far as it moves whole vectors: then it moves those.

Concatenation, slices, and views with another shape. On the accelerator none of them is work: what reads the
result finds it in DRAM, because that is where the results before were stored (`placement.homes`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.graph import op_name, static_shape
from tvm_vsq.tvm_compat import Call, Tuple, Var

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class Move(ABC):
    """A movement of records: vectors int16 [..., CV, V+1], one for each position of [..., CV]."""

    word: ClassVar[str]

    @abstractmethod
    def on_records(self, operands: Sequence[Any]) -> Call:
        """The call on vectors in Relax."""

    @abstractmethod
    def on_arrays(self, operands: Sequence[Array]) -> Array:
        """The same on arrays of vectors."""

    @property
    @abstractmethod
    def numbers(self) -> Shape:
        """All that it is, by which `move_from` makes it."""


@dataclass(frozen=True)
class Concat(Move):
    """One after the other along `axis`."""

    word = "concatenation"

    axis: int

    def on_records(self, operands: Sequence[Any]) -> Call:
        """relax.concat."""
        return relax.op.concat(list(operands), self.axis)

    def on_arrays(self, operands: Sequence[Array]) -> Array:
        """Joined."""
        return np.concatenate(operands, self.axis)

    @property
    def numbers(self) -> Shape:
        """The axis."""
        return (self.axis,)


@dataclass(frozen=True)
class Slice(Move):
    """Along each axis the positions range(begin, end, stride)."""

    word = "slice"

    begin: Shape
    end: Shape
    stride: Shape

    def on_records(self, operands: Sequence[Any]) -> Call:
        """relax.strided_slice."""
        (x,) = operands
        return sliced(x, list(zip(self.begin, self.end, self.stride, strict=True)))

    def on_arrays(self, operands: Sequence[Array]) -> Array:
        """A part."""
        (x,) = operands
        return x[tuple(map(slice, self.begin, self.end, self.stride))]

    @property
    def numbers(self) -> Shape:
        """One after the other."""
        return (*self.begin, *self.end, *self.stride)


@dataclass(frozen=True)
class Reshape(Move):
    """The same records in the shape [..., CV]."""

    word = "view"

    shape: Shape

    def on_records(self, operands: Sequence[Any]) -> Call:
        """relax.reshape."""
        (x,) = operands
        return relax.op.reshape(x, [*self.shape, static_shape(x)[-1]])

    def on_arrays(self, operands: Sequence[Array]) -> Array:
        """A view."""
        (x,) = operands
        return x.reshape(*self.shape, x.shape[-1])

    @property
    def numbers(self) -> Shape:
        """The shape."""
        return self.shape


@dataclass(frozen=True)
class Permute(Move):
    """With its axes in another order; the records of a position stay together."""

    word = "permutation"

    axes: Shape

    def on_records(self, operands: Sequence[Any]) -> Call:
        """relax.permute_dims."""
        (x,) = operands
        return relax.op.permute_dims(x, [*self.axes, len(self.axes)])

    def on_arrays(self, operands: Sequence[Array]) -> Array:
        """A view."""
        (x,) = operands
        return x.transpose(*self.axes, len(self.axes))

    @property
    def numbers(self) -> Shape:
        """The axes."""
        return self.axes


def move_from(kind: str, numbers: Sequence[int]) -> Move:
    """The move of a class of this name and with these `numbers`."""
    if kind == Concat.__name__:
        return Concat(*numbers)
    if kind == Reshape.__name__:
        return Reshape(tuple(numbers))
    if kind == Permute.__name__:
        return Permute(tuple(numbers))
    rank = len(numbers) // 3
    begin, end, stride = (tuple(numbers[at : at + rank]) for at in (0, rank, 2 * rank))
    return Slice(begin, end, stride)


def moved_operands(call: Any) -> list[Any]:
    """The tensors that a call moves; empty if it does something else."""
    name = op_name(call)
    if name == "relax.concat":
        return list(call.args[0].fields) if isinstance(call.args[0], Tuple) else []
    if name == "relax.permute_dims":
        return [call.args[0]] if _order(call)[-1] == len(call.args[0].ty.shape) - 1 else []
    return [call.args[0]] if name in ("relax.strided_slice", "relax.reshape", "relax.nn.pad") else []


def move_of(call: Any, size: int) -> Move | None:
    """What a call on values [..., C] does to vectors of `size` channels; None if it takes some apart."""
    operands = moved_operands(call)
    if not operands or not all(isinstance(x, Var) for x in operands):
        return None
    shapes = [static_shape(x) for x in operands]
    if not all(shapes):
        return None
    result = tuple(int(extent) for extent in call.ty.shape)
    match op_name(call):
        case "relax.concat":
            return _concat(int(call.attrs.axis or 0) % len(result), shapes, size)
        case "relax.strided_slice":
            return _slice(call, shapes[0], result, size)
        case "relax.reshape":
            return _reshape(shapes[0], result, size)
        case "relax.permute_dims":
            return Permute(_order(call))
    return _fill(call, shapes[0], result, size)


def record_move(call: Any, result: Shape) -> Move | None:
    """The move that a call on vectors [..., CV, V+1], of which it makes `result`, is; None if it is none."""
    operands = moved_operands(call)
    if not operands:
        return None
    rank = len(static_shape(operands[0])) - 1
    match op_name(call):
        case "relax.concat":
            return Concat(int(call.attrs.axis or 0) % (rank + 1))
        case "relax.strided_slice":
            places = slices_of(call, static_shape(operands[0]))
            return Slice(*(tuple(found[:rank]) for found in zip(*places, strict=True)))
        case "relax.reshape":
            return Reshape(result[:-1])
        case "relax.permute_dims":
            return Permute(_order(call)[:-1])
    return None


def slices_of(call: Any, shape: Shape) -> list[tuple[int, int, int]]:
    """(begin, end, stride) of a relax.strided_slice along each axis, as a `range` has them."""
    numbers = [[int(field.value) for field in arg.fields] for arg in call.args[1:]]
    axes, begins, ends = numbers[:3]
    strides = numbers[3] if len(numbers) > 3 else [1] * len(axes)
    found = [(0, extent, 1) for extent in shape]
    for axis, *place in zip(axes, begins, ends, strides, strict=True):
        found[axis % len(shape)] = slice(*place).indices(shape[axis % len(shape)])
    return found


def sliced(x: Any, places: Sequence[tuple[int, int, int]]) -> Call:
    """relax.strided_slice along the first axes; `places` as a `range` has them.

    An end in front of the first element is -1 for a range, which for an operator is the last one.
    """
    begins, ends, strides = (list(numbers) for numbers in zip(*places, strict=True))
    extents = static_shape(x)
    ends = [end if end >= 0 else -1 - extent for end, extent in zip(ends, extents, strict=False)]
    return relax.op.strided_slice(x, list(range(len(places))), begins, ends, strides)


def _order(call: Any) -> Shape:
    """The axes of a relax.permute_dims."""
    rank, axes = len(call.args[0].ty.shape), call.attrs.axes
    return tuple(range(rank))[::-1] if axes is None else tuple(int(axis) % rank for axis in axes)


def _vectors(channels: int, size: int) -> int:
    return -(-channels // size)


def _concat(axis: int, shapes: list[Shape], size: int) -> Move | None:
    """Along channels, all but the last tensor have to end with a whole vector."""
    along_channels = axis == len(shapes[0]) - 1
    if along_channels and any(shape[-1] % size for shape in shapes[:-1]):
        return None
    return Concat(axis)


def _slice(call: Any, shape: Shape, result: Shape, size: int) -> Move | None:
    places = slices_of(call, shape)
    if any(stride < 1 for _, _, stride in places):
        return None
    begin, end, stride = places[-1]
    if begin % size or (end % size and end != shape[-1]) or stride != 1 or not all(result):
        return None
    places[-1] = (begin // size, _vectors(end, size), 1)
    return Slice(*(tuple(numbers) for numbers in zip(*places, strict=True)))


def _reshape(shape: Shape, result: Shape, size: int) -> Move | None:
    """The last axes have to be joined from whole vectors, or cut into such."""
    if not result or prod(shape) != prod(result):
        return None
    if shape[-1] != result[-1] and (shape[-1] % size or result[-1] % size):
        return None
    return Reshape((*result[:-1], _vectors(result[-1], size)))


def _fill(call: Any, shape: Shape, result: Shape, size: int) -> Move | None:
    """Zeros behind the last channel are there already, up to the end of its vector."""
    widths = [int(width) for width in call.attrs.pad_width]
    is_zero = str(call.attrs.pad_mode) == "constant" and float(call.attrs.pad_value) == 0
    if not is_zero or any(widths[:-1]) or _vectors(shape[-1], size) != _vectors(result[-1], size):
        return None
    return Reshape((*result[:-1], _vectors(result[-1], size)))
