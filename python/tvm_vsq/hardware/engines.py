"""The engines: what executes instructions, each in their order, beside the others."""

from __future__ import annotations

from dataclasses import dataclass

INSTRUCTION_BITS = 256
"""Of every instruction. LOAD and GEMM need more than 128 with tokens to and from all engines."""


@dataclass(frozen=True)
class Engine:
    """A unit with a command queue of its own, and a queue of tokens from each of the others."""

    name: str
    dram: bool = False
    """Whether it has a port of its own to the DRAM channel."""
    work: str = ""
    """The event that counts its arithmetic, in multiply-accumulates or lanes; "" if it only moves data."""


# Ports to DRAM take turns in this order, behind fetch.
ENGINES = (
    Engine("load", dram=True),
    Engine("compute", work="macs"),
    Engine("vector", work="vector_lane_ops"),
    Engine("ppu", work="ppu_lane_ops"),
    Engine("store", dram=True),
)
