"""EfficientNet-Lite0 with its ImageNet weights, on photos that come inside packages."""

from __future__ import annotations

import numpy as np
from lite0 import load_trained
from metrics import Accuracy
from network import Network
from photos import labelled, unlabelled
from pixels import pixels

CALIBRATION = 32


def load(samples: int = 200) -> Network:
    evaluated, calibration = labelled()[:samples], unlabelled()[:CALIBRATION]

    def is_right(decisions: np.ndarray) -> np.ndarray:
        return np.array([d in photo.classes for d, photo in zip(decisions, evaluated, strict=True)])

    return Network(
        name="EfficientNet-Lite0",
        model=load_trained(),
        calibration=(pixels([photo.path for photo in calibration]),),
        inputs=(pixels([photo.path for photo in evaluated]),),
        metrics=[Accuracy("photos top-1", lambda y: y.argmax(1), is_right, len(evaluated))],
        data=f"{len(evaluated)} labelled photos; calibrated on {len(calibration)} others",
    )
