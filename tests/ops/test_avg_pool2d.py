"""Average pooling on the chip: whatever computes it gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.ops.layers import Epilogue, check, module_of, random_hardware, random_vectors
from tests.seeds import first_of, one_of, seeds
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq.errors import InputError, QuantizationError
from tvm_vsq.hardware import load_hardware
from tvm_vsq.ops.avg_pool2d.reference import avg_pool2d_accumulate
from tvm_vsq.ops.avg_pool2d.relax import avg_pool2d
from tvm_vsq.relax_ops.checks import OperatorError

QUANT = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()


def draw(seed):
    """A random accelerator, geometry, input and epilogue. Any part of the padding may count."""
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    while True:
        kernel, strides, dilation = (rng.integers(1, high, 2) for high in (5, 4, 3))
        reach = (kernel - 1) * dilation
        size = rng.integers(1, 9, 2)
        padding = np.concatenate([rng.integers(0, reach // 2 + 1) for _ in range(2)])
        if (size + padding[:2] + padding[2:] > reach).all() and (size > reach // 2).all():
            break
    counted = [0] * 4 if rng.integers(2) else rng.integers(0, padding + 1).tolist()
    geometry = {
        "pool_size": kernel.tolist(),
        "strides": strides.tolist(),
        "padding": padding.tolist(),
        "dilation": dilation.tolist(),
        "counted": counted,
    }
    channels = int(rng.integers(1, 3 * hw.vector_size))
    shape = (int(rng.integers(1, 3)), *size.tolist())
    return rng, hw, geometry, channels, shape


@pytest.mark.parametrize("seed", seeds(60))
def test_numpy_tensorir_torch_and_simulator_agree(seed):
    rng, hw, geometry, channels, shape = draw(seed)
    signed = int(rng.integers(2))
    x = random_vectors(rng, hw, bool(signed), *shape, channels=channels)
    acc, divisor = avg_pool2d_accumulate(x, *geometry.values())
    acc = acc[..., :channels]
    fmt = hw.formats.activation.with_sign(bool(signed))
    if divisor * 2 ** (fmt.bits - signed) * fmt.smax >= 2 ** (hw.accumulator_bits - 1):
        pytest.skip("no accelerator form: the sums do not fit")
    largest = max(1, int(np.abs(acc).max()))
    epilogue = Epilogue.draw(rng, hw, channels, largest, act_signed=signed)
    inputs, residual = [x], None
    if rng.integers(2):
        is_signed = bool(epilogue.attributes["res_signed"])
        residual = random_vectors(rng, hw, is_signed, *acc.shape[:3], channels=channels)
        inputs.append(residual)
    expected = epilogue.apply(hw, acc, residual)
    attributes = {**geometry, "channels": channels, **epilogue.attributes}
    module = module_of(lambda x, p, *r: avg_pool2d(x, p, *r, **attributes), inputs, epilogue.params)
    check(module, inputs, hw, expected)


def test_windows_that_count_less_weigh_more():
    """A row of four pixels in windows of three: the first and the last hold two, so 6 steps are one."""
    x = np.zeros((1, 1, 4, 1, 9), np.int16)
    x[0, 0, :, 0, 0], x[..., -1] = [1, 2, 3, 4], 5
    geometry = [(1, 3), (1, 1), (0, 1, 0, 1), (1, 1)]
    acc, divisor = avg_pool2d_accumulate(x, *geometry, (0, 0, 0, 0))
    assert divisor == 6
    np.testing.assert_array_equal(acc[0, 0, :, 0], [5 * 3 * 3, 5 * 2 * 6, 5 * 2 * 9, 5 * 3 * 7])
    acc, divisor = avg_pool2d_accumulate(x, *geometry, (0, 1, 0, 1))
    assert divisor == 3
    np.testing.assert_array_equal(acc[0, 0, :, 0], [5 * 3, 5 * 6, 5 * 9, 5 * 7])
    with pytest.raises(InputError, match="in the window at row 0, column 0 nothing counts"):
        avg_pool2d_accumulate(x, (1, 1), (1, 1), (0, 1, 0, 0), (1, 1), (0, 0, 0, 0))


class Averages(nn.Module):
    """Averages between convolutions, of signed tensors, with padding that counts and that does not."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 3, padding=1)
        self.last = nn.Conv2d(20, 5, 1)

    def forward(self, x):
        a = F.avg_pool2d(self.first(x), 3, 2, 1, count_include_pad=False)
        b = F.avg_pool2d(self.second(a), (2, 3), (2, 1), (0, 1), ceil_mode=True)
        c = F.avg_pool2d(torch.relu(b), 2, 2, ceil_mode=True, count_include_pad=False)
        return self.last(torch.relu(F.adaptive_avg_pool2d(c, (1, 3))))


