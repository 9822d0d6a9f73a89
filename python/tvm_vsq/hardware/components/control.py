"""Fetch, queues and sequencers; not in `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.engines import ENGINES, INSTRUCTION_BITS
from tvm_vsq.hardware.units import Adder, Register, Sram

_INDEX_BITS = 20  # at most, of a scratchpad: HardwareConfig checks that
_INDICES, _LOOPS = 4, 3  # of a micro-op loop: acc, inp, wgt, uop; outer, inner, micro-ops
_SEQUENCERS = 3  # compute, vector, ppu


def control(hardware: HardwareConfig) -> Iterator[Component]:
    """An instruction in hand for each engine, its loops, and counters, which queues of tokens are."""
    timing, dram = hardware.timing, hardware.dram
    # Fetched into a command queue and read out of it; its bytes of DRAM count as dram_read_bytes.
    queue = Sram(timing.command_queue_depth * INSTRUCTION_BITS / 8192, INSTRUCTION_BITS, 1)
    yield Component("command queue", queue, len(ENGINES), {"instructions": 2 * INSTRUCTION_BITS}, "queues")
    buffer = Sram(timing.fetch_buffer_bursts * dram.burst_bytes / 1024, INSTRUCTION_BITS, 1)
    yield Component("fetch buffer", buffer, 1, {}, "queues")
    counter = timing.token_queue_depth.bit_length()
    routes = len(ENGINES) * (len(ENGINES) - 1)
    yield Component("token counters", Register(counter), routes, {}, "queues")
    yield Component("token counting", Adder(counter), routes, {}, "queues")
    yield Component("instructions in hand", Register(INSTRUCTION_BITS), len(ENGINES), {}, "control")
    loops = _INDICES * _LOOPS * _INDEX_BITS
    yield Component("sequencers' addresses", Adder(loops), _SEQUENCERS, {}, "control")
    yield Component("sequencers' registers", Register(loops), _SEQUENCERS, {}, "control")
