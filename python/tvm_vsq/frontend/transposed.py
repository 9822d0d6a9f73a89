"""Transposed convolutions as ordinary ones, one for each phase of the result, that lie between each other.

With strides (sh, sw), the rows i and columns j of the result with i % sh = p and j % sw = q are one
convolution of the input, of those taps that reach them (Shi et al., "Is the deconvolution layer the same as a
convolutional layer?", arXiv 1609.07009, 2016). Zeros between the input's pixels would take sh*sw times as
many products.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import gcd
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.interleave import interleaved
from tvm_vsq.graph import constant, constant_array, is_constant, op_name, static_shape
from tvm_vsq.network import LayerRebuilder
from tvm_vsq.network.names import part_of
from tvm_vsq.tvm_compat import Call, IRModule, Var


def transposed_to_phases(module: IRModule) -> IRModule:
    """Every conv2d_transpose in NHWC with constant IOHW weights becomes convolutions and an interleaving.

    A phase that no tap reaches is a convolution with a kernel of one zero. Where the result's extents are no
    multiples of the strides, phases have one row or column more than needed, which is cut off at the end.
    """
    return _TransposedToPhases(module).rebuilt()


@dataclass(frozen=True)
class _Phase:
    """Along one axis: result t is the sum of tap taps[n] at first + n * step + t of the input.

    first may be below zero, and what is read beyond the end: zeros are.
    """

    taps: tuple[int, ...]
    first: int
    step: int

    @classmethod
    def of(cls, phase: int, kernel: int, stride: int, dilation: int, before: int) -> _Phase:
        """Result stride * t + phase gets tap k of input i where
        stride * i + k * dilation = stride * t + phase + before.
        """
        at = phase + before
        taps = [tap for tap in range(kernel) if (at - tap * dilation) % stride == 0][::-1]
        if not taps:
            return cls((), 0, 1)
        return cls(tuple(taps), (at - taps[0] * dilation) // stride, dilation // gcd(dilation, stride))

    def window(self, given: int, results: int) -> tuple[int, int, int, int] | None:
        """(begin, end, before, after): the part of the input, `given` long, that results read, and how many
        zeros are around it; None if they read zeros alone.
        """
        if not self.taps:
            return None
        end = self.first + (len(self.taps) - 1) * self.step + results
        inside = max(self.first, 0), min(end, given)
        if inside[0] >= inside[1]:
            return None
        return *inside, inside[0] - self.first, end - inside[1]


class _TransposedToPhases(LayerRebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.nn.conv2d_transpose" or not is_constant(value.args[1]):
            return value
        attrs = value.attrs
        layouts = [str(getattr(attrs, f"{name}_layout")) for name in ("data", "kernel", "out")]
        if layouts != ["NHWC", "IOHW", "NHWC"] or not isinstance(value.args[0], Var):
            return value
        strides, name = [int(stride) for stride in attrs.strides], self.name_of(var)
        extents = [
            -(-extent // stride) for extent, stride in zip(static_shape(var)[1:3], strides, strict=True)
        ]
        phases = [_phases(value, axis) for axis in (0, 1)]
        kernel = _kernel(value)
        parts: dict[tuple[int, int], Var] = {}
        for at in product(range(strides[0]), range(strides[1])):
            part = part_of(name, "phase", f"{at[0]},{at[1]}") if strides != [1, 1] else name
            along = [phases[axis][at[axis]] for axis in (0, 1)]
            parts[at] = self.layer(self._convolution(value, kernel, along, extents), part)
        rows = [
            interleaved(self.emit, [parts[row, column] for row in range(strides[0])], 1)
            for column in range(strides[1])
        ]
        whole = interleaved(self.emit, rows, 2)
        shape = static_shape(var)
        if static_shape(whole) == shape:
            return whole
        return relax.op.strided_slice(whole, [1, 2], [0, 0], list(shape[1:3]))

    def _convolution(self, value: Call, kernel: Any, along: list[_Phase], extents: list[int]) -> Call:
        """The phases `along` rows and columns of the result, of so many rows and columns."""
        x, groups = value.args[0], int(value.attrs.groups)
        given = static_shape(x)[1:3]
        windows = [
            phase.window(extent, results)
            for phase, extent, results in zip(along, given, extents, strict=True)
        ]
        if windows[0] is None or windows[1] is None:
            kernel, dilation = np.zeros_like(kernel[:, :1, :1]), [1, 1]
            windows = [(0, min(a, b), 0, b - min(a, b)) for a, b in zip(given, extents, strict=True)]
        else:
            kernel = kernel[:, list(along[0].taps)][:, :, list(along[1].taps)]
            dilation = [phase.step for phase in along]
        begins, ends, before, after = (list(side) for side in zip(*windows, strict=True))
        if begins != [0, 0] or ends != list(given):
            x = self.emit(relax.op.strided_slice(x, [1, 2], begins, ends))
        return relax.op.nn.conv2d(
            x,
            constant(kernel),
            padding=[*before, *after],
            dilation=dilation,
            groups=groups,
            data_layout="NHWC",
            kernel_layout="OHWI",
            out_layout="NHWC",
            out_dtype=value.attrs.out_dtype,
        )


def _phases(value: Call, axis: int) -> list[_Phase]:
    attrs = value.attrs
    stride, dilation, before = (
        int(extents[axis]) for extents in (attrs.strides, attrs.dilation, attrs.padding)
    )
    kernel = static_shape(value.args[1])[2 + axis]
    return [_Phase.of(phase, kernel, stride, dilation, before) for phase in range(stride)]


def _kernel(value: Call) -> Any:
    """Its weights [C, K / groups, R, S] as those of a convolution, [K, R, S, C / groups]."""
    weights, groups = constant_array(value.args[1]), int(value.attrs.groups)
    inputs, outputs, rows, columns = weights.shape
    apart = weights.reshape(groups, inputs // groups, outputs, rows, columns)
    return apart.transpose(0, 2, 3, 4, 1).reshape(groups * outputs, rows, columns, inputs // groups)
