"""The formats of weights and activations that a target is built for."""

from __future__ import annotations

from collections.abc import Mapping

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.numerics import VectorFormat
from tvm_vsq.quantize.calibration import Range
from tvm_vsq.quantize.signs import Signs
from tvm_vsq.tvm_compat import Var


def weight_format(hardware: HardwareConfig) -> VectorFormat:
    """Weights: signed vectors along the input channels."""
    return VectorFormat(hardware.weight_bits, hardware.weight_scale_bits, hardware.vector_size, signed=True)


def activation_format(hardware: HardwareConfig, signed: bool) -> VectorFormat:
    """Activations: vectors along the channels."""
    return VectorFormat(
        hardware.activation_bits, hardware.activation_scale_bits, hardware.vector_size, signed
    )


def tensor_format(
    var: Var, ranges: Mapping[Var, Range], signs: Signs, hardware: HardwareConfig
) -> VectorFormat:
    """Unsigned where neither the calibration data nor the network can make the tensor negative."""
    is_unsigned = ranges[var].min >= 0 and signs.is_nonnegative(var)
    return activation_format(hardware, signed=not is_unsigned)
