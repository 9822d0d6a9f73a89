"""The format of a vector tensor: element bits, scale bits, vector size, sign."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats.widths import ELEMENT_BITS, SCALE_BITS, VECTOR_SIZES


@dataclass(frozen=True)
class VectorFormat:
    """How one operand is stored: vectors of `vector_size` integers of `bits`, each with an integer scale.

    bits: 2..8, width of an element. scale_bits: 1..10, width of the unsigned vector scale, or None (or 0,
    the operators' notation, which becomes None) where there is no vector scale. vector_size: 8, 16, 32 or 64.
    signed: signed elements are symmetric, so the most negative code is never used.
    Raises ConfigError naming the field otherwise.
    """

    bits: int
    scale_bits: int | None
    vector_size: int
    signed: bool = True

    def __post_init__(self) -> None:
        least, most = ELEMENT_BITS
        if not least <= self.bits <= most:
            raise ConfigError(f"bits={self.bits}: an element has {least} to {most} bits")
        if self.scale_bits == 0:
            object.__setattr__(self, "scale_bits", None)
        least, most = SCALE_BITS
        if self.scale_bits is not None and not least <= self.scale_bits <= most:
            raise ConfigError(
                f"scale_bits={self.scale_bits}: a vector scale has {least} to {most} bits, "
                "or None for no scale"
            )
        if self.vector_size not in VECTOR_SIZES:
            raise ConfigError(f"vector_size={self.vector_size} is not one of {VECTOR_SIZES}")

    @property
    def qmax(self) -> int:
        """Largest element."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def lo(self) -> int:
        """Smallest element: -qmax if signed, else 0."""
        return -self.qmax if self.signed else 0

    @property
    def scale_width(self) -> int:
        """Bits that a vector's scale is stored in; 0 where there is none."""
        return self.scale_bits or 0

    @property
    def smax(self) -> int:
        """Largest vector scale; 1 where there is none."""
        return (1 << self.scale_width) - 1 or 1

    @property
    def record_bits(self) -> int:
        """Bits of one vector in memory: its elements, then its scale."""
        return self.vector_size * self.bits + self.scale_width

    @property
    def lanes(self) -> int:
        """Length of the last axis of a vector tensor: the elements, then their scale."""
        return self.vector_size + 1

    def vectors(self, channels: int) -> int:
        """CV: vectors that hold `channels` channels, the last one padded with zeros."""
        return -(-channels // self.vector_size)

    def with_sign(self, signed: bool) -> VectorFormat:
        """The format of the same widths for signed, or for unsigned, elements."""
        return replace(self, signed=signed)
