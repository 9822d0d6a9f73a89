"""What padding costs: ResNet-8 on machines with V = 16 and V = 32 that are otherwise the same.

Default schedules. With V = 32 there are twice the multipliers, and the layers of 16 channels fill half of
each vector, or half of a group of output channels.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

import tvm_vsq
from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware

sys.path.append(str(Path(__file__).parents[1] / "examples/resnet8_mnist"))
from model import load_trained

SIZES = (16, 32)
AIM = 0.87
"""Cycles of V = 32 over those of V = 16, at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", default=list_targets())
    parser.add_argument("--json", action="store_true", help="print {target: cycles for each V}")
    arguments = parser.parse_args()
    found = {target: [cycles(widened(target, size)) for size in SIZES] for target in arguments.targets}
    print(json.dumps(found) if arguments.json else table(found))


def widened(target: str, vector_size: int) -> HardwareConfig:
    """The shipped accelerator with other vectors: as many lanes, as many KiB, the same DRAM and timing."""
    fields = load_hardware(target).model_dump()
    name = f"{target}_V{vector_size}"
    return HardwareConfig.checked({**fields, "name": name, "vector_size": vector_size}, name)


def cycles(hardware: HardwareConfig) -> int:
    """Of ResNet-8; its weights are not fitted, as cycles do not depend on them."""
    exe = tvm_vsq.compile(
        load_trained(),
        hardware,
        quant=tvm_vsq.QuantConfig.of_hardware(hardware).unfitted(),
        example_inputs=(torch.zeros(1, 1, 28, 28),),
        calibration=torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)),
        schedules="default",
        check_import=False,
    )
    return exe.timing().cycles


def table(found: dict[str, list[int]]) -> str:
    """A Markdown table of cycles."""
    sizes = " | ".join(f"V = {size}" for size in SIZES)
    lines = [f"| target | {sizes} | ratio | at most {AIM} |", "| --- | ---: | ---: | ---: | --- |"]
    for target, (narrow, wide) in found.items():
        verdict = "met" if wide <= AIM * narrow else "not met"
        lines.append(f"| {target} | {narrow:,} | {wide:,} | {wide / narrow:.2f} | {verdict} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
