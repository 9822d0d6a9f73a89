"""The networks of docs/models.md, in torch and in ONNX."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path += [str(BENCHMARKS), str(BENCHMARKS / "simulator")]
sys.path += [str(BENCHMARKS.parent / "examples/resnet8_mnist")]

SAMPLES = 16
"""Of calibration."""

OPSET = 17


@dataclass(frozen=True)
class Network:
    """model: in inference mode. calibration: SAMPLES inputs along axis 0; x: one more; float32."""

    model: nn.Module
    calibration: np.ndarray
    x: np.ndarray

    def to_onnx(self, path: Path) -> None:
        """The whole network in fp32, as a file."""
        sample = (torch.from_numpy(self.x),)
        torch.onnx.export(self.model, sample, str(path), dynamo=False, opset_version=OPSET, input_names=["x"])


def _resnet8() -> Network:
    from data import load_digits
    from model import load_trained

    digits = load_digits()
    return Network(load_trained(), digits.train_images[:SAMPLES], digits.test_images[:1])


def _random(model: Callable[[], nn.Module], shape: tuple[int, ...]) -> Network:
    """With seeded weights and data."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    calibration = rng.standard_normal((SAMPLES * shape[0], *shape[1:]), dtype=np.float32)
    return Network(model().eval(), calibration, rng.standard_normal(shape, dtype=np.float32))


def _resnet50() -> Network:
    from resnet50 import ResNet50

    return _random(ResNet50, (1, 3, 224, 224))


def _bert() -> Network:
    from models import HIDDEN, TOKENS, BertLinear

    return _random(BertLinear, (TOKENS, HIDDEN))


NETWORKS: dict[str, Callable[[], Network]] = {"resnet8": _resnet8, "resnet50": _resnet50, "bert": _bert}
