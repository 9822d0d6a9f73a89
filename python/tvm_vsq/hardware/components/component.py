"""One row of what an accelerator is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tvm_vsq.hardware.units import Unit

GROUPS = (
    "MACs",
    "scale units",
    "accumulators",
    "windows",
    "PPU",
    "vector unit",
    "scratchpads",
    "DMA",
    "queues",
    "control",
    "DRAM",
)
"""What reports add up components by."""


@dataclass(frozen=True)
class Component:
    """`count` units of one kind; 0 if it is an operation of a unit that another component has already.

    uses: operations of one unit for each event, by its name in EVENTS; empty if none counts it. group: one of
    GROUPS. block: the block of `rtl/` that it is in, "" if its area is estimated.
    """

    name: str
    unit: Unit
    count: int
    uses: Mapping[str, float] = field(default_factory=dict)
    group: str = "MACs"
    block: str = ""
