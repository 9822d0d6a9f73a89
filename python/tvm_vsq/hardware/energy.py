"""Energy: the simulator's event counts times what one event costs. docs/energy.md derives each formula."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.memories import MEMORIES
from tvm_vsq.hardware.technology import Technology

_INSTRUCTION_BITS = 128
_PPU_BITS = 32  # width of the PPU's result y


def layer_energy(
    events: Mapping[str, int], hardware: HardwareConfig, technology: Technology
) -> dict[str, float]:
    """Energy of a layer's counted events in pJ, by kind of event; a kind that is left out counts 0.

    Raises ConfigError for a name that is not in EVENTS.
    """
    if unknown := sorted(set(events) - set(EVENTS)):
        raise ConfigError(f"unknown event {', '.join(unknown)}; the simulator counts {', '.join(EVENTS)}")
    return {event: events.get(event, 0) * pj for event, pj in event_energy_pj(hardware, technology).items()}


@lru_cache(maxsize=64)
def event_energy_pj(hardware: HardwareConfig, technology: Technology) -> Mapping[str, float]:
    """Energy of one event of each kind in EVENTS, in pJ."""
    queue_kib = hardware.timing.command_queue_depth * _INSTRUCTION_BITS / 8192
    dram_byte = 8 * technology.dram_access.pj / technology.dram_access.access_bits
    energies = {
        # Fetched into a command queue and read out of it; its 16 bytes of DRAM count as dram_read_bytes.
        "instructions": 2 * _INSTRUCTION_BITS * _sram_bit_pj(technology, queue_kib, _INSTRUCTION_BITS),
        "macs": _mac_pj(hardware, technology),
        "scale_products": _scale_product_pj(hardware, technology),
        "scale_macs": _scale_mac_pj(hardware, technology),
        "ppu_lane_ops": _ppu_lane_pj(hardware, technology),
        "quantize_lane_ops": _quantize_lane_pj(hardware, technology),
        "dram_read_bytes": dram_byte,
        "dram_write_bytes": dram_byte,
    }
    for memory in MEMORIES:
        bit = _sram_bit_pj(technology, memory.kib(hardware), memory.entry_bits(hardware))
        energies |= {memory.read_event: bit, memory.write_event: bit}
    return MappingProxyType({event: energies[event] for event in EVENTS})


def _multiply_pj(table: Technology, a_bits: int, b_bits: int) -> float:
    # An array multiplier has a_bits x b_bits cells, as many as a square one of the geometric mean's width.
    return table.integer_multiply.pj(math.sqrt(a_bits * b_bits))


def _dot_bits(hardware: HardwareConfig) -> int:
    """Width of the sum of vector_size products."""
    return hardware.weight_bits + hardware.activation_bits + int(math.log2(hardware.vector_size))


def _mac_pj(hardware: HardwareConfig, table: Technology) -> float:
    """A multiplier, and one vector_size-th of the adder tree and of the accumulating adder."""
    product_bits = hardware.weight_bits + hardware.activation_bits
    levels = int(math.log2(hardware.vector_size))
    # Level i (from 0) has vector_size / 2^(i+1) adders, whose operands are i bits wider than a product.
    tree = sum(table.integer_add.pj(product_bits + level) / (2 << level) for level in range(levels))
    accumulate = table.integer_add.pj(hardware.accumulator_bits) / hardware.vector_size
    return _multiply_pj(table, hardware.weight_bits, hardware.activation_bits) + tree + accumulate


def _scale_product_pj(hardware: HardwareConfig, table: Technology) -> float:
    """s_w * s_a; nothing where one of the two scales is absent."""
    if hardware.weight_scale_bits is None or hardware.activation_scale_bits is None:
        return 0.0
    return _multiply_pj(table, hardware.weight_scale_bits, hardware.activation_scale_bits)


def _scale_mac_pj(hardware: HardwareConfig, table: Technology) -> float:
    """The scale product rounded to P bits, and the dot product times it; nothing without scales.

    Adding the result to the accumulator is part of `macs`.
    """
    if hardware.product_bits == 0:
        return 0.0
    rounding = table.integer_add.pj(hardware.full_product_bits) if hardware.product_shift else 0.0
    return rounding + _multiply_pj(table, _dot_bits(hardware), hardware.product_bits)


def _ppu_lane_pj(hardware: HardwareConfig, table: Technology) -> float:
    """acc * mult, rounding adder and shifter at the product's width; bias, ReLU and clip at 32 bits."""
    product_bits = hardware.accumulator_bits + hardware.multiplier_bits
    scale = _multiply_pj(table, hardware.accumulator_bits, hardware.multiplier_bits)
    return scale + 2 * table.integer_add.pj(product_bits) + 3 * table.integer_add.pj(_PPU_BITS)


def _quantize_lane_pj(hardware: HardwareConfig, table: Technology) -> float:
    """Without scales a rounding adder and a clip; with them the vector maximum and a bit-serial division."""
    if hardware.activation_scale_bits is None:
        return 2 * table.integer_add.pj(_PPU_BITS)
    # One subtraction for each bit of a quotient: activation_bits + 1 for the element (the last one rounds) in
    # each lane, activation_scale_bits for the scale once in a vector.
    width = hardware.activation_bits + hardware.activation_scale_bits + hardware.guard_bits + 1
    steps = hardware.activation_bits + 1 + hardware.activation_scale_bits / hardware.vector_size
    return table.integer_add.pj(_PPU_BITS) + steps * table.integer_add.pj(width)


def _sram_bit_pj(table: Technology, kib: float, entry_bits: int) -> float:
    """Energy of reading or writing one bit of a memory of `kib` KiB with entries of `entry_bits` bits.

    An entry wider than the technology's access is spread over macros side by side, each with its share of the
    capacity: shorter bit lines, so less energy per bit.
    """
    macros = max(1.0, entry_bits / table.sram_access.access_bits)
    return table.sram_access.pj(kib / macros) / table.sram_access.access_bits
