"""Synthesis, in short: gates that compute what NumPy does, in time, and in the area of the model."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.seeds import one_of

from tvm_vsq.hardware import components, load_hardware
from tvm_vsq.hardware.gates import load_gates
from tvm_vsq.rtl import blocks, expected, stimuli

LIBRARY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")

pytestmark = [
    pytest.mark.skipif(
        shutil.which("yosys") is None or shutil.which("sta") is None or not LIBRARY.is_file(),
        reason="needs yosys and osu018: apt-get install yosys qflow-tech-osu018",
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("liberty") is None, reason="needs liberty-parser: pip install 'tvm-vsq[rtl]'"
    ),
]

Scripts = Callable[[str], ModuleType]


@pytest.fixture
def scripts(on_path: Callable[..., None]) -> Scripts:
    on_path("benchmarks/rtl")
    return importlib.import_module


@pytest.mark.parametrize("name", one_of(["vector_mac", "quantizer", "row_unit", "vector_lane", "ppu_lane"]))
def test_gates_compute_what_numpy_does_in_time_and_in_the_area_of_the_model(
    name: str, scripts: Scripts, tmp_path: Path
) -> None:
    hardware = load_hardware("vsq-accel")
    block = blocks(hardware)[name]
    found = scripts("synthesis").synthesize(block, tmp_path)

    inputs = stimuli(hardware, block, 5000, seed=1)
    if "forward" in inputs:  # what comes back cannot be a waveform that is known before
        inputs["forward"] = np.zeros_like(inputs["forward"])
    run = scripts("waveforms").simulated(found.netlist, block, inputs)
    assert scripts("waveforms").wrong(run, block, expected(hardware, block.name, inputs)) == 0

    assert scripts("synthesis").slack_ns(found) > 0

    of_a_lane = ("vector_mac", "ppu_lane", "vector_lane")
    gates, lanes = load_gates("osu018"), hardware.output_lanes if name in of_a_lane else 1
    modelled = sum(c.count * gates.of(c.unit) for c in components(hardware) if c.block == name) / lanes
    assert modelled == pytest.approx(found.area / scripts("library").gate_um2(), rel=0.1)


def test_a_netlist_that_computes_something_else_is_found_out(scripts: Scripts, tmp_path: Path) -> None:
    hardware = load_hardware("vsq-accel")
    block = blocks(hardware)["accumulator"]
    found = scripts("synthesis").synthesize(block, tmp_path)
    inputs = stimuli(hardware, block, 200, seed=0)
    inputs["forward"] = np.zeros_like(inputs["forward"])
    results = expected(hardware, block.name, inputs)
    run = scripts("waveforms").simulated(found.netlist, block, inputs)
    results["acc"][0][7] ^= 1
    assert scripts("waveforms").wrong(run, block, results) == 1
