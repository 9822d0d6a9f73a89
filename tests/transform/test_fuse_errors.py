"""What cannot run on a target is refused with the layer, the field and the remedy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import one_of
from torch import nn
from tvm.ir import Call

from tvm_vsq.errors import ConfigError, QuantizationError
from tvm_vsq.graph import Rebuilder, constant, constant_array, op_name, replace_main
from tvm_vsq.hardware import load_hardware
from tvm_vsq.pipeline import build_executable
from tvm_vsq.schedule import Database
from tvm_vsq.transform import check_target, fuse, legalize_reference

HARDWARE = load_hardware("vsq-accel")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"activation_bits": 8},
            "layer 'up' .*activation_bits=4, but .*activation_bits=8",
        ),
        ({"activation_scale_bits": None}, "activation_scale_bits=4, but target 'vsq-accel .*is built with"),
        ({"vector_size": 32}, "vector_size=16, but target 'vsq-accel .*is built with vector_size=32"),
        ({"guard_bits": 2}, "guard_bits=4, but target 'vsq-accel .*is built with guard_bits=2"),
        ({"weight_bits": 3}, "layer 'up' .*weight_bits=4, but .*weight_bits=3"),
        ({"weight_scale_bits": 2}, "layer 'up' .*weight_scale_bits=4, but .*weight_scale_bits=2"),
    ],
)
def test_a_module_quantized_for_another_target(networks, stages, change, message):
    with pytest.raises(ConfigError, match=message):
        check_target(stages(networks.Mlp).quantized, HARDWARE.model_copy(update=change))


def test_narrower_weights_run_on_a_wider_target_and_give_the_same(networks, stages):
    stage = stages(networks.PlainNet)
    own = HARDWARE.model_copy(update={"accumulator_bits": 44})
    results = [
        build_executable(stage.quantized, hardware, Database())(stage.x.numpy())
        for hardware in (own, own.model_copy(update={"weight_bits": 8}))
    ]
    assert np.array_equal(*results)
    assert np.array_equal(results[0], networks.run_tvm(legalize_reference(stage.fused), stage.x)[0])


class _EditWeights(Rebuilder):
    """Makes the vectors of every weight larger than their format."""

    lane = 0

    def rewrite(self, var, value):
        if op_name(value) != "vsq.dequantize" or not constant_array(value.args[1]).ndim:
            return value
        vectors = constant_array(value.args[0])
        vectors[..., self.lane] = 16
        return Call(value.op, [constant(vectors), value.args[1]], value.attrs)


class _EditScales(_EditWeights):
    lane = -1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_EditWeights, r"layer 'up': a weight element of magnitude 16 needs more than weight_bits=4"),
        (_EditScales, r"layer 'up': a weight scale of 16 is outside 0\.\.15"),
    ],
)
def test_weights_beyond_their_format_are_refused(networks, stages, edit, message):
    module = stages(networks.Mlp).quantized
    with pytest.raises(ConfigError, match=message):
        fuse(replace_main(module, edit(module["main"]).run()), HARDWARE)


def test_an_accumulator_that_could_overflow(networks, stages):
    narrow = HARDWARE.model_copy(update={"accumulator_bits": 16})
    message = r"layer 'down': 3 vectors .* 16-bit accumulator .* accumulator_bits >= 20"
    with pytest.raises(QuantizationError, match=message):
        fuse(stages(networks.Mlp).quantized, narrow)


class _EditDequantize(Rebuilder):
    """Scales the gamma of every restored activation."""

    def rewrite(self, var, value):
        if op_name(value) != "vsq.dequantize" or constant_array(value.args[1]).ndim:
            return value
        return Call(value.op, [value.args[0], constant(constant_array(value.args[1]) * 3)], value.attrs)


def test_a_quantize_and_a_dequantize_that_disagree(networks, stages):
    module = stages(networks.Mlp).quantized
    edited = replace_main(module, _EditDequantize(module["main"]).run())
    with pytest.raises(QuantizationError, match=r"inv must be 2\^guard_bits / gamma"):
        fuse(edited, HARDWARE)


@pytest.mark.parametrize("factor", one_of([1e-12, 1e12]))
def test_channels_of_very_different_range_do_not_stop_the_compilation(networks, stages, factor):
    class Skewed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)
            with torch.no_grad():
                self.a.weight[3] *= factor
                self.a.weight[4] = 0
                self.b.bias[2] = 1e6

        def forward(self, x):
            return self.b(torch.relu(self.a(x)))

    networks.INPUTS[Skewed] = (3, 16)
    stage = stages(Skewed)
    fake, fused = (networks.run_tvm(module, stage.x)[0] for module in (stage.quantized, stage.fused))
    assert networks.sqnr_db(fake, fused) > 30
