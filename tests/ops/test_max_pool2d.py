"""Maximum pooling on the chip: whatever computes it gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.ops.layers import Epilogue, check, module_of, random_hardware, random_vectors
from tests.seeds import seeds
from torch import nn

import tvm_vsq
from tvm_vsq.ops.max_pool2d.reference import max_pool2d_accumulate
from tvm_vsq.ops.max_pool2d.relax import max_pool2d


def draw(seed):
    """A random accelerator, geometry, input and epilogue."""
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    while True:
        kernel, strides, dilation = (rng.integers(1, high, 2) for high in (5, 4, 3))
        reach = (kernel - 1) * dilation
        size = rng.integers(1, 9, 2)
        padding = np.concatenate([rng.integers(0, reach // 2 + 1) for _ in range(2)])
        if (size + padding[:2] + padding[2:] > reach).all() and (size > reach // 2).all():
            break
    geometry = {
        "pool_size": kernel.tolist(),
        "strides": strides.tolist(),
        "padding": padding.tolist(),
        "dilation": dilation.tolist(),
    }
    channels = int(rng.integers(1, 3 * hw.vector_size))
    epilogue = Epilogue.draw(rng, hw, channels)
    shape = (int(rng.integers(1, 3)), *size.tolist())
    x = random_vectors(rng, hw, bool(epilogue.attributes["act_signed"]), *shape, channels=channels)
    return rng, hw, geometry, channels, x, epilogue


@pytest.mark.parametrize("seed", seeds(40))
def test_numpy_tensorir_torch_and_simulator_agree(seed):
    rng, hw, geometry, channels, x, epilogue = draw(seed)
    acc = max_pool2d_accumulate(x, *geometry.values())[..., :channels]
    inputs, residual = [x], None
    if rng.integers(2):
        signed = bool(epilogue.attributes["res_signed"])
        residual = random_vectors(rng, hw, signed, *acc.shape[:3], channels=channels)
        inputs.append(residual)
    expected = epilogue.apply(hw, acc, residual)
    attributes = {**geometry, "channels": channels, **epilogue.attributes}
    module = module_of(lambda x, p, *r: max_pool2d(x, p, *r, **attributes), inputs, epilogue.params)
    check(module, inputs, hw, expected)


class Pools(nn.Module):
    """Pools between convolutions, of signed tensors and with every kind of padding."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 3, padding=1)
        self.last = nn.Conv2d(20, 5, 1)

    def forward(self, x):
        a = nn.functional.max_pool2d(self.first(x), 3, 2, 1)
        b = nn.functional.max_pool2d(self.second(a), (2, 3), (2, 1), (0, 1), ceil_mode=True)
        return self.last(torch.relu(nn.functional.max_pool2d(b, 2, 1, dilation=(1, 2))))


@pytest.fixture(scope="module")
def pools():
    torch.manual_seed(0)
    model, x = Pools().eval(), torch.randn(8, 3, 13, 11)
    options = {
        "example_inputs": x[:1],
        "calibration": x,
        "quant": tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted(),
    }
    return model, x[:1], options, tvm_vsq.compile(model, **options)


def test_pools_between_layers_run_on_the_chip_with_their_epilogues(pools):
    model, x, _, exe = pools
    rows = [(row.op, row.layer) for row in exe.explain() if row.where == "accelerator"]
    assert [op for op, _ in rows] == [
        "vsq.conv2d",
        "vsq.max_pool2d",
        "vsq.conv2d",
        *["vsq.max_pool2d"] * 2,
        "vsq.conv2d",
    ]
    assert [layer for op, layer in rows if "pool" in op] == ["max_pool2d_0", "max_pool2d_1", "max_pool2d_2"]
    assert not any("pool" in row.op for row in exe.explain() if row.where == "cpu")
    np.testing.assert_array_equal(exe(x), exe.reference(x))
    expected = model(x).detach().numpy()
    assert np.square(exe(x) - expected).sum() < 0.1 * np.square(expected).sum()


def test_the_torch_module_computes_the_same_bits(pools):
    model, x, options, exe = pools
    quant = options.pop("quant")
    network = tvm_vsq.fake_quantize(model, quant=quant, **options).eval()
    options["quant"] = quant
    np.testing.assert_array_equal(network(x).detach().numpy(), exe(x))


def test_a_profile_counts_what_the_vector_unit_does(pools):
    _, x, _, exe = pools
    profile = exe.profile(x)
    pool = next(layer for layer in profile.layers if layer.name == "max_pool2d_0")
    # 7 x 6 windows of 3 x 3 over 20 channels in two vectors of 16, 17 x 6 ... without those of the padding.
    taps = sum(1 for i in range(-1, 13, 2) for a in range(3) if 0 <= i + a < 13)
    taps *= sum(1 for j in range(-1, 11, 2) for b in range(3) if 0 <= j + b < 11)
    assert pool.events["unpack_lane_ops"] == taps * 32
    assert pool.events["vector_lane_ops"] == (taps + 7 * 6) * 32
    assert pool.macs == pool.padded_macs == 0
    assert pool.busy["vector"] > 0
    assert pool.energy["vector_lane_ops"] > 0
    assert "VEC op=max src=inp" in exe.disassemble()


def test_pools_of_fp32_tensors_stay_on_the_cpu_and_say_why(pools):
    model = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 4, 3))
    x = torch.randn(4, 3, 9, 9)
    exe = tvm_vsq.compile(model.eval(), example_inputs=x, calibration=x, quant="4/4/4/4")
    (row,) = [row for row in exe.explain() if "pool" in row.op]
    assert (row.where, row.layer) == ("cpu", "max_pool2d_0")
    assert "not between layers on the accelerator" in row.why


def test_a_rule_keeps_a_pool_in_fp32_under_its_name(pools):
    model, _, options, _ = pools
    rule = tvm_vsq.Rule(layers="max_pool2d_1", fp32=True)
    quant = options["quant"].model_copy(update={"rules": (rule,)})
    rows = tvm_vsq.compile(model, **{**options, "quant": quant}).explain()
    found = {row.layer: (row.where, row.why) for row in rows if "pool" in row.op}
    assert [layer for layer, (where, _) in found.items() if where == "accelerator"] == ["max_pool2d_0"]
    assert found["max_pool2d_1"] == ("cpu", "left in fp32 by a rule")
    assert "not between layers" in found["max_pool2d_2"][1]


def test_a_window_larger_than_the_scratchpad_is_reduced_tile_by_tile():
    """That of the input has 2,048 entries."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 16, 1), nn.MaxPool2d(64, stride=1), nn.Conv2d(16, 4, 1)).eval()
    x = torch.randn(2, 1, 65, 66)
    quant = tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted()
    exe = tvm_vsq.compile(model, "vsq-accel-int8", quant=quant, example_inputs=x[:1], calibration=x)
    (row,) = [row for row in exe.explain() if "pool" in row.op]
    assert row.where == "accelerator"
    (knobs,) = [layer.knobs for layer in exe.metadata.layers if "pool" in layer.op]
    assert knobs["tile_r"] < 64
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(2, 3, 1, ceil_mode=True)])
def test_a_pool_in_ceil_mode_can_be_trained(pool):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Conv2d(3, 20, 3), pool, nn.Conv2d(20, 4, 1)).eval(), torch.randn(4, 3, 9, 10)
    config = tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted()
    network = tvm_vsq.fake_quantize(model, quant=config, example_inputs=x[:1], calibration=x).train()
    found = network(x)
    found.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
    expected = model(x)
    assert (found - expected).square().mean() < 0.01 * expected.square().mean()
