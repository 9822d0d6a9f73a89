"""Sweeps the trained ResNet-8 over 20 formats, V of 16 and 32, and 5 machines, on 1,000 digits each.

    .venv/bin/python benchmarks/sweep/resnet8.py [--folder FOLDER] [--workers N] [--publish]

The folder has to be new, so that nothing is taken from an earlier run, and the time is that of all the work.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

import tvm_vsq

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "examples/resnet8_mnist"))
from data import load_digits  # noqa: E402
from designs import FORMATS, TECHNOLOGY, machines  # noqa: E402
from model import load_trained  # noqa: E402
from publish import publish  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build/sweep/resnet8")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--publish", action="store_true", help="write the result into docs/, too")
    arguments = parser.parse_args()
    if arguments.folder.exists():
        sys.exit(f"{arguments.folder} is there already; give a new folder, or remove it")
    digits = load_digits()
    images, labels = digits.test_images, digits.test_labels

    def accuracy(network: object) -> float:
        return float((network.run_batch(images).argmax(1) == labels).mean())

    start = time.perf_counter()
    result = tvm_vsq.sweep(
        load_trained(),
        {"quant": FORMATS, "vector_size": [16, 32], "target": machines()},
        evaluate=accuracy,
        example_inputs=(torch.from_numpy(np.zeros_like(images[:1])),),
        calibration=digits.train_images[:64],
        constraints=["accuracy >= fp32 - 0.01"],
        technology=TECHNOLOGY,
        folder=arguments.folder,
        workers=arguments.workers,
    )
    seconds = time.perf_counter() - start
    print(result)
    workers = arguments.workers or "one a core"
    print(f"{len(result.rows)} points, {len(images)} digits a format, workers: {workers}: {seconds:.0f} s")
    result.to_html(arguments.folder / "sweep.html")
    if arguments.publish:
        publish(result, "resnet8")


if __name__ == "__main__":
    main()
