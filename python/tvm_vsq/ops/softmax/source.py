"""The softmaxes of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats.rows import MOST_LANES, RESULT_BITS
from tvm_vsq.graph import static_shape
from tvm_vsq.layers.row_tables import (
    RECIPROCAL_EXPONENT,
    exponential_table,
    exponential_unit,
    reciprocal_table,
)
from tvm_vsq.network import RowForm, Source

Array = npt.NDArray[np.float64]

MOST_SHIFT = 15
_ROUNDED = 1 + 1e-5
"""Units are float32."""


def _refusal(call: Any, _has_constant_weights: bool) -> str:
    length = static_shape(call.args[0])[-1]
    return f"rows of {length} numbers are longer than {MOST_LANES}" if length > MOST_LANES else ""


def _factors(call: Any) -> tuple[Array, Array]:
    length = static_shape(call.args[0])[-1]
    return np.full(length, 2.0**-RESULT_BITS), np.zeros(length)


def _numbers(
    _call: Any, unit: float, _absmax: float, is_guarded: bool
) -> tuple[dict[str, Any], npt.NDArray[np.int32]]:
    shift = next(each for each in range(MOST_SHIFT + 1) if exponential_unit(each) <= unit * _ROUNDED)
    tables = np.stack([exponential_table(least=0 if is_guarded else 1), reciprocal_table()])
    return {"argument_shift": shift, "exponent": RECIPROCAL_EXPONENT}, tables


def _unit(_call: Any, least: float) -> float:
    """The smallest with which the reach of the exponential is a power of two of units; at most the largest
    such.
    """
    fitting = [unit for shift in range(MOST_SHIFT + 1) if (unit := exponential_unit(shift)) >= least]
    return min(fitting, default=exponential_unit(0))


def _matches(call: Any) -> bool:
    rank = len(static_shape(call.args[0]))
    return int(call.attrs.axis) % rank == rank - 1


SOURCE = Source(
    relax="relax.nn.softmax",
    word="softmax",
    refusal=_refusal,
    matches=_matches,
    rows=RowForm(at_end=False, factors=_factors, numbers=_numbers, unit=_unit, total=1),
)
