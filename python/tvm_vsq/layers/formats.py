"""The number formats of a layer, and those that a target is built for."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.numerics import VectorFormat


@dataclass(frozen=True)
class LayerFormats:
    """Formats of a layer's weights and activations, and of the product of their scales.

    product_shift low bits are rounded off the product, product_bits are kept (0: all).
    """

    weight: VectorFormat
    activation_bits: int
    activation_scale_bits: int | None
    product_shift: int
    product_bits: int

    @classmethod
    def of(
        cls,
        weight: VectorFormat,
        activation_bits: int,
        activation_scale_bits: int | None,
        hardware: HardwareConfig,
    ) -> LayerFormats:
        """With scale products rounded as `hardware` does it, where they are wider than what it keeps."""
        full = (weight.scale_bits or 0) + (activation_scale_bits or 0)
        kept = min(full, hardware.scale_product_bits or full)
        return cls(weight, activation_bits, activation_scale_bits or None, full - kept, kept)

    @classmethod
    def of_hardware(cls, hardware: HardwareConfig) -> LayerFormats:
        """What `hardware` is built for."""
        return cls.of(
            weight_format(hardware), hardware.activation_bits, hardware.activation_scale_bits, hardware
        )

    def activation(self, signed: bool) -> VectorFormat:
        """The format of an activation tensor that the layer reads or requantizes its result to."""
        return VectorFormat(self.activation_bits, self.activation_scale_bits, self.weight.vector_size, signed)


def weight_format(hardware: HardwareConfig) -> VectorFormat:
    """Weights: signed vectors along the input channels."""
    return VectorFormat(hardware.weight_bits, hardware.weight_scale_bits, hardware.vector_size, signed=True)


def activation_format(hardware: HardwareConfig, signed: bool) -> VectorFormat:
    """Activations: vectors along the channels."""
    return VectorFormat(
        hardware.activation_bits, hardware.activation_scale_bits, hardware.vector_size, signed
    )
