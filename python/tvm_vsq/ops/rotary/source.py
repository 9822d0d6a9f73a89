"""The rotations of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_vsq.formats.rows import MOST_LANES
from tvm_vsq.graph import static_shape
from tvm_vsq.network import RowForm, Source
from tvm_vsq.network.rotation import NAME
from tvm_vsq.network.source import Array

_LEAST_UNIT = 2.0**-100


def row_refusal(call: Any, _has_constant_weights: bool) -> str:
    """Why a call has no accelerator form; "" if it has one."""
    length = static_shape(call.args[0])[-1]
    return f"rows of {length} numbers are longer than {MOST_LANES}" if length > MOST_LANES else ""


def _misfit(call: Any, group: int) -> str:
    half = static_shape(call.args[1])[-1] // 2
    if half % group == 0:
        return ""
    return (
        f"numbers are turned in halves of {half}, which are no whole groups of {group} channels, as the "
        f"accelerator takes them"
    )


def unit_steps(call: Any) -> tuple[Array, Array]:
    """Accumulators that count steps of what is read, and nothing that is added."""
    length = static_shape(call.args[0])[-1]
    return np.ones(length), np.zeros(length)


def no_numbers(_call: Any, _unit: float, _absmax: float, _is_guarded: bool) -> tuple[dict[str, Any], None]:
    """Neither attributes nor tables."""
    return {}, None


def same_unit(_call: Any, least: float) -> float:
    """Any unit will do."""
    return max(least, _LEAST_UNIT)


SOURCE = Source(
    relax=NAME,
    word="rotary",
    refusal=row_refusal,
    rows=RowForm(
        at_end=False, factors=unit_steps, numbers=no_numbers, unit=same_unit, turns=1, misfit=_misfit
    ),
)
