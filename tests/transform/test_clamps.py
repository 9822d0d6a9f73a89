"""Whatever a clamp is written with, the layer before it takes it along."""

from __future__ import annotations

import numpy as np
import pytest
from tests.quantizing import quantize
from tvm import relax

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, constant, constant_array, op_name
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.transform import fuse

op = relax.op
HARDWARE, CONFIG = load_hardware("vsq-accel"), QuantConfig.parse("4/4/4/4").unfitted()
inf = float("inf")
RNG = np.random.default_rng(1)
A, B = (RNG.standard_normal((16, 16), np.float32) for _ in range(2))
DATA = 2 * RNG.standard_normal((32, 16), np.float32)


def number(value, rank=0):
    return constant(np.full((1,) * rank, value, np.float32))


FROM_0_TO_6 = {
    "clip": lambda emit, x: op.clip(x, 0, 6),
    "relu6": lambda emit, x: op.nn.relu6(x),
    "clip, clip": lambda emit, x: op.clip(emit(op.clip(x, 0, inf)), -inf, 6),
    "hardtanh of relu": lambda emit, x: op.clip(emit(op.nn.relu(x)), -1, 6),
    "relu, minimum": lambda emit, x: op.minimum(emit(op.nn.relu(x)), number(6)),
    "minimum, relu": lambda emit, x: op.nn.relu(emit(op.minimum(number(6, 1), x))),
    "maximum, minimum": lambda emit, x: op.minimum(emit(op.maximum(x, number(0, 2))), number(6)),
    "minimum, maximum": lambda emit, x: op.maximum(number(0), emit(op.minimum(x, number(6)))),
    "three": lambda emit, x: op.clip(emit(op.nn.relu(emit(op.minimum(x, number(9))))), 0, 6),
}

ALONE = {
    "at 6 from above": (lambda emit, x: op.minimum(x, number(6)), 0, 6),
    "at 0 from below": (lambda emit, x: op.maximum(x, number(0)), 1, inf),
}

STAYS = {
    "at 1 from below": lambda emit, x: op.maximum(x, number(1)),
    "to both sides of 0": lambda emit, x: op.clip(x, -1, 2),
    "below 0": lambda emit, x: op.minimum(x, number(-1)),
    "to 0 alone": lambda emit, x: op.clip(x, 0, 0),
    "by channel": lambda emit, x: op.minimum(x, constant(np.arange(16, dtype=np.float32))),
    "by another tensor": lambda emit, x: op.maximum(x, emit(op.negative(x))),
}


@pytest.fixture(scope="module")
def network(relax_functions):
    """Of a clamp between two linear layers, the fp32 network."""

    def make(clamp):
        def body(emit, x):
            inner = clamp(emit, emit(op.matmul(x, constant(A))))
            return op.matmul(emit(inner), constant(B))

        return import_model(relax_functions.function(body, (4, 16)))

    return make


def fused(module):
    """The layers' attributes and integers, and the operators beside them."""
    quantized = quantize(module, CONFIG, HARDWARE, DATA)
    found = [binding.value for binding in bindings(fuse(quantized, HARDWARE)["main"])]
    layers = [call for call in found if op_name(call) == "vsq.dense"]
    assert len(layers) == 2
    return layers, [op_name(call) for call in found if op_name(call).startswith("relax.")]


@pytest.mark.parametrize("name", FROM_0_TO_6)
def test_every_form_of_one_clamp_gives_the_same_layer(network, name):
    layers, beside = fused(network(FROM_0_TO_6[name]))
    expected, _ = fused(network(FROM_0_TO_6["clip"]))
    assert beside == ["relax.astype", "relax.multiply"]  # the wide result of the last layer
    for call, other in zip(layers, expected, strict=True):
        assert dict(call.attrs) == dict(other.attrs)
        assert all(
            np.array_equal(constant_array(a), constant_array(b))
            for a, b in zip(call.args[1:], other.args[1:], strict=True)
        )


@pytest.mark.parametrize("name", ALONE)
def test_a_bound_on_one_side_is_taken_along(network, name):
    clamp, relu, high = ALONE[name]
    (layer, last), beside = fused(network(clamp))
    assert beside == ["relax.astype", "relax.multiply"]
    assert (int(layer.attrs["relu"]), int(last.attrs["act_signed"])) == (relu, 1 - relu)
    clips = constant_array(layer.args[2])[:, 3]
    assert (clips < 2**31 - 1).all() == (high < inf)


@pytest.mark.parametrize("name", STAYS)
def test_other_clamps_run_on_the_cpu(network, name):
    _, beside = fused(network(STAYS[name]))
    assert len(beside) > 2


def test_a_sum_behind_a_clamp_is_no_part_of_the_layer(network):
    def shifted(emit, x):
        return op.add(emit(op.minimum(x, number(6))), number(1))

    _, beside = fused(network(shifted))
    assert "relax.add" in beside


@pytest.mark.parametrize("clamp", [FROM_0_TO_6["minimum, relu"], ALONE["at 6 from above"][0]])
def test_the_accelerator_computes_the_clamp(networks, network, clamp):
    module = network(clamp)
    reference = fuse(quantize(module, CONFIG, HARDWARE, DATA), HARDWARE)
    result = tvm_vsq.compile(module, HARDWARE, quant=CONFIG, calibration=DATA)(DATA[:4])
    np.testing.assert_array_equal(result, networks.run_tvm(reference, DATA[:4])[0])
    assert networks.sqnr_db(networks.run_tvm(module, DATA[:4])[0], np.asarray(result)) > 15
