"""ResNet-8 on the held-out MNIST digits of examples/resnet8_mnist."""

from __future__ import annotations

import sys
from pathlib import Path

from metrics import Accuracy
from network import Network

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples/resnet8_mnist"))
from data import load_digits
from model import load_trained

CALIBRATION = 64


def load(samples: int = 1000) -> Network:
    digits = load_digits()
    labels = digits.test_labels[:samples]
    return Network(
        name="ResNet-8",
        model=load_trained(),
        calibration=(digits.train_images[:CALIBRATION],),
        inputs=(digits.test_images[:samples],),
        metrics=[Accuracy("MNIST top-1", lambda y: y.argmax(1), lambda d: d == labels, len(labels))],
        data=f"{len(labels):,} held-out digits; calibrated on {CALIBRATION} of the digits it was trained on",
    )
