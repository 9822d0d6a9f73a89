"""Run the same programs on the simulator and on the independent scalar one; every output must be equal.

Random small networks on random accelerators; with --targets also ResNet-50. Weights and inputs are random.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
import scalar
import torch
from models import network, programs, quantized
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from tvm_vsq.errors import QuantizationError
from tvm_vsq.hardware import HardwareConfig, load_hardware, parse_hardware
from tvm_vsq.runtime import native


def compare(hardware: HardwareConfig, found: list[dict[str, Any]], rng: np.random.Generator) -> int:
    """Number of values that both simulators computed. SystemExit at the first difference."""
    module = native.create_module(hardware.sim_params(), found, "{}")
    compared = 0
    for program in found:
        inputs = scalar.inputs_of(hardware, program, rng)
        ours = scalar.outputs_of(hardware, program)
        module[program["name"]](*inputs, *ours)
        for index, (a, b) in enumerate(zip(ours, scalar.run(hardware, program, inputs), strict=True)):
            if not np.array_equal(a, b):
                where = np.argwhere(a != b)[0].tolist()
                sys.exit(f"{hardware.name}: program {program['name']}, output {index} differs at {where}")
            compared += a.size
    return compared


class Small(nn.Module):
    """Two convolutions with a residual, an average pool, then a linear layer on every pixel."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        draw = lambda low, high: int(rng.integers(low, high + 1))  # noqa: E731
        inputs, width, kernel = draw(1, 40), draw(1, 70), draw(1, 3)
        self.shape = (draw(1, 2), inputs, draw(kernel, 12), draw(kernel, 12))
        self.first = nn.Conv2d(inputs, width, kernel, draw(1, 2), padding=draw(0, kernel - 1))
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=bool(draw(0, 1)))
        self.pool = nn.AvgPool2d(3, draw(1, 2), 1, count_include_pad=bool(draw(0, 1)))
        self.head = nn.Conv2d(width, draw(1, 40), 1)
        self.rectified = bool(draw(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = torch.relu(y) if self.rectified else y
        return self.head(self.pool(self.second(y) + y))


def random_hardware(rng: np.random.Generator, number: int) -> HardwareConfig:
    data = load_hardware("vsq-accel").model_dump()
    choose = lambda *values: values[rng.integers(len(values))]  # noqa: E731
    data.update(
        name=f"random-{number}",
        vector_size=choose(8, 16, 32),
        output_lanes=choose(8, 16, 32),
        weight_bits=choose(2, 3, 4, 5, 6, 7, 8),
        activation_bits=choose(2, 3, 4, 5, 6, 7, 8),
        weight_scale_bits=choose(None, 1, 4, 7),
        activation_scale_bits=choose(None, 2, 5, 8),
        guard_bits=choose(0, 2, 4),
    )
    full = (data["weight_scale_bits"] or 0) + (data["activation_scale_bits"] or 0)
    data["scale_product_bits"] = choose(None, (full + 1) // 2) if full else None
    return parse_hardware(data, data["name"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="*", default=[], help="also ResNet-50 on these")
    parser.add_argument(
        "--random", type=int, default=12, help="random small networks, each on its own hardware"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = Table(title="Simulator against the scalar simulator", title_justify="left")
    for heading in ("network", "accelerator", "programs", "values compared", "result"):
        table.add_column(heading)
    for number in range(arguments.random):
        rng = np.random.default_rng([arguments.seed, number])
        hardware, model = random_hardware(rng, number), Small(rng).eval()
        sample = rng.standard_normal(model.shape, dtype=np.float32)
        shape = "x".join(str(n) for n in model.shape)
        try:
            found = programs(quantized(model, sample, hardware), hardware)
        except QuantizationError:  # 32 bits cannot hold the sums of the widest formats
            table.add_row(f"small {shape}", hardware.notation, "-", "-", "refused: accumulator too narrow")
            continue
        label = f"{hardware.notation}, V={hardware.vector_size}, BO={hardware.output_lanes}"
        table.add_row(f"small {shape}", label, str(len(found)), f"{compare(hardware, found, rng):,}", "equal")
    for target in arguments.targets:
        hardware = load_hardware(target)
        found = programs(quantized(*network("resnet50"), hardware), hardware)
        count = compare(hardware, found, np.random.default_rng(arguments.seed))
        table.add_row("ResNet-50, 224 x 224", target, str(len(found)), f"{count:,}", "equal")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
