"""The layer normalizations of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats.rows import MOST_LANES
from tvm_vsq.graph import constant_array, is_constant, static_shape
from tvm_vsq.layers.normalization import least_unit, normalization, unit_rows
from tvm_vsq.layers.row_tables import reciprocal_root_table
from tvm_vsq.network import RowForm, Source

Array = npt.NDArray[np.float64]


def is_over_last_axis(call: Any) -> bool:
    """Whether a call normalizes the last axis, and no other."""
    rank = len(static_shape(call.args[0]))
    return [int(axis) % rank for axis in call.attrs.axes] == [rank - 1]


def row_refusal(call: Any, _has_constant_weights: bool = False) -> str:
    """Why a call has no accelerator form; "" if it has one."""
    length = _length(call)
    if length > MOST_LANES:
        return f"rows of {length} numbers are longer than {MOST_LANES}"
    return "" if all(map(is_constant, call.args[1:])) else "its weights are no constants"


def _factors(call: Any) -> tuple[Array, Array]:
    gamma, beta = (constant_array(arg).astype(np.float64) for arg in call.args[1:])
    length, attrs = _length(call), call.attrs
    weight = gamma if bool(attrs.scale) else np.ones(length)
    return unit_rows(length) * weight, beta if bool(attrs.center) else np.zeros(length)


def norm_form(factors: Callable[[Any], tuple[Array, Array]], centered: bool) -> RowForm:
    """How rows are normalized whose mean is subtracted first, or not."""

    def numbers(
        call: Any, unit: float, absmax: float, _is_guarded: bool
    ) -> tuple[dict[str, Any], npt.NDArray[np.int32]]:
        how = normalization(_length(call), float(call.attrs.epsilon), unit, absmax, centered)
        return {"how": how}, reciprocal_root_table()

    def unit(call: Any, least: float) -> float:
        return max(least, least_unit(_length(call), float(call.attrs.epsilon)))

    return RowForm(at_end=True, factors=factors, numbers=numbers, unit=unit)


def _length(call: Any) -> int:
    return static_shape(call.args[0])[-1]


SOURCE = Source(
    relax="relax.nn.layer_norm",
    word="layer_norm",
    refusal=row_refusal,
    matches=is_over_last_axis,
    rows=norm_form(_factors, centered=True),
)
