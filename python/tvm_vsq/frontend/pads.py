"""Zeros around images between layers that no layer takes as its padding, as layers of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import bindings, constant, leaves, op_name, static_shape
from tvm_vsq.network import LayerRebuilder
from tvm_vsq.network.names import weighted_layers
from tvm_vsq.network.rebuild import is_nonnegative
from tvm_vsq.tvm_compat import IRModule, Var


def pads_to_layers(module: IRModule) -> IRModule:
    """relax.nn.pad of zeros, channels last, between layers with weights becomes a convolution of pixels.

    Around an image it is depthwise, of ones, with these zeros as its padding. Channels of zeros come from
    kernels of zeros and a one for each other channel. Weights of 0 and 1 are exact in any format.
    """
    return _PadsToLayers(module).rebuilt()


class _PadsToLayers(LayerRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._between = _between_layers(module["main"])
        self._count = 0

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.nn.pad" or var not in self._between or len(static_shape(var)) != 4:
            return value
        widths = [int(width) for width in value.attrs.pad_width]
        is_zero = str(value.attrs.pad_mode) == "constant" and float(value.attrs.pad_value) == 0
        if not is_zero or min(widths) < 0 or any(widths[:2]):
            return value
        (top, bottom), (left, right), (first, last) = (widths[at : at + 2] for at in (2, 4, 6))
        channels = static_shape(value.args[0])[-1]
        kernel = np.eye(channels, dtype=np.float32)
        kernel = np.pad(kernel, ((first, last), (0, 0))) if first or last else kernel.diagonal()[:, None]
        name = f"pad_{self._count}"
        self._count += 1
        layer = self.layer(
            relax.op.nn.conv2d(
                value.args[0],
                constant(kernel[:, None, None]),
                padding=[top, left, bottom, right],
                groups=channels // kernel.shape[1],
                data_layout="NHWC",
                kernel_layout="OHWI",
            ),
            name,
        )
        # a clamp that changes nothing says that vectors need no sign
        return relax.op.nn.relu(layer) if is_nonnegative(self, value.args[0]) else layer


def _between_layers(function: relax.Function) -> set[Var]:
    """What is made of results of layers with weights, and is read by others, if through other operators."""
    layers, steps = set(weighted_layers(function)), list(bindings(function))
    behind: set[Var] = set()
    for step in steps:
        if not layers.isdisjoint(read := _read(step.value)) or not behind.isdisjoint(read):
            behind.add(step.var)
    before: set[Var] = set()
    for step in reversed(steps):
        if step.var in layers or step.var in before:
            before |= _read(step.value)
    return behind & before


def _read(value: Any) -> set[Var]:
    return {leaf for leaf in leaves(value) if isinstance(leaf, Var)}
