"""The layer normalizations of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats.rows import MOST_LANES
from tvm_vsq.graph import constant_array, is_constant, static_shape
from tvm_vsq.layers.normalization import normalization, unit_rows
from tvm_vsq.layers.row_tables import reciprocal_root_table
from tvm_vsq.network import RowForm, Source

Array = npt.NDArray[np.float64]


def is_over_last_axis(call: Any) -> bool:
    """Whether a call normalizes the last axis, and no other."""
    rank = len(static_shape(call.args[0]))
    return [int(axis) % rank for axis in call.attrs.axes] == [rank - 1]


def row_refusal(call: Any, _has_constant_weights: bool = False) -> str:
    """Why a call has no accelerator form; "" if it has one."""
    length = static_shape(call.args[0])[-1]
    if length > MOST_LANES:
        return f"rows of {length} numbers are longer than {MOST_LANES}"
    return "" if all(map(is_constant, call.args[1:])) else "its weights are no constants"


def _factors(call: Any) -> tuple[Array, Array]:
    gamma, beta = (constant_array(arg).astype(np.float64) for arg in call.args[1:])
    length, attrs = static_shape(call.args[0])[-1], call.attrs
    weight = gamma if bool(attrs.scale) else np.ones(length)
    return unit_rows(length) * weight, beta if bool(attrs.center) else np.zeros(length)


def _numbers(
    call: Any, unit: float, absmax: float, _is_guarded: bool
) -> tuple[dict[str, Any], npt.NDArray[np.int32]]:
    length = static_shape(call.args[0])[-1]
    how = normalization(length, float(call.attrs.epsilon), unit, absmax, centered=True)
    return {"how": how}, reciprocal_root_table()


SOURCE = Source(
    relax="relax.nn.layer_norm",
    word="layer_norm",
    refusal=row_refusal,
    matches=is_over_last_axis,
    rows=RowForm(at_end=True, factors=_factors, numbers=_numbers),
)