@pytest.fixture(scope="module")
def averages():
    torch.manual_seed(0)
    model, x = Averages().eval(), torch.randn(8, 3, 13, 11)
    options = {"example_inputs": x[:1], "calibration": x, "quant": QUANT}
    return model, x[:1], options, tvm_vsq.compile(model, **options)


def test_averages_between_layers_run_on_the_chip_with_their_epilogues(averages):
    model, x, _, exe = averages
    rows = [(row.op, row.layer) for row in exe.explain() if row.where == "accelerator"]
    pools = [f"avg_pool2d_{number}" for number in range(4)]
    assert [layer for op, layer in rows if op == "vsq.avg_pool2d"] == pools
    assert not any("pool" in row.op for row in exe.explain() if row.where == "cpu")
    np.testing.assert_array_equal(exe(x), exe.reference(x))
    expected = model(x).detach().numpy()
    assert np.square(exe(x) - expected).sum() < 0.1 * np.square(expected).sum()


def test_the_torch_module_computes_the_same_bits(averages):
    model, x, options, exe = averages
    given = {**options}
    network = tvm_vsq.fake_quantize(model, quant=given.pop("quant"), **given).eval()
    np.testing.assert_array_equal(network(x).detach().numpy(), exe(x))


def test_a_profile_counts_what_the_vector_unit_adds_and_multiplies(averages):
    _, x, _, exe = averages
    profile = exe.profile(x)
    pools = {layer.name: layer for layer in profile.layers if "pool" in layer.name}
    rows, columns = (
        [sum(0 <= 2 * i + a < extent for a in (-1, 0, 1)) for i in range(results)]
        for extent, results in ((13, 7), (11, 6))
    )
    taps = sum(rows) * sum(columns)
    first = pools["avg_pool2d_0"]
    assert first.events["unpack_lane_ops"] == taps * 32
    assert first.events["vector_lane_ops"] == (taps + 7 * 6) * 32
    # The divisor is lcm(2, 3)^2 = 36: even windows of nine pixels have a coefficient, 4.
    assert (set(rows), set(columns)) == ({2, 3}, {2, 3})
    assert first.events["coefficient_lane_ops"] == taps * 32
    # The last of four rows of windows has one row of pixels, and so twice the weight of the others.
    columns = [sum(0 <= j + b < 6 for b in (-1, 0, 1)) for j in range(6)]
    assert pools["avg_pool2d_1"].events["coefficient_lane_ops"] == sum(columns) * 32
    assert pools["avg_pool2d_3"].events["coefficient_lane_ops"] == 0
    assert first.energy["coefficient_lane_ops"] > 0
    assert first.macs == first.padded_macs == 0
    text = exe.disassemble()
    assert "VEC op=mac src=inp" in text
    assert "VEC op=add src=inp" in text


@pytest.mark.parametrize("target", one_of(["vsq-accel", "vsq-accel-w4a8", "vsq-accel-int8"]))
@pytest.mark.parametrize(
    "pool",
    first_of(
        [
            lambda y: F.adaptive_avg_pool2d(y, (1, 1)).flatten(1),
            lambda y: y.mean([3, 2], keepdim=True).squeeze(-1).squeeze(-1),
            lambda y: y.mean([2, 3]),
            lambda y: F.adaptive_avg_pool2d(y, 1).view(y.shape[0], -1),
            lambda y: y.mean([-1, -2], keepdim=True).reshape(-1, 20),
            lambda y: F.avg_pool2d(y, (7, 9)).squeeze(),
        ],
        2,
    ),
    ids=["adaptive", "squeeze", "mean", "view", "reshape", "whole window"],
)
def test_nothing_is_left_on_the_cpu_between_a_mean_over_the_image_and_linear_layers(target, pool):
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.hidden, self.out = nn.Conv2d(3, 20, 3), nn.Linear(20, 24), nn.Linear(24, 5)

        def forward(self, x):
            return self.out(torch.relu(self.hidden(pool(torch.relu(self.conv(x))))))

    torch.manual_seed(0)
    model, x = Classifier().eval(), torch.randn(8, 3, 9, 11)
    exe = tvm_vsq.compile(model, target, example_inputs=x[:2], calibration=x)
    rows = exe.explain()
    chip = [number for number, row in enumerate(rows) if row.where == "accelerator"]
    assert [rows[number].op for number in chip] == ["vsq.conv2d", "vsq.avg_pool2d", "vsq.dense", "vsq.dense"]
    assert chip == list(range(chip[0], chip[-1] + 1))
    np.testing.assert_array_equal(exe(x[:2]), exe.reference(x[:2]))
    expected = model(x[:2]).detach().numpy()
    assert exe(x[:2]).shape == expected.shape
    assert np.square(exe(x[:2]) - expected).sum() < 0.1 * np.square(expected).sum()


