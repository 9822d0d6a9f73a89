"""Signed or unsigned: the format in which a layer reads an activation tensor."""

from __future__ import annotations

from collections.abc import Mapping

from tvm_vsq.formats import LayerFormats, VectorFormat
from tvm_vsq.quantize.activations.signs import Signs
from tvm_vsq.quantize.calibration import Range
from tvm_vsq.tvm_compat import Var


def tensor_format(
    var: Var, ranges: Mapping[Var, Range], signs: Signs, formats: LayerFormats, is_second: bool = False
) -> VectorFormat:
    """Unsigned where neither the calibration data nor the network can make the tensor negative.

    is_second: in place of weights, which are signed.
    """
    if is_second:
        return formats.second
    is_unsigned = ranges[var].min >= 0 and signs.is_nonnegative(var)
    return formats.activation.with_sign(not is_unsigned)
