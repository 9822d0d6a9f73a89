"""Pipelines: as deep as the simulator's constants say, and refused where a stage has no cycle."""

from __future__ import annotations

import pytest
from tests.accelerators import accelerator
from tests.rtl.configurations import random_accelerator, shortest_cycles
from tests.seeds import first_of

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.rtl import blocks, pipelines


def with_cycles(hardware: HardwareConfig, unit: str, cycles: int) -> HardwareConfig:
    return accelerator(hardware.model_dump(), {"timing": {f"{unit}_pipeline_cycles": cycles}})


@pytest.mark.parametrize("seed", first_of(range(40), 6))
@pytest.mark.parametrize("unit", ["gemm", "vector", "row", "ppu"])
def test_the_shortest_pipeline_is_built_and_a_shorter_one_is_refused(unit: str, seed: int) -> None:
    hardware = random_accelerator(seed)
    least = shortest_cycles(hardware)[unit]
    assert blocks(with_cycles(hardware, unit, least))
    short = with_cycles(hardware, unit, least - 1)
    with pytest.raises(
        ConfigError, match=f"timing.{unit}_pipeline_cycles={least - 1} is too short"
    ) as caught:
        blocks(short)
    assert str(caught.value).startswith(short.label)
    assert str(caught.value).endswith(f"set it to {least} or more")


def test_what_is_too_short_says_which_stages_there_are() -> None:
    stages = r"read, multiply, shift, add, maximum \(4\), scale, divide, write"
    with pytest.raises(ConfigError, match=stages):
        blocks(accelerator({"vector_size": 32, "timing": {"ppu_pipeline_cycles": 10}}))


@pytest.mark.parametrize("name", list_targets())
def test_the_outputs_of_a_shipped_target_come_with_its_constants(name: str) -> None:
    """The last cycle of PPU and VEC writes the result; the array of int8 has no stage for scales."""
    hardware = load_hardware(name)
    delays = {block.name: max(port.delay for port in block.outputs) for block in blocks(hardware).values()}
    timing, scaled = hardware.timing, hardware.activation_scale_bits is not None
    assert delays["vector_mac"] == timing.gemm_pipeline_cycles - (not scaled)
    assert delays["vector_lane"] == timing.vector_pipeline_cycles - 1
    assert delays["reduce"] == timing.row_pipeline_cycles - 2  # which has a cycle more than there are stages
    assert delays["ppu"] == (timing.ppu_pipeline_cycles - 1 if scaled else 6)


@pytest.mark.parametrize("cycles", range(4, 12))
def test_registers_of_the_tree_are_spread_evenly(cycles: int) -> None:
    levels = pipelines(
        accelerator(
            {"vector_size": 64, "timing": {"gemm_pipeline_cycles": cycles, "ppu_pipeline_cycles": 15}}
        )
    ).tree_levels
    assert len(levels) == min(6, cycles - 4)
    if levels:
        assert levels[-1] == 5  # the sum is registered
        gaps = [b - a for a, b in zip((-1, *levels), levels, strict=False)]
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("cycles", "parts"), [(8, (1, 1)), (9, (2, 1)), (10, (2, 2)), (12, (2, 4)), (30, (2, 4))]
)
def test_the_ppu_multiplies_in_two_cycles_then_divides_in_more(cycles: int, parts: tuple[int, int]) -> None:
    """A cycle for each bit of a quotient is the most that there is work for."""
    found = pipelines(accelerator({"timing": {"ppu_pipeline_cycles": cycles}}))
    assert (found.multiply_cycles, found.divide_cycles) == parts


@pytest.mark.parametrize("width", [1, 3, 24])
def test_a_bus_that_is_no_power_of_two_bytes_is_refused(width: int) -> None:
    with pytest.raises(ConfigError, match=f"dram.bytes_per_cycle={width}: RTL has buses of 2, 4, 8"):
        blocks(accelerator({"dram": {"bytes_per_cycle": width}}))
