"""Sweeps EfficientNet-Lite0 with its ImageNet weights over 8 formats, V of 16 and 32, and 5 machines.

    make .venv/accuracy.stamp
    .venv/bin/python benchmarks/sweep/efficientnet.py [--folder FOLDER] [--workers N] [--publish]

Accuracy is of the 157 labelled photos of docs/accuracy.md, calibrated on 32 others; "same_decision" of the
same photos, against the network in fp32. What the folder already holds is not measured again.
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
sys.path += [str(ROOT / "examples/efficientnet_photos"), str(ROOT / "benchmarks/accuracy")]
from designs import FEW_FORMATS, TECHNOLOGY, machines  # noqa: E402
from lite0 import load_trained  # noqa: E402
from photos import labelled, unlabelled  # noqa: E402
from pixels import pixels  # noqa: E402
from publish import publish  # noqa: E402

CALIBRATION = 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build/sweep/efficientnet")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--publish", action="store_true", help="write the result into docs/, too")
    arguments = parser.parse_args()
    photos, model = labelled(), load_trained()
    images, classes = pixels([photo.path for photo in photos]), [photo.classes for photo in photos]
    with torch.no_grad():
        decisions = np.concatenate(
            [model(part).argmax(1).numpy() for part in torch.from_numpy(images).split(16)]
        )

    def evaluate(network: object) -> dict[str, float]:
        found = network.run_batch(images).argmax(1)
        right = [int(decision) in known for decision, known in zip(found, classes, strict=True)]
        return {"accuracy": float(np.mean(right)), "same_decision": float((found == decisions).mean())}

    start = time.perf_counter()
    result = tvm_vsq.sweep(
        model,
        {"quant": FEW_FORMATS, "vector_size": [16, 32], "target": machines()},
        evaluate=evaluate,
        example_inputs=(torch.from_numpy(images[:1]),),
        calibration=pixels([photo.path for photo in unlabelled()[:CALIBRATION]]),
        technology=TECHNOLOGY,
        folder=arguments.folder,
        workers=arguments.workers,
    )
    print(result)
    print(f"{len(result.rows)} points on {len(images)} photos: {time.perf_counter() - start:.0f} s")
    result.to_html(arguments.folder / "sweep.html")
    if arguments.publish:
        publish(result, "efficientnet")


if __name__ == "__main__":
    main()
