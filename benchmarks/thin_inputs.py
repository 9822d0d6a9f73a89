"""What it brings and costs that pixels of a thin input share vectors: the table in docs/quantization.md.

The first layers of ResNet-8 (1 channel, 1,000 MNIST digits, trained) and of ResNet-50 (3 channels, random
weights): cycles, utilization and input bytes of the layer on the accelerator, and the SQNR of the network's
integers against fp32; for ResNet-8 accuracy, too. Weights are fitted for ResNet-8, as in the demo.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from resnet50 import ResNet50

import tvm_vsq
from tvm_vsq.hardware import HardwareConfig, list_targets

sys.path.append(str(Path(__file__).parents[1] / "examples/resnet8_mnist"))
from data import load_digits
from model import load_trained

HEADINGS = (
    "network",
    "target",
    "input",
    "cycles",
    "MAC util.",
    "input bytes",
    "all cycles",
    "SQNR, dB",
    "accuracy",
)


def decibels(expected: np.ndarray, found: np.ndarray) -> float:
    """Of the network's results."""
    return float(10 * np.log10(np.square(expected).sum() / np.square(found - expected).sum()))


def row(exe: tvm_vsq.Executable, x: Any, hardware: HardwareConfig) -> list[str]:
    """Of the first layer, and of all."""
    profile = exe.profile(x)
    layer = profile.layers[0]
    peak = hardware.vector_size * hardware.output_lanes
    vectors = next(size for size in layer.shape.split(" ")[:1])
    rows, columns, channels = vectors.split("(")[0].split("x")[-3:]
    stored = int(rows) * int(columns) * -(-int(channels) // hardware.vector_size)
    return [
        f"{layer.cycles:,}",
        f"{layer.macs / peak / layer.cycles:.1%}",
        f"{stored * hardware.record_bytes['inp']:,}",
        f"{profile.cycles:,}",
    ]


def measure(
    name: str,
    model: torch.nn.Module,
    x: np.ndarray,
    calibration: Any,
    accuracy: Callable[[np.ndarray], str] | None,
) -> None:
    """Two rows for each target."""
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    for target in list_targets():
        hardware = tvm_vsq.load_hardware(target)
        for way in ("model", "packed"):
            config = tvm_vsq.QuantConfig.of_hardware(hardware).model_copy(update={"thin_inputs": way})
            exe = tvm_vsq.compile(
                model,
                target,
                quant=config if accuracy else config.unfitted(),
                example_inputs=x[:1],
                calibration=calibration,
                schedules="default",
            )
            found = exe.run_batch(x) if len(x) > 1 else exe(x)
            cells = [
                name,
                target,
                "packed" if way == "packed" else "as it is",
                *row(exe, x[:1], hardware),
                f"{decibels(expected, found):.1f}",
                accuracy(found) if accuracy else "-",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    print(f"| {' | '.join(HEADINGS)} |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    digits = load_digits()
    measure(
        "ResNet-8",
        load_trained(),
        digits.test_images,
        digits.train_images[:64],
        lambda found: f"{(found.argmax(1) == digits.test_labels).mean():.1%}",
    )
    torch.manual_seed(0)
    x = torch.randn(1, 3, 224, 224).numpy()
    measure("ResNet-50", ResNet50().eval(), x, x, None)


if __name__ == "__main__":
    main()
