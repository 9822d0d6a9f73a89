"""The main job, end to end: a trained ResNet-8 on two simulated accelerators, over held-out MNIST digits."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from data import Digits, load_digits
from model import ResNet8, load_trained
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import tvm_vsq

RUNS = (("vsq-accel-int8", "8/8/-/-"), ("vsq-accel", "4/4/4/4"))
CALIBRATION_SAMPLES = 64


@dataclass(frozen=True)
class Result:
    quant: str
    accuracy: float
    default: tvm_vsq.Profile
    tuned: tvm_vsq.Profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=int, default=1000, help="held-out digits to run, 1 to 1000")
    arguments = parser.parse_args()
    console = Console(width=132)
    digits, model = load_digits(), load_trained()
    images, labels = digits.test_images[: arguments.digits], digits.test_labels[: arguments.digits]
    fp32 = fp32_accuracy(model, images, labels)
    results = [run(model, digits, images, labels, target, quant, console) for target, quant in RUNS]
    console.print(summary(fp32, results, len(labels)))
    for note in results[-1].tuned.notes:  # the work on the CPU is the same in all formats
        console.print(note, markup=False, highlight=False)
    console.print("\nOne inference of 4/4/4/4, tuned, layer by layer:")
    print(results[-1].tuned)
    print(results[-1].tuned.why())


def fp32_accuracy(model: ResNet8, images: np.ndarray, labels: np.ndarray) -> float:
    with torch.no_grad():
        predicted = model(torch.from_numpy(images)).argmax(1).numpy()
    return float((predicted == labels).mean())


def run(
    model: ResNet8,
    digits: Digits,
    images: np.ndarray,
    labels: np.ndarray,
    target: str,
    quant: str,
    console: Console,
) -> Result:
    """Compile with default and with tuned schedules, run every digit on the simulator, and compare
    the two."""
    calibration = digits.train_images[:CALIBRATION_SAMPLES]
    example = (torch.from_numpy(images[:1]),)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"{quant}: compile with default and tuned schedules", total=2)
        executables = {}
        for schedules in ("default", "auto"):
            executables[schedules] = tvm_vsq.compile(
                model,
                target,
                quant=quant,
                calibration=calibration,
                example_inputs=example,
                schedules=schedules,
            )
            progress.advance(task)
    profiles = {name: exe.profile(images[:1]) for name, exe in executables.items()}
    if not np.array_equal(profiles["default"].outputs, profiles["auto"].outputs):
        raise SystemExit("schedules changed the result: please report this")
    with console.status(f"{quant}: digits on the simulator"):
        predicted = executables["auto"].run_batch(images).argmax(1)
    accuracy = float((predicted == labels).mean())
    return Result(quant, accuracy, profiles["default"], profiles["auto"])


def summary(fp32: float, results: list[Result], count: int) -> Table:
    """Accuracy over all digits; cycles, energy and traffic of one inference (they do not depend on
    the data)."""
    table = Table(
        title=f"ResNet-8, {count} held-out MNIST digits; cost of one inference", title_justify="left"
    )
    table.add_column("W/A/ws/as")
    for heading in ("accuracy", "cycles default", "cycles tuned", "energy uJ", "MAC util.", "DRAM bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row("fp32 (torch)", f"{fp32:.1%}", *["-"] * 5)
    for result in results:
        table.add_row(
            result.quant,
            f"{result.accuracy:.1%}",
            f"{result.default.cycles:,}",
            f"{result.tuned.cycles:,}",
            f"{result.tuned.energy_pj / 1e6:.2f}",
            f"{result.tuned.utilization:.1%}",
            f"{result.tuned.dram_bytes:,}",
        )
    return table


if __name__ == "__main__":
    main()
