"""Depthwise convolution on the chip: whatever computes it gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm_ffi
from tests.ops.layers import Epilogue, check, function_of, random_hardware, random_vectors
from tests.runtime.cycle_model import Model
from tests.seeds import seeds
from torch import nn

import tvm_vsq
from tvm_vsq import isa
from tvm_vsq.errors import ConfigError, ProgramError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import constant
from tvm_vsq.hardware import load_hardware
from tvm_vsq.layers.reader import read_nodes
from tvm_vsq.numerics import check_sum_of_taps
from tvm_vsq.ops.depthwise_conv2d.reference import depthwise_accumulate
from tvm_vsq.ops.depthwise_conv2d.relax import depthwise_conv2d
from tvm_vsq.relax_ops.checks import OperatorError
from tvm_vsq.runtime import native


def draw(seed):
    """A random accelerator, geometry, input, filters and epilogue, whose accumulators fit."""
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    while True:
        kernel, strides, dilation = (rng.integers(1, high, 2) for high in (5, 4, 3))
        if seed % 4 == 0:  # a row that takes several of the shorter vectors
            kernel, dilation = np.array([1, rng.integers(8, 13)]), np.array([1, 1])
        reach = (kernel - 1) * dilation
        size, padding = rng.integers(1, 13, 2), rng.integers(0, 3, 4)
        # the operand of one output row has to fit the smallest scratchpad
        if (size + padding[:2] + padding[2:] > reach).all() and np.prod(reach + 1) <= 20:
            break
    geometry = {
        "kernel": kernel.tolist(),
        "strides": strides.tolist(),
        "padding": padding.tolist(),
        "dilation": dilation.tolist(),
    }
    channels = int(rng.integers(1, 3 * hw.vector_size))
    fmt, activation = hw.formats.weight, hw.formats.activation
    w = np.zeros((channels, kernel[0], -(-kernel[1] // hw.vector_size), hw.vector_size + 1), np.int16)
    w[..., : kernel[1]] = rng.integers(-fmt.qmax, fmt.qmax + 1, (*w.shape[:3], kernel[1]))
    room = (1 << (hw.accumulator_bits - 1)) // (kernel.prod() * fmt.qmax * activation.qmax * activation.smax)
    w[..., -1] = rng.integers(1, max(1, min(fmt.smax, room)) + 1, w.shape[:3])
    epilogue = Epilogue.draw(rng, hw, channels, int(np.abs(w[..., :-1]).sum()) * activation.qmax)
    shape = (int(rng.integers(1, 3)), *size.tolist())
    x = random_vectors(rng, hw, bool(epilogue.attributes["act_signed"]), *shape, channels=channels)
    return rng, hw, geometry, channels, x, w, epilogue


@pytest.mark.parametrize("seed", seeds(60))
def test_numpy_tensorir_torch_and_simulator_agree(seed):
    rng, hw, geometry, channels, x, w, epilogue = draw(seed)
    acc = depthwise_accumulate(x, w, *geometry.values())
    inputs, residual = [x], None
    if rng.integers(2):
        signed = bool(epilogue.attributes["res_signed"])
        residual = random_vectors(rng, hw, signed, *acc.shape[:3], channels=channels)
        inputs.append(residual)
    expected = epilogue.apply(hw, acc, residual)
    attributes = {**geometry, "channels": channels, **epilogue.attributes}

    def build(x, *residual):
        return depthwise_conv2d(x, constant(w), constant(epilogue.params), *residual, **attributes)

    program = check(function_of(build, *inputs), inputs, hw, expected)
    timing = native.simulate_timing(
        hw.sim_params(), program.instructions, bytes(4 * len(program.layer_ids)), 1
    )
    assert timing["cycles"] == Model(isa.decode_all(program.instructions, hw), hw).run().cycles


class Blocks(nn.Module):
    """Depthwise layers with every kind of window between pointwise ones; the second is added to its input."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 40, 3, padding=1)
        self.depthwise = nn.ModuleList(
            [
                nn.Conv2d(40, 40, 3, padding=1, groups=40, bias=False),
                nn.Conv2d(40, 40, (1, 5), padding=(0, 2), groups=40),
                nn.Conv2d(40, 40, 5, stride=2, padding=2, groups=40),
                nn.Conv2d(40, 40, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1), groups=40),
            ]
        )
        self.last = nn.Conv2d(40, 5, 1)

    def forward(self, x):
        a = torch.relu(self.depthwise[0](self.first(x)))
        b = nn.functional.relu6(self.depthwise[1](a) + a)
        return self.last(torch.relu(self.depthwise[3](self.depthwise[2](b))))


