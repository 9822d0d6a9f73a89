"""The fake-quantized graph: where tensors are quantized, how often, and with which sign."""

from __future__ import annotations

import pytest
import torch
from tests.quantizing import quantize
from torch import nn
from tvm.ir import load_json, save_json

from tvm_vsq.errors import QuantizationError
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, count_uses, definitions, dtype_of, is_constant, op_name, static_shape
from tvm_vsq.hardware import load_hardware
from tvm_vsq.layers.reader import read_nodes
from tvm_vsq.quantize import QuantConfig

HARDWARE = load_hardware("vsq-accel")
CONFIG = QuantConfig.of_hardware(HARDWARE).unfitted()


def quantized(networks, network):
    model, x = networks.build(network)
    module = import_model(model, (x,))
    return module, quantize(module, CONFIG, HARDWARE, networks.samples(network)), x


def calls(module, name):
    return [(b.var, b.value) for b in bindings(module["main"]) if op_name(b.value) == name]


def test_every_layer_reads_restored_activations_and_restored_integer_weights(networks):
    _, module, _ = quantized(networks, networks.ResNet)
    values = definitions(module["main"])
    layers = calls(module, "relax.nn.conv2d")
    assert len(layers) == 6
    for _, call in layers:
        activation, kernel = (values[arg] for arg in call.args)
        assert op_name(activation) == op_name(kernel) == "vsq.dequantize"
        assert op_name(values[activation.args[0]]) == "vsq.quantize"
        assert is_constant(kernel.args[0])
        assert dtype_of(kernel.args[0]) == "int16"


def test_a_tensor_is_quantized_once_whoever_reads_it(networks):
    _, module, _ = quantized(networks, networks.ResNet)
    sources = [call.args[0] for _, call in calls(module, "vsq.quantize")]
    assert len(sources) == len(set(sources))
    # input, conv1, layer1.conv1, layer1 (to layer2 and its downsample), layer2.conv1, downsample, layer2's
    # sum, pooled
    assert len(sources) == 8


def test_all_readers_of_a_requantized_layer_read_the_quantized_form(networks):
    _, module, _ = quantized(networks, networks.ResNet)
    uses = count_uses(module["main"])
    relus = [var for var, _ in calls(module, "relax.nn.relu")]
    quantized_sources = {call.args[0] for _, call in calls(module, "vsq.quantize")}
    for relu in relus:
        if relu in quantized_sources:
            assert uses[relu] == 1


def test_operators_on_the_cpu_read_an_input_as_it_is(networks):
    class InputTwice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(16, 16)

        def forward(self, x):
            return self.fc(x), torch.tanh(x)

    networks.INPUTS[InputTwice] = (2, 16)
    module, quantized_module, x = quantized(networks, InputTwice)
    ((_, tanh),) = calls(quantized_module, "relax.tanh")
    assert tanh.args[0].same_as(quantized_module["main"].params[0])
    assert (networks.run_tvm(module, x)[1] == networks.run_tvm(quantized_module, x)[1]).all()


def test_results_of_relu_are_unsigned_and_inputs_and_sums_signed(networks):
    _, module, _ = quantized(networks, networks.ResNet)
    values = definitions(module["main"])
    for _, call in calls(module, "vsq.quantize"):
        is_relu = op_name(values.get(call.args[0])) in ("relax.nn.relu", "relax.nn.avg_pool2d")
        assert int(call.attrs["signed"]) == (0 if is_relu else 1)


def test_the_module_carries_the_names_of_layers_and_the_ranges_of_their_results(networks):
    _, module, _ = quantized(networks, networks.Mlp)
    assert [node.name for node in read_nodes(module)] == ["up", "down", "head"]
    assert all(node.output_absmax > 0 for node in read_nodes(module))
    again = load_json(save_json(module))
    ranges = [[node.output_absmax for node in read_nodes(one)] for one in (module, again)]
    assert ranges[0] == ranges[1]


def test_depthwise_convolutions_are_quantized_along_the_rows_of_their_kernels(networks):
    _, module, _ = quantized(networks, networks.DepthwiseNet)
    values = definitions(module["main"])
    (depthwise,) = [call for _, call in calls(module, "relax.nn.conv2d") if int(call.attrs.groups) == 12]
    restored = values[values[depthwise.args[1]].args[0]]
    assert static_shape(restored) == (12, 3, 3)
    assert static_shape(restored.args[0]) == (12, 3, 1, 17)
    assert int(restored.attrs["channels"]) == 3


def test_other_convolutions_with_groups_become_ordinary_ones(networks):
    _, module, _ = quantized(networks, networks.GroupedNet)
    assert {int(call.attrs.groups) for _, call in calls(module, "relax.nn.conv2d")} == {1}


def test_the_quantized_graph_prints_and_survives_json(networks):
    _, module, x = quantized(networks, networks.Mlp)
    assert "vsq.quantize" in module.script(show_meta=True)
    again = load_json(save_json(module))
    assert (networks.run_tvm(again, x)[0] == networks.run_tvm(module, x)[0]).all()


def test_the_papers_order_of_rounding_gives_other_weights(networks):
    model, x = networks.build(networks.Mlp)
    module = import_model(model, (x,))
    data = networks.samples(networks.Mlp)
    paper = quantize(module, CONFIG.model_copy(update={"weight_order": "paper"}), HARDWARE, data)
    ours = quantize(module, CONFIG, HARDWARE, data)
    assert (networks.run_tvm(paper, x)[0] != networks.run_tvm(ours, x)[0]).any()


def test_a_tensor_of_zeros_can_be_quantized(networks):
    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            nn.init.constant_(self.a.bias, -1e3)

        def forward(self, x):
            return self.b(torch.relu(self.a(x)))

    networks.INPUTS[Dead] = (2, 4)
    module, quantized_module, x = quantized(networks, Dead)
    reference, value = networks.run_tvm(module, x)[0], networks.run_tvm(quantized_module, x)[0]
    assert networks.sqnr_db(reference, value) > 40


def test_a_model_without_layers_is_refused():
    with pytest.raises(QuantizationError, match="no layer to quantize"):
        quantize(import_model(nn.ReLU(), torch.zeros(1, 4)), CONFIG, HARDWARE, torch.zeros(1, 4))
