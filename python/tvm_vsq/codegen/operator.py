"""Read one vsq.conv2d or vsq.dense call."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.errors import ProgramError
from tvm_vsq.formats import OUTPUT
from tvm_vsq.graph import op_name, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Convolution

_OPERATORS = {"vsq.conv2d": "conv2d", "vsq.dense": "dense"}
_NUMBERS = (
    "product_shift",
    "product_bits",
    "relu",
    "res_mult",
    "res_shift",
    "wide",
    *OUTPUT.names,
    "guard_bits",
    "act_signed",
    "res_signed",
)


@dataclass(frozen=True)
class Operator:
    """A layer as its call describes it; `weights` int16 [K, R, S, CV, V+1] (dense: R = S = 1).

    `channels` are those of the input, without those that fill up its last vector.
    """

    layer: str
    op: str
    workload: Convolution
    channels: int
    post: PostOp
    weights: npt.NDArray[np.int16]


def read_operator(
    call: Any, weights: npt.NDArray[np.int16], has_residual: bool, hardware: HardwareConfig
) -> Operator:
    """The operator of `call`. ProgramError if it is no vsq layer, or in number formats other than the
    hardware's.
    """
    op = _OPERATORS.get(op_name(call))
    if op is None:
        raise ProgramError(
            f"operator {call.op} cannot run on the accelerator; known are {', '.join(_OPERATORS)}"
        )
    attrs = dict(call.attrs)
    layer = str(attrs["layer"])
    values = {name: int(attrs[name]) for name in _NUMBERS}
    _check_formats(values, attrs.get("out_scales", ()), layer, int(weights.shape[-1]), hardware)
    shape = static_shape(call.args[0])
    kb = -(-len(weights) // hardware.group_channels) * hardware.group_blocks
    wide = bool(values["wide"])
    if op == "conv2d":
        top, left, bottom, right = (int(value) for value in attrs["padding"])
        (down, across), (dilate_h, dilate_w) = (map(int, attrs[name]) for name in ("strides", "dilation"))
        n, h, w, cv, _ = shape
        _, r, s, _, _ = weights.shape
        borders, steps = (top, left, bottom, right), (down, across)
        work = Convolution(n, h, w, cv, kb, r, s, steps, borders, (dilate_h, dilate_w), has_residual, wide)
    else:
        work = Convolution(1, 1, prod(shape[:-2]), shape[-2], kb, has_residual=has_residual, wide=wide)
        weights = weights[:, None, None]
    post = PostOp(
        relu=bool(values["relu"]),
        res_mult=values["res_mult"],
        res_shift=values["res_shift"],
        act_unsigned=not values["act_signed"],
        res_unsigned=has_residual and not values["res_signed"],
        out_unsigned=not work.wide and not values["out_signed"],
    )
    channels = int(attrs.get("channels", 0)) or work.cv * hardware.vector_size
    return Operator(layer, op, work, channels, post, weights)


def _check_formats(
    values: dict[str, int], out_scales: Any, layer: str, lanes: int, hardware: HardwareConfig
) -> None:
    """Formats are baked into the hardware; a call made for another one would compute something else."""
    if out_scales:
        raise ProgramError(
            f"layer '{layer}': its result has static vector scales, but accelerator '{hardware.label}' takes "
            f"each from the vector's own content; use activation_scales='dynamic'"
        )
    expected = {"product_shift": hardware.product_shift}
    found = {**values, "vector_size": lanes - 1}
    expected["vector_size"] = hardware.vector_size
    if hardware.product_shift:
        expected["product_bits"] = hardware.product_bits
    if not values["wide"]:
        expected |= OUTPUT.write(hardware.formats.activation.with_sign(bool(values["out_signed"])))
        expected["guard_bits"] = hardware.guard_bits
    for name, value in expected.items():
        if found[name] != value:
            raise ProgramError(
                f"layer '{layer}': {name}={found[name]}, but accelerator '{hardware.label}' has {value}; "
                f"quantize the model for this accelerator"
            )