@pytest.fixture(scope="module")
def blocks():
    torch.manual_seed(0)
    model, x = Blocks().eval(), torch.randn(8, 3, 15, 14)
    options = {"example_inputs": x[:1], "calibration": x, "quant": "4/4/4/4"}
    return model, x[:1], options, tvm_vsq.compile(model, **options)


@pytest.mark.large
def test_depthwise_layers_run_on_the_chip_with_their_epilogues(blocks):
    model, x, options, exe = blocks
    rows = [row for row in exe.explain() if row.where == "accelerator"]
    assert [row.op for row in rows].count("vsq.depthwise_conv2d") == 4
    assert sum("adds a residual" in row.why for row in rows) == 1
    assert not any(row.op == "relax.nn.conv2d" for row in exe.explain())
    np.testing.assert_array_equal(exe(x), exe.reference(x))
    network = tvm_vsq.fake_quantize(model, **options).eval()
    np.testing.assert_array_equal(network(x).detach().numpy(), exe(x))
    expected = model(x).detach().numpy()
    assert np.square(exe(x) - expected).sum() < 0.1 * np.square(expected).sum()


def test_a_profile_counts_windows_and_products(blocks):
    _, x, _, exe = blocks
    layer = next(each for each in exe.profile(x).layers if each.name == "depthwise.2")
    # 8 x 7 windows of 5 x 5 taps over 40 channels, of 48 in three groups
    assert layer.macs == 8 * 7 * 25 * 40
    assert layer.events["window_macs"] == layer.padded_macs == 8 * 7 * 25 * 48
    assert layer.events["scale_macs"] == 8 * 7 * 5 * 48  # a vector of weights in each row of the kernel
    assert 0 < layer.events["window_lanes"] < layer.events["window_macs"]
    assert layer.events["macs"] == 0
    assert layer.energy["window_macs"] > 0
    assert "DWCONV" in exe.disassemble()


def test_without_scales_filters_fill_vectors_of_weights():
    model = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 3, groups=16), nn.Conv2d(16, 4, 1)).eval()
    x = torch.randn(4, 3, 6, 6)
    exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=x[:1], calibration=x)
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))
    text = exe.disassemble()
    assert "DWCONV" in text
    assert "row_vectors" not in text


def test_a_kernel_that_the_window_does_not_hold_stays_on_the_cpu_and_says_why():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 7, groups=8), nn.Conv2d(8, 4, 1)).eval()
    x = torch.randn(4, 3, 9, 9)
    options = {"example_inputs": x[:1], "calibration": x}
    exe = tvm_vsq.compile(model, **options)
    (row,) = [row for row in exe.explain() if row.layer == "1"]
    assert row.where == "cpu"
    assert "its kernel has 49 taps, the window of 'vsq-accel' holds window_taps=32" in row.why
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))
    wide = load_hardware("vsq-accel").model_copy(update={"window_taps": 49})
    assert any(row.op == "vsq.depthwise_conv2d" for row in tvm_vsq.compile(model, wide, **options).explain())


def test_weight_scales_are_so_narrow_that_accumulators_fit():
    """25 taps of 7 * 63 times 255 * 1023 need 33 bits; scales of 5 bits 32."""
    model = nn.Sequential(
        nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 5, groups=16), nn.Conv2d(16, 4, 1)
    )
    x = torch.randn(4, 3, 8, 8)
    module = tvm_vsq.quantize_model(model.eval(), "vsq-accel-w4a8", example_inputs=x[:1], calibration=x)
    widths = {node.operator: node.weights.format.scale_bits for node in read_nodes(module)}
    assert widths == {"conv2d": 6, "depthwise_conv2d": 5}
    exe = tvm_vsq.compile(module, "vsq-accel-w4a8")
    assert any(row.op == "vsq.depthwise_conv2d" for row in exe.explain())
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))


