"""What the calibration methods of activations and weights do to the trained ResNet-8: SQNR, accuracy.

SQNR is the power of the fp32 results over that of their difference, in dB, over all held-out digits, through
the simulator. The standard error of an accuracy of 99 % over 1,000 digits is 0.3 points.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import tvm_vsq
from tvm_vsq.hardware import load_hardware

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples/resnet8_mnist"))
from data import load_digits
from model import load_trained

CALIBRATION_SAMPLES = 64
METHODS = (
    *((method, "max") for method in ("max", "percentile", "entropy", "mse")),
    ("max", "mse"),
    ("mse", "mse"),
)


def main() -> None:
    digits, model = load_digits(), load_trained()
    images, labels = digits.test_images, digits.test_labels
    with torch.no_grad():
        expected = model(torch.from_numpy(images)).numpy()
    table = Table(title=f"ResNet-8, {len(labels)} held-out digits", title_justify="left")
    for heading in ("W/A/ws/as", "activations", "weights", "SQNR dB", "accuracy"):
        table.add_column(heading, justify="right" if heading in ("SQNR dB", "accuracy") else "left")
    for target in ("vsq-accel-int8", "vsq-accel-w4a8", "vsq-accel"):
        hardware = load_hardware(target)
        for activations, weights in METHODS:
            quant = tvm_vsq.QuantConfig.of_hardware(hardware)
            exe = tvm_vsq.compile(
                model,
                hardware,
                quant=quant.model_copy(
                    update={"activation_calibration": activations, "weight_calibration": weights}
                ),
                calibration=digits.train_images[:CALIBRATION_SAMPLES],
                example_inputs=(torch.from_numpy(images[:1]),),
            )
            result = exe.run_batch(images)
            noise = np.square(result - expected).sum()
            sqnr = 10 * np.log10(np.square(expected).sum() / noise)
            accuracy = (result.argmax(1) == labels).mean()
            table.add_row(quant.notation, activations, weights, f"{sqnr:.1f}", f"{accuracy:.1%}")
    Console(width=80).print(table)


if __name__ == "__main__":
    main()
