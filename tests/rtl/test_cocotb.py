"""Python's own integers agree with the RTL: a third reference, which shares nothing with NumPy's.

Results come when the simulator's constants say, which are counted here, not taken from the block.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.rtl.configurations import random_accelerator, with_passes
from tests.seeds import one_of

from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.rtl import blocks, sources

pytestmark = [
    pytest.mark.usefixtures("cocotb"),
    pytest.mark.filterwarnings("ignore:Python runners and associated APIs"),
]

DRIVERS = Path(__file__).with_name("drivers")
ACCELERATORS = [
    load_hardware("vsq-accel"),
    with_passes(load_hardware("vsq-accel-w4a8"), 2),
    *(with_passes(load_hardware("vsq-accel"), passes) for passes in (2, 4)),
    *(load_hardware(name) for name in list_targets() if name != "vsq-accel"),
    *map(random_accelerator, range(12)),
]


def named(hardware: HardwareConfig) -> str:
    return f"{hardware.name}+{hardware.precision_passes}"


def latency(hardware: HardwareConfig, block: str) -> int:
    """Clocks from a unit's operands to its result: its constant, or less where it is longer than all stages.

    Of PPU, VEC and REDUCE, the constant's last cycle writes the result; GEMM without scales has no stage for
    them.
    """
    timing = hardware.timing
    bits = min(8, hardware.precision_passes * hardware.activation_bits)  # of the widest element
    if block == "vector_mac":
        longest = 4 + hardware.vector_size.bit_length() - 1  # read, multiply, the tree, scale, accumulate
        return min(timing.gemm_pipeline_cycles, longest) - (0 if hardware.product_bits else 1)
    if block == "vector_lane":
        return 5
    if block == "reduce":
        longest = 10 + hardware.output_lanes.bit_length() - 1  # of it four before the tree and six behind
        return min(timing.row_pipeline_cycles - 1, longest)
    # read, multiply twice, shift, add; maximum, scale, a bit of the quotient a cycle, or round; write
    scaled = hardware.activation_scale_bits is not None
    longest = 5 + (hardware.group_blocks + 1 + bits if scaled else 1) + 1
    return min(timing.ppu_pipeline_cycles, longest) - 1


@pytest.mark.parametrize("block", ["vector_mac", "vector_lane", "reduce", "ppu"])
@pytest.mark.parametrize("hardware", one_of(ACCELERATORS), ids=named)
def test_a_unit_computes_what_integers_do_in_the_constants_time(
    hardware: HardwareConfig, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cocotb.runner import get_results, get_runner

    module = blocks(hardware)[block]
    parameters = dict(module.parameters)
    setting = {**parameters, "count": 100, "latency": latency(hardware, block)}
    monkeypatch.syspath_prepend(str(DRIVERS))
    runner = get_runner("icarus")
    runner.build(
        verilog_sources=sources(), hdl_toplevel=module.module, parameters=parameters, build_dir=tmp_path
    )
    results = runner.test(
        hdl_toplevel=module.module,
        test_module=f"drive_{block}",
        build_dir=tmp_path,
        test_dir=tmp_path,
        extra_env={"VSQ_SETTING": json.dumps(setting)},
    )
    assert get_results(results) == (1, 0)  # its exit code says nothing of failures
