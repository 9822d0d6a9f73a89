"""What 4/4/4/4 does to each layer of EfficientNet-Lite0, for its report on the site (docs/hooks/examples.py).

    .venv/bin/python benchmarks/efficientnet_quality.py

Calibrated as in the demo, compared on its twelve photos; writes docs/data/quality/efficientnet.json. About a
minute.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

import tvm_vsq

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "examples/efficientnet_photos"))
from lite0 import load_trained  # noqa: E402
from pixels import pixels  # noqa: E402
from sample_photos import load_photos  # noqa: E402


def main() -> None:
    photos = load_photos()
    calibration = pixels(photos.calibration)
    report = tvm_vsq.quantization_report(
        load_trained(),
        "vsq-accel",
        example_inputs=torch.zeros(1, 3, 224, 224),
        calibration=np.concatenate([calibration, calibration[..., ::-1]]),
        data=pixels(photos.shown),
    )
    print(report)
    (ROOT / "docs/data/quality/efficientnet.json").write_text(report.to_json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
