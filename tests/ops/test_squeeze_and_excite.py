"""A block with squeeze-and-excitation and hard-swish: exported, imported again, and tuned."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq import QuantConfig
from tvm_vsq.export import export_onnx


class Block(nn.Module):
    """MobileNetV3's (Howard et al., ICCV 2019, figure 4), without the depthwise layer."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.project = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 6, 1)
        self.squeeze, self.excite = nn.Conv2d(20, 8, 1), nn.Conv2d(8, 20, 1)

    def forward(self, x):
        y = F.hardswish(self.expand(x))
        factors = torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        return self.project(y * factors)


def test_it_goes_to_onnx_and_back():
    torch.manual_seed(0)
    x = torch.randn(16, 3, 7, 6)
    quantized = tvm_vsq.quantize_model(
        Block().eval(), "vsq-accel-int8", example_inputs=x, calibration=x.numpy()
    )
    once = tvm_vsq.compile(quantized, "vsq-accel-int8", strict=True)(x.numpy())
    model = export_onnx(quantized)
    back = tvm_vsq.compile(model, "vsq-accel-int8", calibration=x.numpy(), strict=True)(x.numpy())
    error = np.square(back - once).sum() / np.square(once).sum()
    assert error < 1e-3  # the ranges of what has no weights are calibrated anew


def test_products_and_functions_are_tuned():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 24, 20)
    quant = QuantConfig.of_hardware(tvm_vsq.load_hardware("vsq-accel")).unfitted()
    database = tvm_vsq.tune(Block().eval(), "vsq-accel", trials=8, example_inputs=x, progress=False)
    exe = tvm_vsq.compile(
        Block().eval(),
        "vsq-accel",
        quant=quant,
        example_inputs=x,
        calibration=x.numpy(),
        schedules=database,
        strict=True,
    )
    assert all(layer.tuned for layer in exe.timing().layers)
    np.testing.assert_array_equal(exe(x.numpy()), exe.reference(x.numpy()))
