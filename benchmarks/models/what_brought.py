"""What each change brought: cycles of a network with all changes switched off, then one after the other on.

    python benchmarks/models/what_brought.py resnet8 vsq-accel

Default schedules, weights not fitted: cycles depend on neither data nor weights. The last row is with the
schedules that ship. `--json` prints the rows as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from networks import NETWORKS, Network
from switches import CHANGES, OF_QUANTIZING, without

import tvm_vsq
from tvm_vsq.hardware import HardwareConfig, list_targets

BEFORE, TUNED = "all of these switched off", "schedules tuned for the network (`schedules/`)"


@dataclass(frozen=True)
class Step:
    """The network's cycles with this change and all before it. utilization: of the multipliers, 0..1."""

    change: str
    cycles: int
    utilization: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("target", choices=list_targets())
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    steps = []
    for step in measure(NETWORKS[arguments.network](), tvm_vsq.load_hardware(arguments.target)):
        steps.append(step)
        if not arguments.json:
            print(f"{step.cycles:12,}  {step.utilization:6.1%}  {step.change}", flush=True)
    if arguments.json:
        print(json.dumps([asdict(step) for step in steps]))


def measure(network: Network, hardware: HardwareConfig) -> Iterator[Step]:
    """All steps, in the order of CHANGES."""
    changes, modules = list(CHANGES), dict[tuple[str, ...], Any]()
    for done in range(len(changes) + 1):
        off = changes[done:]
        with without(off):
            key = tuple(name for name in off if name in OF_QUANTIZING)
            if key not in modules:
                modules[key] = quantized(network, hardware)
            yield _step([BEFORE, *changes][done], modules[key], hardware, "default")
    yield _step(TUNED, modules[()], hardware, "auto")


def quantized(network: Network, hardware: HardwareConfig) -> Any:
    return tvm_vsq.quantize_model(
        network.model,
        hardware,
        quant=tvm_vsq.QuantConfig.of_hardware(hardware).unfitted(),
        example_inputs=(torch.from_numpy(network.x),),
        calibration=network.calibration[: len(network.x)],
        check_import=False,
    )


def _step(change: str, module: Any, hardware: HardwareConfig, schedules: str) -> Step:
    profile = tvm_vsq.compile(module, hardware, schedules=schedules).timing()
    return Step(change, profile.cycles, profile.utilization)


if __name__ == "__main__":
    main()
