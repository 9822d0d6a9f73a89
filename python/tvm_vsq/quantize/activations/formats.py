"""Signed or unsigned: the format in which a layer reads an activation tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tvm_vsq.formats import VectorFormat
from tvm_vsq.quantize.activations.signs import Signs
from tvm_vsq.quantize.calibration import Range
from tvm_vsq.tvm_compat import Var

if TYPE_CHECKING:
    from tvm_vsq.quantize.plan import Reading


def reading_format(reading: Reading, ranges: Mapping[Var, Range], signs: Signs) -> VectorFormat:
    """Unsigned where neither the calibration data nor the network can make the tensor negative; what is read
    in place of weights is signed as they are.
    """
    settings, tensor = reading.settings, reading.tensor
    is_unsigned = not settings.is_second and ranges[tensor].min >= 0 and signs.is_nonnegative(tensor)
    return VectorFormat(settings.bits, settings.scale_bits, settings.vector_size, not is_unsigned)
