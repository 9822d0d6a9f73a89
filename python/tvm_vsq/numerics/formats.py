"""The format of a vector tensor: element bits, scale bits, vector size, sign."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.errors import ConfigError

VECTOR_SIZES = (8, 16, 32, 64)


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
        if not 2 <= self.bits <= 8:
            raise ConfigError(f"bits={self.bits}: an element has 2 to 8 bits")
        if self.scale_bits == 0:
            object.__setattr__(self, "scale_bits", None)
        if self.scale_bits is not None and not 1 <= self.scale_bits <= 10:
            raise ConfigError(
                f"scale_bits={self.scale_bits}: a vector scale has 1 to 10 bits, or None for no scale"
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
    def smax(self) -> int:
        """Largest vector scale; 1 where there is none."""
        return 1 if self.scale_bits is None else (1 << self.scale_bits) - 1

    @property
    def lanes(self) -> int:
        """Length of the last axis of a vector tensor: the elements, then their scale."""
        return self.vector_size + 1

    def vectors(self, channels: int) -> int:
        """CV: vectors that hold `channels` channels, the last one padded with zeros."""
        return -(-channels // self.vector_size)
