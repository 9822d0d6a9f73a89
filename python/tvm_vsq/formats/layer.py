"""The number formats of a layer, or those that an accelerator is built for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_vsq.formats.notation import write_notation
from tvm_vsq.formats.vector import VectorFormat


@dataclass(frozen=True)
class LayerFormats:
    """Formats of a layer's weights and activations, and of the product of their scales.

    activation: of what the layer reads and of what it requantizes its result to, as a signed format; each
    tensor has a sign of its own (`VectorFormat.with_sign`). product_shift low bits are rounded off the
    product of two scales, product_bits are kept (0: there are no scales). passes: digits that elements of
    either side may have (`HardwareConfig.precision_passes`). second_limit: bits of an activation in place of
    weights, at most, where the array takes fewer than `passes` times the weights' own; None: it takes these.
    """

    weight: VectorFormat
    activation: VectorFormat
    product_shift: int
    product_bits: int
    passes: int = 1
    second_limit: int | None = None

    @classmethod
    def of(
        cls,
        weight: VectorFormat,
        activation: VectorFormat,
        scale_product_bits: int | None,
        passes: int = 1,
        second_limit: int | None = None,
    ) -> LayerFormats:
        """With scale products rounded to `scale_product_bits` where they are wider (None: never rounded)."""
        full = weight.scale_width + activation.scale_width
        kept = min(full, scale_product_bits or full)
        return cls(weight, activation.with_sign(True), full - kept, kept, passes, second_limit)

    @property
    def second(self) -> VectorFormat:
        """Of an activation that is multiplied by another one, in place of weights: signed, and of no more
        bits than the weights' side takes, in all its passes, and activations have; without scales if one of
        them has none.
        """
        most = self.passes * self.weight.bits
        most = most if self.second_limit is None else min(most, self.second_limit)
        return replace(self.second_record, bits=min(most, self.activation.bits))

    @property
    def second_record(self) -> VectorFormat:
        """Of its records, each of which has a digit that both sides of the array take."""
        weight, activation = self.weight, self.activation
        scale_bits = min(weight.scale_width, activation.scale_width)  # none where one side has none
        return VectorFormat(min(weight.bits, activation.bits), scale_bits, activation.vector_size)

    @property
    def full_product_bits(self) -> int:
        """Width of the unrounded product of a weight scale and an activation scale; 0 without scales."""
        return self.product_shift + self.product_bits

    @property
    def notation(self) -> str:
        """The paper's W/A/ws/as, for example `4/4/4/4` or `8/8/-/-`."""
        return write_notation(
            self.weight.bits, self.activation.bits, self.weight.scale_bits, self.activation.scale_bits
        )
