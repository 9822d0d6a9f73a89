"""Formats among the attributes of vsq.* operators: the one place that knows their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm_vsq.formats.vector import VectorFormat


@dataclass(frozen=True)
class FormatAttributes:
    """The attributes that hold one format: `prefix` and the names of `fields`, all as integers.

    An absent scale is 0 bits. What `fields` leaves out follows from the operand: the vector size is that of
    its last axis, and weights are signed.
    """

    prefix: str
    fields: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes' names."""
        return tuple(self.prefix + field for field in self.fields)

    def write(self, fmt: VectorFormat) -> dict[str, int]:
        """The attributes of `fmt`."""
        return {
            name: int(getattr(fmt, field) or 0) for name, field in zip(self.names, self.fields, strict=True)
        }

    def read(self, attributes: Mapping[str, Any], vector_size: int | None = None) -> VectorFormat:
        """The format in `attributes`, those of a call; vector_size: the operand's, if they do not hold it.

        Raises ConfigError as VectorFormat does.
        """
        values = {field: int(attributes[name]) for name, field in zip(self.names, self.fields, strict=True)}
        return VectorFormat(
            values["bits"],
            values["scale_bits"],
            values["vector_size"] if vector_size is None else vector_size,
            bool(values.get("signed", True)),
        )


QUANTIZED = FormatAttributes("", ("bits", "scale_bits", "vector_size", "signed"))
"""Of vsq.quantize: the vectors that it makes."""

OUTPUT = FormatAttributes("out_", ("bits", "scale_bits", "signed"))
"""Of vsq.conv2d and vsq.dense: the vectors that their result is requantized to."""

WEIGHTS = FormatAttributes("weight_", ("bits", "scale_bits"))
"""Of the vsq.dequantize of a layer's weights: the format that those were quantized to."""
