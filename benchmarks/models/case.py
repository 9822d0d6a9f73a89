"""What one network costs on one target, in this process: prints a line of JSON.

python benchmarks/models/case.py resnet8 vsq-accel
python benchmarks/models/case.py resnet8 vsq-accel --unfitted    # compiles only
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from networks import NETWORKS, Network

import tvm_vsq
from tvm_vsq.hardware import HardwareConfig, list_targets

ROUNDS, RUNS = 3, 5
"""Of timing: a round is ONNX Runtime's runs, then the simulator's, each after one that does not count."""

THREADS = len(os.sched_getaffinity(0))
"""Of ONNX Runtime; the simulator takes as many."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("target", choices=list_targets())
    parser.add_argument("--unfitted", action="store_true", help="compile without fitting, and no more")
    arguments = parser.parse_args()
    network, hardware = NETWORKS[arguments.network](), tvm_vsq.load_hardware(arguments.target)
    config = tvm_vsq.QuantConfig.of_hardware(hardware)
    if arguments.unfitted:
        found, _, _ = compiled(network, hardware, config.unfitted())
    else:
        found = measure(network, hardware, config)
    print(json.dumps(found))


def measure(network: Network, hardware: HardwareConfig, config: tvm_vsq.QuantConfig) -> dict[str, Any]:
    """All but what compiling costs without fitting."""
    found, quantized, exe = compiled(network, hardware, config)
    plain = tvm_vsq.compile(quantized, hardware, schedules="default").timing()
    profile = exe.timing()
    return {
        **found,
        "notation": profile.notation,
        "macs": profile.macs,
        "instructions": sum(layer.instructions for layer in profile.layers),
        "default_cycles": plain.cycles,
        "default_utilization": plain.utilization,
        "cycles": profile.cycles,
        "utilization": profile.utilization,
        "tuned_layers": sum(layer.tuned for layer in profile.layers),
        "dram_bytes": profile.dram_bytes,
        "minimum_dram_bytes": profile.minimum_dram_bytes,
        "on_chip_minimum_dram_bytes": profile.on_chip_minimum_dram_bytes,
        "arena_bytes": profile.arena_bytes,
        "energy_uj": profile.energy_pj / 1e6,
        "artifact_bytes": artifact_bytes(exe),
        "notes": profile.notes,
        "layers": [
            {
                "name": layer.name,
                "shape": layer.shape,
                "macs": layer.macs,
                "cycles": layer.cycles,
                "utilization": layer.utilization,
                "dram_bytes": layer.dram_bytes,
                "minimum_dram_bytes": layer.minimum_dram_bytes,
                "tuned": layer.tuned,
            }
            for layer in profile.layers
        ],
        **milliseconds(network, exe),
    }


def compiled(
    network: Network, hardware: HardwareConfig, config: tvm_vsq.QuantConfig
) -> tuple[dict[str, float], Any, tvm_vsq.Executable]:
    """What `compile` takes, the process in whole, and its two halves."""
    start = time.perf_counter()
    quantized = tvm_vsq.quantize_model(
        network.model,
        hardware,
        quant=config,
        example_inputs=(torch.from_numpy(network.x),),
        calibration=network.calibration,
    )
    exe = tvm_vsq.compile(quantized, hardware)
    seconds = time.perf_counter() - start
    return {"compile_s": seconds, "peak_mib": peak_mib()}, quantized, exe


def peak_mib() -> float:
    """The largest resident set of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def artifact_bytes(exe: tvm_vsq.Executable) -> int:
    """Of the file that `save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.so")
        exe.save(path)
        return path.stat().st_size


def milliseconds(network: Network, exe: tvm_vsq.Executable) -> dict[str, float]:
    """The fastest of all runs of the whole network, in turns: bit-exact, and in ONNX Runtime in fp32.

    One at a time is there: idle threads of ONNX Runtime would spin.
    """
    with torch.no_grad():
        expected = network.model(torch.from_numpy(network.x)).numpy()
    simulated, fp32 = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fp32.onnx")
        network.to_onnx(path)
        for _ in range(ROUNDS):
            session = _session(path)
            run = partial(session.run, None, {"x": network.x})
            np.testing.assert_allclose(run()[0], expected, rtol=0.01, atol=0.01 * np.abs(expected).max())
            fp32.append(_fastest(run))
            del session, run
            simulated.append(_fastest(partial(exe, network.x)))
    return {"simulate_ms": min(simulated), "fp32_ms": min(fp32)}


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _fastest(function: Callable[[], object]) -> float:
    function()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1e3)
    return min(times)


if __name__ == "__main__":
    main()
