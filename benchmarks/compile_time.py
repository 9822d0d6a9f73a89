"""Seconds by phase and peak memory of compiling large networks: the table in docs/quantization.md.

ResNet-50 and VGG-19 at 224 x 224 with random weights, 16 samples of calibration data, each in a process of
its own, fitted (the default) and unfitted. Peak memory is that of the whole process, model and libraries
included.
Needs a machine with nothing else on it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from resnet50 import ResNet50
from rich.console import Console
from rich.table import Table
from torch import nn

import tvm_vsq
from tvm_vsq.pipeline import build_executable, import_phases, quantize_phases, run_phases
from tvm_vsq.schedule import resolve_database
from tvm_vsq.threads import compiling

SAMPLES = 16
PHASES = ("imported", "prepared", "quantized", "built")


def vgg19() -> nn.Module:
    """Configuration E of Simonyan and Zisserman (ICLR 2015, table 1)."""
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(4096, 1000))
    for module in model:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


NETWORKS = {"ResNet-50": ResNet50, "VGG-19": vgg19}


@compiling
def measure(network: str, fitted: bool, target: str) -> dict[str, Any]:
    """Seconds of each phase, and GiB."""
    torch.manual_seed(0)
    model = NETWORKS[network]().eval()
    x = np.random.default_rng(0).standard_normal((SAMPLES, 3, 224, 224), dtype=np.float32)
    hardware = tvm_vsq.load_hardware(target)
    config = tvm_vsq.QuantConfig.of_hardware(hardware)
    config = config if fitted else config.unfitted()
    module: Any = model
    seconds = {}
    for phase in (*import_phases((torch.from_numpy(x[:1]),), True), *quantize_phases(config, hardware, x)):
        start = time.perf_counter()
        module = run_phases(module, [phase])
        seconds[phase.name] = time.perf_counter() - start
    start = time.perf_counter()
    build_executable(module, hardware, resolve_database("auto", hardware))
    seconds["built"] = time.perf_counter() - start
    return seconds | {"gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--target", default="vsq-accel")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        network, way = arguments.measure
        print(json.dumps(measure(network, way == "fitted", arguments.target)))
        return
    table = Table(title=f"Compiling for {arguments.target}, {SAMPLES} samples", title_justify="left")
    table.add_column("network")
    table.add_column("weights")
    for heading in (*(f"{name} s" for name in PHASES), "all s", "peak GiB"):
        table.add_column(heading, justify="right")
    for network in arguments.networks:
        for way in ("fitted", "unfitted"):
            command = [sys.executable, __file__, "--target", arguments.target, "--measure", network, way]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(run.stdout.splitlines()[-1])
            seconds = [found[name] for name in PHASES]
            cells = [f"{value:.1f}" for value in (*seconds, sum(seconds), found["gib"])]
            table.add_row(network, way, *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
