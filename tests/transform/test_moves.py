"""Networks that concatenate, split, and reorder channels between layers: whole on the chip, bit by bit."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from tests.seeds import first_of
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq import QuantConfig
from tvm_vsq.export import export_onnx
from tvm_vsq.hardware import HardwareConfig, load_hardware

INT8 = load_hardware("vsq-accel-int8")
V8 = INT8.with_formats("8/8/-/-", vector_size=8)
SCALED = load_hardware("vsq-accel")


def compiled(model, x, hardware: HardwareConfig = INT8, **options):
    quant = QuantConfig.of_hardware(hardware).unfitted()
    given = {"example_inputs": x, "calibration": x.numpy(), "quant": quant, "strict": True, **options}
    return tvm_vsq.compile(model.eval(), hardware, **given)


def agrees(model, x, hardware=INT8, least_db=25.0, **options):
    """Simulator and TensorIR equal, torch's integers too, and fp32 close to them; the compiled network."""
    exe = compiled(model, x, hardware, **options)
    found = exe(x.numpy())
    np.testing.assert_array_equal(found, exe.reference(x.numpy()))
    quant = QuantConfig.of_hardware(hardware).unfitted()
    torch_module = tvm_vsq.fake_quantize(
        model, quant=quant, target=hardware, example_inputs=x, calibration=x.numpy()
    )
    with torch.inference_mode():
        expected = model(x).numpy()
        np.testing.assert_allclose(torch_module(x).numpy(), found, rtol=1e-4, atol=1e-4 * np.abs(found).max())
    error = np.square(expected - found).sum()
    assert 10 * np.log10(np.square(expected).sum() / error) > least_db
    return exe


class RandomMoves(nn.Module):
    """Layers and moves in a random order; every result has the same rows and columns."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        self.layers = nn.ModuleList([nn.Conv2d(3, draw.choice([8, 13, 16, 24]), 3, padding=1)])
        self.steps = []
        channels = [self.layers[0].out_channels]
        for _ in range(draw.randrange(4, 9)):
            kind = draw.choice(
                ["conv", "conv", "concat", "concat", "slice", "order", "pool", "add", "depthwise"]
            )
            at = draw.randrange(len(channels))
            given = channels[at]
            if kind in ("conv", "depthwise"):
                taken = given if kind == "depthwise" else draw.choice([8, 11, 16, 20])
                size, groups = (3, given) if kind == "depthwise" else (draw.choice([1, 3]), 1)
                self.layers.append(nn.Conv2d(given, taken, size, padding=size // 2, groups=groups))
                step = ("layer", at, len(self.layers) - 1)
            elif kind == "concat":
                parts = [at, *(draw.randrange(len(channels)) for _ in range(draw.randrange(1, 3)))]
                taken, step = sum(channels[part] for part in parts), ("concat", parts)
            elif kind == "slice":
                begin = draw.randrange(given // 2)
                end = draw.randrange(begin + 1, given + 1)
                taken, step = end - begin, ("slice", at, begin, end)
            elif kind == "order":
                order = draw.sample(range(given), draw.choice([given, max(1, given - 3)]))
                taken, step = len(order), ("order", at, order)
            elif kind == "pool":
                taken, step = given, ("pool", at)
            else:
                others = [i for i, count in enumerate(channels) if count == given]
                taken, step = given, ("add", at, draw.choice(others))
            self.steps.append(step)
            channels.append(taken)
        self.head = nn.Conv2d(channels[-1], 5, 1)
        with torch.no_grad():
            for layer in [*self.layers, self.head]:
                generator = torch.Generator().manual_seed(seed)
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
                layer.weight /= layer.weight[0].numel() ** 0.5
                layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator) / 4)

    def forward(self, x):
        made = [torch.relu(self.layers[0](x))]
        for kind, at, *numbers in self.steps:
            if kind == "layer":
                y = torch.relu(self.layers[numbers[0]](made[at]))
            elif kind == "concat":
                y = torch.cat([made[part] for part in at], 1)
            elif kind == "slice":
                y = made[at][:, numbers[0] : numbers[1]]
            elif kind == "order":
                y = made[at][:, torch.tensor(numbers[0])]
            elif kind == "pool":
                y = F.max_pool2d(made[at], 3, 1, 1)
            else:
                y = made[at] + made[numbers[0]]
            made.append(y)
        return self.head(made[-1])


@pytest.mark.parametrize("seed", first_of(range(12), 1))
def test_random_moves(seed):
    torch.manual_seed(seed)
    x = torch.randn(4, 3, 6, 5)
    agrees(RandomMoves(seed), x, (INT8, V8, SCALED)[seed % 3], 10 if seed % 3 == 2 else 25)


class Joined(nn.Module):
    """Two layers, of which one has a ReLU, side by side, and the first of them again by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 24, 1)
        self.c, self.d = nn.Conv2d(40, 12, 3), nn.Conv2d(24, 4, 1)

    def forward(self, x):
        a = torch.relu(self.a(x))
        joined = self.c(torch.cat([a, self.b(a)], 1))
        return self.d(torch.cat([joined, joined], 1))


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(16, 3, 8, 7)


