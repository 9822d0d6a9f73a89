"""Whether a quantized module is made for a target."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.formats import weight_format
from tvm_vsq.tvm_compat import Call, Var


def check_quantize(var: Var, call: Call, hardware: HardwareConfig) -> None:
    """Raise ConfigError if this vsq.quantize makes vectors `hardware` cannot read."""
    built = {
        "bits": ("activation_bits", hardware.activation_bits),
        "scale_bits": ("activation_scale_bits", hardware.activation_scale_bits or 0),
        "vector_size": ("vector_size", hardware.vector_size),
        "guard_bits": ("guard_bits", hardware.guard_bits),
    }
    for attribute, (field, value) in built.items():
        found = int(call.attrs[attribute])
        if found != value:
            raise ConfigError(
                f"'{var.name}' is quantized with {attribute}={found}, but target '{hardware.name}' is built "
                f"with {field}={value}; quantize the model for this target, or use a target whose {field} is "
                f"{found}"
            )


def check_weights(layer: str, weights: npt.NDArray[Any], hardware: HardwareConfig) -> None:
    """Raise ConfigError if weight vectors int16[K, ..., CV, V+1] exceed the formats of `hardware`."""
    fmt = weight_format(hardware)
    if weights.shape[-1] != fmt.lanes:
        raise ConfigError(
            f"layer '{layer}': weights in vectors of {weights.shape[-1] - 1}, but target '{hardware.name}' "
            f"is built with vector_size={fmt.vector_size}; quantize the model for this target"
        )
    largest = int(np.abs(weights[..., :-1].astype(np.int64)).max(initial=0))
    scale = int(weights[..., -1].max(initial=0))
    if largest > fmt.qmax:
        raise ConfigError(
            f"layer '{layer}': a weight element of magnitude {largest} needs more than "
            f"weight_bits={fmt.bits} of target '{hardware.name}' (at most {fmt.qmax}); quantize the model "
            "for this target"
        )
    if scale > fmt.smax or int(weights[..., -1].min(initial=0)) < 0:
        raise ConfigError(
            f"layer '{layer}': a weight scale of {scale} is outside 0..{fmt.smax}, what weight_scale_bits="
            f"{fmt.scale_bits} of target '{hardware.name}' can hold; quantize the model for this target"
        )
