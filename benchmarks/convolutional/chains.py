"""What a chain could save at most: depthwise layers that find what the layer before made still on the chip.

    python benchmarks/convolutional/chains.py

A chain keeps the tile of a pointwise layer's result for the depthwise layer behind it: nothing of it is
stored or loaded. This bounds from above what that saves: all DRAM bytes of such tensors, once written and
once read; their energy; and all cycles of both layers in which the array does not work, whatever it waits
for. What a chain costs is left out: rows that neighbouring tiles share are computed twice, and a path from
the output scratchpad to the input's, which no instruction has.
"""

from __future__ import annotations

import sys
from math import prod
from pathlib import Path

import numpy as np
import torch
from topologies import build

import tvm_vsq
from tvm_vsq import QuantConfig
from tvm_vsq.hardware import list_targets, load_hardware

ROOT = Path(__file__).resolve().parents[2]


def lite0() -> torch.nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights."""
    sys.path.append(str(ROOT / "examples/efficientnet_photos"))
    from lite0 import load_trained

    return load_trained()


def row(name: str, model: torch.nn.Module, target: str) -> list[str]:
    """One network on one target, with the schedules that ship."""
    hardware = load_hardware(target)
    x = np.random.default_rng(0).standard_normal((2, 3, 224, 224), np.float32)
    exe = tvm_vsq.compile(
        model,
        target,
        quant=QuantConfig.of_hardware(hardware).unfitted(),
        example_inputs=torch.from_numpy(x[:1]),
        calibration=x,
    )
    profile = exe.timing()
    cycles = saved_bytes = waiting = chains = 0
    for before, layer in zip(profile.layers, profile.layers[1:], strict=False):
        if layer.op != "depthwise_conv2d" or before.op != "conv2d":
            continue
        pixels = prod(map(int, layer.shape.split(" > ")[0].split("(")[0].split("x")[:2]))
        vectors = hardware.formats.activation.vectors(layer.channels[0])
        chains += 1
        saved_bytes += 2 * pixels * vectors * hardware.record_bytes["out"]
        cycles += before.cycles + layer.cycles
        waiting += sum(max(0, each.cycles - each.busy.get("compute", 0)) for each in (before, layer))
    moved = sum(layer.dram_bytes for layer in profile.layers)
    access = profile.technology.dram_access
    energy = access.pj / (access.access_bits / 8) * saved_bytes
    return [
        name,
        target,
        str(chains),
        f"{saved_bytes / 1e6:.2f}",
        f"{saved_bytes / moved:.1%}",
        f"{energy / profile.energy_pj:.1%}",
        f"{waiting:,}",
        f"{waiting / profile.cycles:.1%}",
    ]


def main() -> None:
    headings = ["network", "target", "chains", "DRAM, MB", "of all", "energy", "cycles", "of all"]
    print("| " + " | ".join(headings) + " |")
    print("| --- | --- |" + " ---: |" * (len(headings) - 2))
    for name, model in (("EfficientNet-Lite0", lite0()), ("MobileNet v2", build("MobileNet v2"))):
        for target in list_targets():
            print("| " + " | ".join(row(name, model.eval(), target)) + " |", flush=True)


if __name__ == "__main__":
    main()