def test_sums_that_do_not_fit_are_refused_by_name():
    w = np.ones((2, 3, 1, 17), np.int16)
    w[1, :, 0, :3], w[1, :, 0, -1] = 7, 15
    activation = VectorFormat(8, 10, 16, signed=False)
    bound = 9 * 7 * 15 * 255 * 1023
    assert check_sum_of_taps("dw", w, activation, 8, 32) == bound + 3 * 13 * 15 * 255 * 1023
    with pytest.raises(QuantizationError, match=r"layer 'dw': the taps of channel 1 sum up to .* widen it"):
        check_sum_of_taps("dw", w, activation, 8, 24)
    with pytest.raises(QuantizationError, match=r"layer 'dw': the weight scale 15 does not fit .*bits=3"):
        check_sum_of_taps("dw", w, activation, 3, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": (3, 3)}, r"w must be int16\[8, 3, 1, 9\], 8 filters of 3 x 3 taps"),
        ({"channels": 9}, "channels=9 do not fill 1 vectors of 8"),
        ({"dilation": (4, 1)}, "the dilated kernel's height 5 exceeds the padded input's 4"),
        ({"strides": (0, 1)}, "strides"),
    ],
)
def test_wrong_calls_name_the_layer_and_what_is_wrong(change, message):
    x, w = np.zeros((1, 4, 4, 1, 9), np.int16), np.ones((8, 2, 1, 9), np.int16)
    geometry = {"kernel": (2, 2), "channels": 8, "layer": "dw", "wide": 1, **change}
    params = constant(np.zeros((8, 4), np.int32))
    with pytest.raises(OperatorError, match=message) as caught:
        function_of(lambda x: depthwise_conv2d(x, constant(w), params, **geometry), x)
    assert "dw" in str(caught.value)


INPUT, OUTPUT = 64, 4096
TAPS = "tap_rows=3 tap_columns=3 row_step=3 column_step=1"
PROGRAM = f"""
LOAD.uop dram_base=0 z_size=1 x_size=1 y_size=1
LOAD.wgt dram_base=512 z_size=3 x_size=1 y_size=1
LOAD.inp dram_base={INPUT} z_size=9 x_size=1 y_size=1 push_compute
DWCONV act_unsigned=1 row_vectors=1 TAPS uop_count=1 FIELDS pop_load push_store
STORE.acc dram_base={OUTPUT} z_size=1 x_size=1 y_size=1 pop_compute
FINISH
"""


def module(hw, fields):
    insns = isa.assemble_all(PROGRAM.replace("FIELDS", fields).replace("TAPS", TAPS))
    image = isa.encode_uops([(0, 0, 0)], hw).ljust(512, b"\0") + bytes(3 * hw.record_bytes["wgt"])
    program = {
        "name": "main",
        "instructions": isa.encode_all(insns, hw),
        "layer_ids": bytes(4 * len(insns)),
        "layer_names": ["dw"],
        "image": image,
        "dram_bytes": 8192,
        "inputs": [[0, INPUT, 9, hw.vector_size + 1, 0]],
        "outputs": [[1, OUTPUT, 1, hw.output_lanes, 1]],
    }
    return native.create_module(hw.sim_params(), [program], "{}")


def test_the_simulator_refuses_what_a_window_cannot_do():
    hw = load_hardware("vsq-accel")
    result = np.full((1, hw.output_lanes), -1, np.int32)
    x = np.zeros((9, hw.vector_size + 1), np.int16)
    module(hw, "iter_out=1 iter_in=1")["main"](*map(tvm_ffi.from_dlpack, (x, result)))
    assert not result.any()
    with pytest.raises(ProgramError, match="writes 1 acc entries 2 times; each must be written once"):
        module(hw, "iter_out=1 iter_in=2")
    with pytest.raises(ProgramError, match=r"inp index 0 reaches 3863 in the last iteration"):
        module(hw, "iter_out=1 iter_in=2 inp_in=3855 acc_in=1")
    narrow = hw.model_copy(update={"window_taps": 8})
    with pytest.raises(ProgramError, match="tap_rows and tap_columns ask for 9 taps; the window has 8"):
        module(narrow, "iter_out=1 iter_in=1")
    with pytest.raises(ProgramError, match="skip_blocks is 1 of the 1 blocks of a channel group"):
        module(hw, "iter_out=1 iter_in=1 skip_blocks=1")


def test_a_module_for_a_larger_window_is_refused_by_name():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 7, groups=8), nn.Conv2d(8, 4, 1)).eval()
    x = torch.randn(4, 3, 9, 9)
    wide = load_hardware("vsq-accel").model_copy(update={"window_taps": 49})
    quantized = tvm_vsq.fake_quantize(
        model, quant="4/4/4/4", target=wide, example_inputs=x[:1], calibration=x
    )
    with pytest.raises(ConfigError, match="layer '1': its kernel has 49 taps"):
        tvm_vsq.compile(quantized, "vsq-accel")
