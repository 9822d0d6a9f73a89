"""A block with squeeze-and-excitation and hard-swish: exported, imported again, and tuned."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from tests.seeds import first_of, one_of
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


@pytest.mark.large
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


@pytest.mark.large
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


VIEWS = {
    "indices": lambda y, x: y[:, :, None, None],
    "expanded": lambda y, x: y.view(*y.shape, 1, 1).expand_as(x),
    "view": lambda y, x: y.view(*y.shape, 1, 1),
    "unsqueezed": lambda y, x: y.unsqueeze(-1).unsqueeze(-1),
}


class Linear(nn.Module):
    """Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, figure 3: fully connected."""

    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = VIEWS[view]
        self.conv, self.last = nn.Conv2d(3, 20, 3), nn.Conv2d(20, 4, 1)
        self.gate = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 20), nn.Sigmoid())

    def forward(self, x):
        y = torch.relu(self.conv(x))
        return self.last(y * self.view(self.gate(F.adaptive_avg_pool2d(y, 1).flatten(1)), y))


@pytest.mark.parametrize("view", first_of(VIEWS, 3))
def test_gates_of_linear_layers_are_whole_on_the_chip(view):
    torch.manual_seed(0)
    model, x = Linear(view).eval(), torch.randn(16, 3, 9, 7)
    quant = QuantConfig.parse("8/8/-/-").unfitted()
    given = {"quant": quant, "calibration": x.numpy(), "strict": True}
    exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=x, **given)
    found = exe(x.numpy())
    np.testing.assert_array_equal(found, exe.reference(x.numpy()))
    expected = model(x).detach().numpy()
    assert np.square(expected - found).sum() < 1e-3 * np.square(expected).sum()
    assert [layer.op for layer in exe.timing().layers].count("multiply") == 1


@pytest.mark.parametrize("view", one_of(["indices", "expanded"]))
def test_gates_of_linear_layers_in_onnx(view):
    onnx = pytest.importorskip("onnx")
    torch.manual_seed(0)
    model, x = Linear(view).eval(), torch.randn(16, 3, 9, 7)
    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, dynamo=False, opset_version=17)
    quant = QuantConfig.parse("8/8/-/-").unfitted()
    loaded = onnx.load_from_string(file.getvalue())
    exe = tvm_vsq.compile(loaded, "vsq-accel-int8", quant=quant, calibration=x.numpy(), strict=True)
    np.testing.assert_array_equal(exe(x.numpy()), exe.reference(x.numpy()))
