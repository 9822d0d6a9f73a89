"""One quantized layer of a network, whatever its operator: what all stages after quantization know of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import LayerFormats, VectorFormat
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.chains import Chain
from tvm_vsq.network import source_of
from tvm_vsq.placement.moves import Move
from tvm_vsq.tvm_compat import Var


@dataclass(frozen=True)
class Vectors:
    """An activation tensor stored as vectors.

    source: the fp32 tensor that vsq.quantize reads. vectors: what it gives. guard_bits: of its rounding.
    scales: static vector scales, empty where they follow from the data. move: of vectors that are those of
    `parts`, moved; `source` and `vectors` then are the fp32 tensor that stands for them. total: of a row of
    numbers none of which is negative, their sum; None where that is not known.
    """

    source: Any
    vectors: Var
    gamma: float
    format: VectorFormat
    guard_bits: int
    scales: list[int]
    move: Move | None = None
    parts: tuple[Vectors, ...] = ()
    total: float | None = None

    @property
    def unit(self) -> tuple[float, VectorFormat, int]:
        """What has to be the same for vectors to lie in one tensor."""
        return self.gamma, self.format, self.guard_bits

    @property
    def stored(self) -> list[Vectors]:
        """Those that are moved; itself if it is not."""
        return [found for part in self.parts for found in part.stored] if self.move else [self]


@dataclass(frozen=True)
class Weights:
    """Constant weights: int16[K, ..., CV, V+1] with gamma float32[K], restored in the variable `kernel`.

    channels: of the input, without those that fill up its last vector. along_taps: vectors run along the rows
    of a kernel, with `channels` taps each, and inputs are scaled before they are multiplied: no product of
    scales is rounded.
    """

    kernel: Var
    vectors: npt.NDArray[np.int16]
    gamma: npt.NDArray[np.float32]
    format: VectorFormat
    channels: int
    along_taps: bool = False


@dataclass(frozen=True)
class Node:
    """A layer that reads vectors, with the epilogue that it takes along.

    operator: its name in `registry`. is_fusable: whether it has an integer form; a convolution with groups
    has quantized operands, but is computed in fp32. output: the vectors its result is requantized to, or None
    if the result leaves wide. output_absmax: the calibrated range of the result; None if the module does not
    say. other: a second activation that the operator itself reads. argument_absmax: as output_absmax, of what
    the chain's function is applied to.
    """

    name: str
    operator: str
    call: Any
    chain: Chain
    is_fusable: bool
    x: Vectors
    weights: Weights | None
    residual: Vectors | None
    output: Vectors | None
    output_absmax: float | None
    other: Vectors | None = None
    argument_absmax: float | None = None

    @property
    def has_second_operand(self) -> bool:
        """Whether `other` takes the place of weights on the array."""
        source = source_of(self.call)
        return source is not None and source.other_is_transposed

    @property
    def multiplies_scales(self) -> bool:
        """Whether each product on the array has the scales of two vectors, so that their rounding matters."""
        return self.has_second_operand if self.weights is None else not self.weights.along_taps

    @property
    def anchor(self) -> Var:
        """The convolution, matrix product, ... itself."""
        return self.chain.anchor

    @property
    def result(self) -> Var:
        """The variable that the integer operator replaces."""
        return self.chain.output if self.output is None else self.output.vectors

    @property
    def channels(self) -> int:
        """Of its input, without those that fill up the last vector."""
        return int(static_shape(self.call.args[0])[-1])

    def formats(self, hardware: HardwareConfig) -> LayerFormats:
        """With scale products as `hardware` rounds them."""
        weight = hardware.formats.weight if self.weights is None else self.weights.format
        if not self.multiplies_scales:
            return replace(hardware.formats, weight=weight, activation=self.x.format)
        if self.has_second_operand and self.other is not None and not self.other.format.scale_width:
            weight = replace(weight, scale_bits=None)
        kept, passes = hardware.scale_product_bits, hardware.precision_passes
        return LayerFormats.of(weight, self.x.format, kept, passes)


@dataclass(frozen=True)
class RowNode:
    """A layer on whole rows of numbers.

    x: what it reads, and added: what it adds to that first, fp32 tensors, in place of `total`, their sum.
    output,
    output_absmax: as of a `Node`. absmax: the calibrated range of what the operator is applied to.
    is_guarded: whether rows that are masked as a whole have to give zeros. turns: the cosines and sines that
    it reads besides, fp32.
    """

    name: str
    operator: str
    call: Any
    anchor: Var
    x: Any
    added: Any
    total: Any
    output: Vectors | None
    output_absmax: float | None
    absmax: float
    is_guarded: bool
    turns: Any = None

    @property
    def result(self) -> Var:
        """The variable that the integer operator replaces."""
        return self.anchor if self.output is None else self.output.vectors
