"""Lets uses of one tensor share one quantized form where the model gives a range to one of them alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tvm_vsq.quantize.calibration import Range
from tvm_vsq.quantize.plan import Plan, QuantizedLayer, Reading

_ROUNDED = 1 + 1e-6
"""A range that went through a file's float32 may lack the last bit of what occurs."""

_LOOSE = 2.0
"""How much larger than what occurs a shared range may be: it costs a bit of what calibration would give."""


def share_limits(plan: Plan, ranges: Mapping[Any, Range]) -> Plan:
    """`plan`, where uses of a tensor without a range of their own take over that of another use.

    They do if there is one such range, it holds all values on the calibration data, and is no more than twice
    what these need. Otherwise each use is quantized by itself: a range of one use does no harm to another.
    Of tensors that are moved with others, which share a scale anyway, all uses take it over.
    """
    moved = {
        source.tensor
        for layer in plan.layers
        for reading in layer.reads
        if plan.parts(reading)
        for source in plan.sources(reading)
    }
    given: dict[Reading, set[float]] = {}
    for reading in plan.readings:
        if reading.limit is not None:
            given.setdefault(replace(reading, limit=None), set()).add(reading.limit)

    def limit_of(reading: Reading) -> float | None:
        found = {limit for source in plan.sources(reading) for limit in given.get(source, set())}
        needed = ranges[reading.tensor].absmax
        (only,) = found if len(found) == 1 else (None,)
        if only is None or needed > only * _ROUNDED:
            return reading.limit
        is_shared = all(source.tensor in moved for source in plan.sources(reading))
        return only if is_shared or only <= _LOOSE * needed else reading.limit

    def shared(layer: QuantizedLayer) -> QuantizedLayer:
        return replace(layer, limits=tuple(limit_of(reading) for reading in layer.reads))

    return replace(plan, layers=tuple(map(shared, plan.layers)))
