"""Zeros around images between layers that no layer takes as its padding, as layers of their own."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.frontend.pixels import padded
from tvm_vsq.graph import definitions, op_name, static_shape
from tvm_vsq.network.names import between_layers
from tvm_vsq.network.rebuild import FinalRebuilder, is_nonnegative
from tvm_vsq.placement.moves import move_of
from tvm_vsq.tvm_compat import IRModule, Var


def pads_to_layers(module: IRModule, size: int) -> IRModule:
    """relax.nn.pad of zeros, channels last, between layers with weights becomes a convolution of pixels.

    Around an image it is depthwise, of ones, with these zeros as its padding. Channels of zeros come from
    kernels of zeros and a one for each other channel. Weights of 0 and 1 are exact in any format. What only
    fills vectors of `size` channels moves them as they are, and stays.
    """
    return _PadsToLayers(module, size).rebuilt()


class _PadsToLayers(FinalRebuilder):
    def __init__(self, module: IRModule, size: int) -> None:
        super().__init__(module)
        self._size, self._between = size, between_layers(self.old)
        self._old = definitions(self.old)

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.nn.pad" or var not in self._between or len(static_shape(var)) != 4:
            return value
        widths = [int(width) for width in value.attrs.pad_width]
        is_zero = str(value.attrs.pad_mode) == "constant" and float(value.attrs.pad_value) == 0
        is_around = min(widths) >= 0 and not any(widths[:2])
        if not is_zero or not is_around or move_of(self._old[var], self._size) is not None:
            return value
        (top, bottom), (left, right), (first, last) = (widths[at : at + 2] for at in (2, 4, 6))
        layer = self.add(padded(value.args[0], (top, left, bottom, right), first, last), "pad")
        # a clamp that changes nothing says that vectors need no sign
        return relax.op.nn.relu(layer) if is_nonnegative(self, value.args[0]) else layer