def test_what_is_moved_together_has_one_sign(x):
    torch.manual_seed(0)
    agrees(Joined(), x)


def test_the_coarser_scale_that_one_tensor_needs_is_that_of_all(x):
    """The bias of a channel that ReLU makes zero asks for a step that no range tells."""
    torch.manual_seed(0)
    model = Joined()
    with torch.no_grad():
        model.a.bias[0] = -1e7
    exe = agrees(model, x, least_db=15)
    assert {row.where for row in exe.explain() if row.op == "vsq.moved"} == {"accelerator"}


@pytest.mark.large
def test_one_tensor_in_two_places_is_copied(x):
    torch.manual_seed(0)
    exe = agrees(Joined(), x)
    names = [layer.name for layer in exe.metadata.layers]
    assert [name for name in names if name.startswith("copy")]
    rows = [row for row in exe.explain() if row.op == "vsq.moved"]
    assert {row.where for row in rows} == {"accelerator"}
    assert "nothing is moved" in rows[0].why


def test_what_the_host_reads_as_well_is_copied(x):
    class Shown(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1), nn.Conv2d(32, 4, 1)

        def forward(self, x):
            a = torch.relu(self.a(x))
            return a, self.c(torch.cat([a, torch.relu(self.b(a))], 1))

    torch.manual_seed(0)
    exe = compiled(Shown(), x)
    for found, expected in zip(exe(x.numpy()), exe.reference(x.numpy()), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_inputs_of_a_region_have_the_sign_of_those_who_read_them_moved(x):
    """The host joins what two regions made; the third one reads a part of that alone."""

    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 32, 1), nn.Conv2d(32, 8, 1), nn.Conv2d(8, 32, 1)
            self.d = nn.Conv2d(32, 4, 1)

        def forward(self, x):
            a = torch.relu(self.a(x))
            c = torch.relu(self.c(torch.sin(self.b(a))))
            return self.d(torch.cat([a, c], 1)[:, 16:48])

    torch.manual_seed(0)
    exe = agrees(Late(), x, strict=False)
    assert len(exe.metadata.programs) == 3


def test_ranges_of_an_onnx_model_pass_through_moves(x):
    """Exported and imported again, a network has the same integers."""
    torch.manual_seed(0)
    given = {"target": SCALED, "example_inputs": x, "calibration": x.numpy()}
    quantized = tvm_vsq.quantize_model(Joined().eval(), **given)
    once = tvm_vsq.compile(quantized, SCALED, strict=True)(x.numpy())
    back = tvm_vsq.compile(export_onnx(quantized), SCALED, calibration=x.numpy(), strict=True)(x.numpy())
    np.testing.assert_allclose(back, once, rtol=1e-4, atol=1e-4 * np.abs(once).max())


@pytest.mark.large
def test_an_import_of_torch_modules_with_splits_and_orders_is_whole():
    class Split(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 30, 3), nn.Conv2d(11, 30, 1), nn.Conv2d(19, 7, 1)

        def forward(self, x):
            left, right = torch.relu(self.a(x)).split([11, 19], 1)
            return self.c(right + torch.relu(self.b(left)).roll(3, 1)[:, :19])

    torch.manual_seed(0)
    agrees(Split(), torch.randn(4, 3, 6, 6))


def test_a_report_knows_what_is_moved(x):
    torch.manual_seed(0)
    quant = QuantConfig.of_hardware(INT8).unfitted()
    report = tvm_vsq.quantization_report(
        Joined().eval(), INT8, quant=quant, example_inputs=x, calibration=x.numpy()
    )
    row = next(row for row in report.layers if row.name == "c")
    assert row.activations.sqnr_db > 30
