"""The formats of weights and activations that a target is built for."""

from __future__ import annotations

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.numerics import VectorFormat


def weight_format(hardware: HardwareConfig) -> VectorFormat:
    """Weights: signed vectors along the input channels."""
    return VectorFormat(hardware.weight_bits, hardware.weight_scale_bits, hardware.vector_size, signed=True)


def activation_format(hardware: HardwareConfig, signed: bool) -> VectorFormat:
    """Activations: vectors along the channels."""
    return VectorFormat(
        hardware.activation_bits, hardware.activation_scale_bits, hardware.vector_size, signed
    )