def test_pools_of_one_pixel_vanish():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 20, 3),
        nn.AvgPool2d(1),
        nn.MaxPool2d(1),
        nn.AdaptiveAvgPool2d((7, 9)),
        nn.Conv2d(20, 4, 1),
    )
    x = torch.randn(4, 3, 9, 11)
    exe = tvm_vsq.compile(model.eval(), example_inputs=x, calibration=x, quant=QUANT)
    assert not any("pool" in row.op for row in exe.explain())
    np.testing.assert_array_equal(exe(x), exe.reference(x))


def test_adaptive_pools_of_windows_that_overlap_are_pools_of_rows_and_of_columns():
    """Of 7 rows [0, 3), [2, 5), [4, 7), which no pool over both axes with the columns' strides has."""
    model = nn.Sequential(nn.Conv2d(3, 20, 3), nn.AdaptiveAvgPool2d((3, 3)), nn.Conv2d(20, 4, 1))
    x = torch.randn(4, 3, 9, 11)
    exe = tvm_vsq.compile(model.eval(), example_inputs=x, calibration=x, quant=QUANT)
    assert [row.where for row in exe.explain() if "pool" in row.op] == ["accelerator"] * 2
    np.testing.assert_array_equal(exe(x), exe.reference(x))


def seven(count_include_pad):
    """Windows of 4 to 7 rows and columns, which have 420 * 420 as their least common multiple."""
    torch.manual_seed(0)
    pool = nn.AvgPool2d(7, 1, 3, count_include_pad=count_include_pad)
    x = torch.randn(4, 3, 11, 12)
    return nn.Sequential(nn.Conv2d(3, 20, 3), pool, nn.Conv2d(20, 4, 1)).eval(), x


def test_a_divisor_that_does_not_fit_is_left_on_the_cpu_under_its_name():
    model, x = seven(count_include_pad=False)
    hardware = load_hardware("vsq-accel").model_copy(update={"accumulator_bits": 24})
    exe = tvm_vsq.compile(model, hardware, example_inputs=x, calibration=x, quant=QUANT)
    (row,) = [row for row in exe.explain() if "pool" in row.op]
    assert (row.where, row.layer) == ("cpu", "avg_pool2d_0")
    assert row.why == (
        "176400, its divisor, times an element times its scale can reach 21168000, which does not fit "
        "accumulator_bits=24; widen it, or take narrower formats"
    )
    wide = hardware.model_copy(update={"accumulator_bits": 27})
    exe = tvm_vsq.compile(model, wide, example_inputs=x, calibration=x, quant=QUANT)
    assert [row.where for row in exe.explain() if "pool" in row.op] == ["accelerator"]
    np.testing.assert_array_equal(exe(x), exe.reference(x))
    model, x = seven(count_include_pad=True)
    exe = tvm_vsq.compile(model, hardware, example_inputs=x, calibration=x, quant=QUANT)
    assert [row.where for row in exe.explain() if "pool" in row.op] == ["accelerator"]


