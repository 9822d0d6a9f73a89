"""What the critical path consists of: kinds of steps in words, and the fields that their cycles depend on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """A field of a description, by dotted path, that a step's cycles depend on."""

    field: str
    sign: int
    """1 if a larger value means more cycles, -1 if fewer."""
    event: str = ""
    """Only layers with this event depend on it; "": all do."""


@dataclass(frozen=True)
class Step:
    """`happens`: in words, with {data} for what is moved. `remedy`: what lowers it, with {hardware.field}."""

    happens: str
    remedy: str
    needs: tuple[Need, ...] = ()


_MORE_LANES = "More output_lanes ({hardware.output_lanes}) lower it"

STEPS = {
    "fetch": Step(
        "instructions are fetched",
        "A larger timing.fetch_buffer_bursts ({hardware.timing.fetch_buffer_bursts}) or fewer "
        "timing.fetch_cycles ({hardware.timing.fetch_cycles}) lower it",
        (
            Need("timing.fetch_cycles", 1),
            Need("timing.fetch_buffer_bursts", -1),
            Need("dram.latency_cycles", 1),
            Need("dram.bytes_per_cycle", -1),
        ),
    ),
    "DMA setup and rows": Step(
        "transfers are set up and DRAM rows opened",
        "Fewer and longer transfers (larger scratchpads, tuned schedules), or a lower "
        "timing.dma_setup_cycles ({hardware.timing.dma_setup_cycles}) and dram.row_miss_cycles "
        "({hardware.dram.row_miss_cycles}) lower it",
        (Need("timing.dma_setup_cycles", 1), Need("dram.row_miss_cycles", 1), Need("dram.row_bytes", -1)),
    ),
    "DRAM transfer": Step(
        "DRAM moves {data}, at its full bandwidth",
        "More dram.bytes_per_cycle ({hardware.dram.bytes_per_cycle})",
        (Need("dram.bytes_per_cycle", -1),),
    ),
    "DRAM latency": Step(
        "data are on their way from or to DRAM, and nothing else can go on",
        "Larger scratchpads, in which more is loaded ahead, tuned schedules, or a lower "
        "dram.latency_cycles ({hardware.dram.latency_cycles}) lower it",
        (Need("dram.latency_cycles", 1),),
    ),
    "compute": Step(
        "the array multiplies",
        "More output_lanes ({hardware.output_lanes}) or larger vectors",
        (Need("macs_per_cycle", -1), Need("timing.gemm_pipeline_cycles", 1)),
    ),
    "vector": Step(
        "the vector unit calculates",
        _MORE_LANES,
        (
            Need("output_lanes", -1),
            Need("timing.vector_pipeline_cycles", 1),
            Need("timing.row_pipeline_cycles", 1, "row_ops"),
        ),
    ),
    "ppu": Step(
        "the PPU post-processes and requantizes",
        _MORE_LANES,
        (Need("output_lanes", -1), Need("timing.ppu_pipeline_cycles", 1)),
    ),
    "store": Step("a program ends", "It is one cycle of each program"),
}
"""Kinds of steps that are not calculations, as the simulator calls them, and every engine with an instruction
that moves nothing to or from DRAM.
"""
