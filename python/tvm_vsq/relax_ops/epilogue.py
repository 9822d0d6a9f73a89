"""What follows the accumulation in a layer on vectors: the attributes that all such operators share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from tvm_vsq.formats import ELEMENT_BITS, OUTPUT, SCALE_BITS, VectorFormat
from tvm_vsq.relax_ops.checks import OperatorError, attribute, integer, static_scales

_RANGES = {
    "product_shift": (0, 2 * SCALE_BITS[1]),
    "product_bits": (0, 2 * SCALE_BITS[1]),
    "relu": (0, 1),
    "res_mult": (0, (1 << 16) - 1),
    "res_shift": (0, 62),
    "wide": (0, 1),
    "out_bits": (0, ELEMENT_BITS[1]),
    "out_scale_bits": (0, SCALE_BITS[1]),
    "out_signed": (0, 1),
    "guard_bits": (0, 8),
    "act_signed": (0, 1),
    "res_signed": (0, 1),
    "tab_mult": (0, (1 << 16) - 1),
    "tab_shift": (0, 62),
    "transposed": (0, 1),
}


_OPTIONAL = ("out_scales", "tab_mult", "tab_shift", "function", "transposed")


@dataclass(frozen=True)
class Epilogue:
    """Scale-product rounding, post-processing and output form (docs/numerics.md, sections 4 and 5).

    All numbers are integers; the flags are 0 or 1. Constructing one with a value out of range, or a
    requantized output (wide=0) without `out_bits`, raises OperatorError naming the layer and the field.

    layer: the source layer's name, for messages, listings and profiles.
    product_shift: low bits that rounding removes from the product of the two vector scales.
    product_bits: bits kept of that product, 0 for no limit.
    relu: clamp the result at 0 from below.
    res_mult, res_shift: fixed-point factor that brings the residual into the unit of the result.
    wide: 1 leaves the int32 result as it is; 0 requantizes it to vectors.
    out_bits, out_scale_bits (0: no scales), out_signed: format of those vectors.
    guard_bits: fractional bits that the int32 result carries below one step of gamma_out.
    out_scales: static scales of those vectors, one for each; empty where each follows from its data.
    tab_mult, tab_shift: fixed-point factor that brings what a table gives into the unit of the result.
    function: what the table is of, for reports.
    transposed: 1 exchanges the last two axes of the result before it is requantized: vectors run along the
    second last.
    act_signed, res_signed: whether the stored elements of x and of the residual are signed. The arithmetic
        on int16 vector tensors does not depend on it; the accelerator needs it to read packed elements.
    """

    layer: str
    product_shift: int = 0
    product_bits: int = 0
    relu: int = 0
    res_mult: int = 0
    res_shift: int = 0
    wide: int = 0
    out_bits: int = 0
    out_scale_bits: int = 0
    out_signed: int = 1
    guard_bits: int = 0
    act_signed: int = 1
    res_signed: int = 1
    out_scales: Sequence[int] = ()
    tab_mult: int = 0
    tab_shift: int = 0
    function: str = ""
    transposed: int = 0

    def __post_init__(self) -> None:
        where = f"layer '{self.layer}'"
        for name, (low, high) in _RANGES.items():
            object.__setattr__(self, name, integer(where, name, getattr(self, name), low, high))
        scales = static_scales(where, "out_scales", self.out_scales, self.out_scale_bits)
        object.__setattr__(self, "out_scales", scales)
        least, most = ELEMENT_BITS
        if not self.wide and self.out_bits < least:
            raise OperatorError(
                f"{where}: a requantized output needs out_bits in {least}..{most}, got {self.out_bits}"
            )

    @classmethod
    def build(cls, layer: str, values: Mapping[str, Any]) -> Epilogue:
        """An epilogue from keyword arguments; an unknown one is an OperatorError."""
        unknown = sorted(set(values) - {*_RANGES, *_OPTIONAL})
        if unknown:
            raise OperatorError(
                f"layer '{layer}': unknown attribute {unknown[0]!r}; known are {', '.join(_RANGES)}"
            )
        return cls(layer, **values)

    @classmethod
    def read(cls, op: str, attributes: Mapping[str, Any]) -> Epilogue:
        """The epilogue of a call to `op` with these attributes."""
        values = {
            field.name: attribute(op, attributes, field.name)
            for field in fields(cls)
            if field.name not in _OPTIONAL or field.name in attributes
        }
        texts = {name: str(values.get(name, "")) for name in ("layer", "function")}
        return cls(**{**values, **texts})

    def output(self, vector_size: int) -> VectorFormat:
        """The format of the requantized result."""
        return OUTPUT.read(self.attributes(), vector_size)

    def attributes(self) -> dict[str, Any]:
        """The attributes of a call."""
        return asdict(self)
