"""ResNet-50 at 224 x 224, shapes only: instructions, cycles, utilization, and seconds to compile and
simulate.

The weights are random (seeded): cycles, energy and traffic depend on shapes alone. Accuracy would mean
nothing here.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import tvm_vsq


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut (He et al., CVPR 2016, table 1; stride on the 3x3)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = nn.Identity()
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet50(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        blocks, inputs = [], 64
        for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for index in range(count):
                blocks.append(Bottleneck(inputs, width, stride if index == 0 else 1))
                inputs = 4 * width
        self.layers = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(torch.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(self.layers(y)), 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", default=["vsq-accel-int8", "vsq-accel", "vsq-accel-w4a8"])
    parser.add_argument("--schedules", default="auto", help="auto, default or a database file")
    parser.add_argument("--layers", action="store_true", help="also print the table of every layer")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = ResNet50().eval()
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    table = Table(title="ResNet-50, 224 x 224, shapes only, one image", title_justify="left")
    table.add_column("target")
    for heading in (
        "quant",
        "instr.",
        "cycles",
        "MAC util.",
        "energy mJ",
        "DRAM MB",
        "compile s",
        "simulate s",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for target in arguments.targets:
        hardware = tvm_vsq.load_hardware(target)
        start = time.perf_counter()
        exe = tvm_vsq.compile(
            model,
            hardware,
            quant=tvm_vsq.QuantConfig.of_hardware(hardware).unfitted(),  # weights are random
            calibration=image,
            example_inputs=(torch.from_numpy(image),),
            schedules=arguments.schedules,
        )
        compiled = time.perf_counter()
        profile = exe.profile(image)
        simulated = time.perf_counter()
        if arguments.layers:
            print(profile)
        table.add_row(
            target,
            profile.notation,
            f"{sum(layer.instructions for layer in profile.layers):,}",
            f"{profile.cycles:,}",
            f"{profile.utilization:.1%}",
            f"{profile.energy_pj / 1e9:.2f}",
            f"{profile.dram_bytes / 1e6:.1f}",
            f"{compiled - start:.1f}",
            f"{simulated - compiled:.1f}",
        )
    console = Console(width=132)
    console.print(table)
    for note in profile.notes:  # of the last target; the work on the CPU is the same on all
        console.print(note, markup=False, highlight=False)


if __name__ == "__main__":
    main()
