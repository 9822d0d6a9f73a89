"""Quantization-aware fine-tuning of the trained ResNet-8: what it recovers at 3 and 2 bits.

Accuracy on the 1,000 held-out digits, which neither training nor calibration sees, nor the choice of what is
fixed below; the standard error of 98 % is 0.4 points. "PTQ" is quantized after training, weights and
activations by maximum; "QAT" is that after some epochs on the 4,000 training digits, with straight-through
gradients; both are evaluated in integers. The last column runs the compiled network on the simulated
accelerator for some of the held-out digits: how many of its results have just the bits of the torch module.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import tvm_vsq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples/resnet8_mnist"))
from data import Digits, load_digits
from model import load_trained
from train import augment

QUANTS = ("3/3/-/-", "3/3/4/4", "2/2/-/-", "2/2/4/4")
BATCH, CALIBRATION_SAMPLES, SIMULATED = 50, 64, 100
LEARNING_RATE = 1e-3


def accuracy(module: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    with torch.no_grad():
        scores = module.eval()(torch.from_numpy(images)).numpy()
    return float((scores.argmax(1) == labels).mean())


def fine_tune(module: nn.Module, digits: Digits, epochs: int) -> None:
    """Adam with a learning rate that falls to 0, cross entropy, augmented digits as in the first training."""
    images, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    optimizer = torch.optim.Adam(module.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(images) // BATCH))
    module.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = nn.functional.cross_entropy(module(augment(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def simulate(module: nn.Module, images: np.ndarray) -> int:
    """How many of `images` the compiled network gives the results of `module` for, bit for bit."""
    exe = tvm_vsq.compile(module, module.hardware)
    return int((exe.run_batch(images) == module.eval()(images)).all(axis=1).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--quants", nargs="+", default=QUANTS, help="W/A/ws/as")
    arguments = parser.parse_args()
    digits, model = load_digits(), load_trained()
    table = Table(title="ResNet-8 on 1,000 held-out MNIST digits", title_justify="left")
    for heading in ("W/A/ws/as", "PTQ", "QAT", "seconds", "simulator, same bits"):
        table.add_column(heading, justify="left" if heading == "W/A/ws/as" else "right")
    held_out = (digits.test_images, digits.test_labels)
    table.add_row("fp32", f"{accuracy(model, *held_out):.1%}", "", "", "")
    for quant in arguments.quants:
        torch.manual_seed(0)
        module = tvm_vsq.fake_quantize(
            model,
            quant=tvm_vsq.QuantConfig.parse(quant).unfitted(),
            example_inputs=(torch.zeros(BATCH, 1, 28, 28),),
            calibration=digits.train_images[:CALIBRATION_SAMPLES],
        )
        before, start = accuracy(module, *held_out), time.perf_counter()
        fine_tune(module, digits, arguments.epochs)
        seconds = time.perf_counter() - start
        after = accuracy(module, *held_out)
        same = simulate(module, digits.test_images[:SIMULATED])
        table.add_row(quant, f"{before:.1%}", f"{after:.1%}", f"{seconds:.0f}", f"{same} of {SIMULATED}")
    Console(width=90).print(table)


if __name__ == "__main__":
    main()
