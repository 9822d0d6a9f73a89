"""The normalizations by the root of mean squares of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.graph import constant_array, static_shape
from tvm_vsq.layers.normalization import normalization, unit_rows
from tvm_vsq.layers.row_tables import reciprocal_root_table
from tvm_vsq.network import RowForm, Source
from tvm_vsq.ops.layer_norm.source import Array, is_over_last_axis, row_refusal


def _factors(call: Any) -> tuple[Array, Array]:
    weight, length = constant_array(call.args[1]).astype(np.float64), static_shape(call.args[0])[-1]
    return unit_rows(length) * weight, np.zeros(length)


def _numbers(
    call: Any, unit: float, absmax: float, _is_guarded: bool
) -> tuple[dict[str, Any], npt.NDArray[np.int32]]:
    length = static_shape(call.args[0])[-1]
    how = normalization(length, float(call.attrs.epsilon), unit, absmax, centered=False)
    return {"how": how}, reciprocal_root_table()


SOURCE = Source(
    relax="relax.nn.rms_norm",
    word="rms_norm",
    refusal=row_refusal,
    matches=is_over_last_axis,
    rows=RowForm(at_end=True, factors=_factors, numbers=_numbers),
)