def test_a_window_larger_than_the_scratchpad_is_added_up_tile_by_tile():
    """That of the input has 2,048 entries."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 16, 1), nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1)).eval()
    x = torch.randn(2, 1, 66, 66)
    quant = tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted()
    exe = tvm_vsq.compile(model, "vsq-accel-int8", quant=quant, example_inputs=x[:1], calibration=x)
    (knobs,) = [layer.knobs for layer in exe.metadata.layers if "pool" in layer.op]
    assert knobs["tile_r"] < 66
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))


@pytest.mark.parametrize("options", [{"ceil_mode": True}, {"padding": 1, "count_include_pad": False}])
def test_an_average_can_be_trained(options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 20, 3), nn.AvgPool2d(3, 2, **options), nn.Conv2d(20, 4, 1)).eval()
    x = torch.randn(4, 3, 9, 10)
    config = tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted()
    network = tvm_vsq.fake_quantize(model, quant=config, example_inputs=x[:1], calibration=x).train()
    found = network(x)
    found.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
    expected = model(x)
    assert (found - expected).square().mean() < 0.01 * expected.square().mean()


POOLS = {
    "GlobalAveragePool": ("GlobalAveragePool", {}),
    "ReduceMean": ("ReduceMean", {"keepdims": 1}),
    "padding does not count": (
        "AveragePool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]},
    ),
    "padding counts": (
        "AveragePool",
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1], "count_include_pad": 1},
    ),
    "ceil_mode": ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "ceil_mode, padding counts": (
        "AveragePool",
        {
            "kernel_shape": [3, 3],
            "strides": [2, 2],
            "pads": [1, 1, 1, 1],
            "ceil_mode": 1,
            "count_include_pad": 1,
        },
    ),
    "auto_pad": ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
}


@pytest.mark.parametrize("name", first_of(POOLS, 2))
def test_averages_of_onnx_models_run_on_the_chip(name, onnx_models):
    rng = np.random.default_rng(0)
    kind, attributes = POOLS[name]
    constants = {
        "conv.weight": rng.standard_normal((20, 3, 3, 3), np.float32),
        "last.weight": rng.standard_normal((5, 20, 1, 1), np.float32),
        "axes": np.array([2, 3]),
    }
    nodes = [
        onnx_models.node("Conv", ["x", "conv.weight"], "a", kernel_shape=[3, 3]),
        onnx_models.node(kind, ["a", "axes"] if kind == "ReduceMean" else ["a"], "b", **attributes),
        onnx_models.node("Conv", ["b", "last.weight"], "y", kernel_shape=[1, 1]),
    ]
    model = onnx_models.model(nodes, constants, [1, 3, 10, 9], rank=4)
    x = rng.standard_normal((8, 3, 10, 9), np.float32)
    exe = tvm_vsq.compile(model, calibration=x, quant=QUANT)
    on_chip = [row.op for row in exe.explain() if row.where == "accelerator"]
    assert on_chip == ["vsq.conv2d", "vsq.avg_pool2d", "vsq.conv2d"]
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))
    (expected,) = onnx_models.run(model, x[:1])
    assert np.square(exe(x[:1]) - expected).sum() < 0.1 * np.square(expected).sum()


@pytest.mark.large
def test_a_resnet_has_nothing_on_the_cpu_between_its_first_and_its_last_layer(networks):
    model, x = networks.build(networks.ResNet)
    exe = tvm_vsq.compile(model, example_inputs=x, calibration=x, quant=QUANT)
    where = [row.where for row in exe.explain()]
    first, last = where.index("accelerator"), len(where) - where[::-1].index("accelerator")
    assert set(where[first:last]) == {"accelerator"}
    behind = [row.op for row in exe.explain()[last:]]
    assert behind == ["relax.astype", "relax.multiply", "relax.reshape"]


def test_what_the_operator_is_not_made_of_is_refused_by_name():
    def typed(**changed):
        epilogue = Epilogue.draw(np.random.default_rng(0), load_hardware("vsq-accel"), 16)
        geometry = {"pool_size": (2, 2), "padding": (0, 1, 0, 0), "counted": (0, 1, 0, 0), **changed}
        x, attributes = np.zeros((1, 3, 3, 1, 17), np.int16), {"channels": 16, **epilogue.attributes}
        return module_of(lambda x, p: avg_pool2d(x, p, **geometry, **attributes), [x], epilogue.params)

    typed()
    with pytest.raises(OperatorError, match=r"'layer'.*: counted\[1\]=2 is more than padding\[1\]=1"):
        typed(counted=(0, 2, 0, 0))
    with pytest.raises(OperatorError, match="in the windows of column 0 nothing counts"):
        typed(pool_size=(2, 1), counted=(0, 0, 0, 0))
    with pytest.raises(OperatorError, match="counted needs 4 integers, got 2"):
        typed(counted=(0, 0))
    with pytest.raises(OperatorError, match="the dilated window's height 4 exceeds the padded input's 3"):
        typed(pool_size=(4, 2))


def test_a_layer_that_was_quantized_for_wider_accumulators_is_refused_by_name():
    model, x = seven(count_include_pad=False)
    wide = load_hardware("vsq-accel").model_copy(update={"accumulator_bits": 32})
    config = tvm_vsq.QuantConfig.of_hardware(wide).unfitted()
    module = tvm_vsq.quantize_model(model, wide, quant=config, example_inputs=x, calibration=x)
    narrow = wide.model_copy(update={"accumulator_bits": 24})
    with pytest.raises(
        QuantizationError, match="layer 'avg_pool2d_0': 176400, its divisor, times an element"
    ):
        tvm_vsq.compile(module, narrow)
