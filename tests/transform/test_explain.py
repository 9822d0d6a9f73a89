"""explain() lists every operator with where it runs and why."""

from __future__ import annotations

import torch
from tests.quantizing import quantize
from torch import nn

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize import QuantConfig, Rule
from tvm_vsq.transform import OpPlacement, explain, fuse, partition
from tvm_vsq.transform.work import Work


def rows(stages, network, notation="4/4/4/4"):
    return explain(partition(stages(network, notation).fused))


def test_layers_run_on_the_accelerator_under_their_names(networks, stages):
    on_chip = [row for row in rows(stages, networks.ResNet) if row.where == "accelerator"]
    assert sorted(row.layer for row in on_chip) == sorted(
        [
            "conv1",
            "layer1.conv1",
            "layer1.conv2",
            "layer2.conv1",
            "layer2.conv2",
            "layer2.downsample.0",
            "avg_pool2d_0",
            "fc",
        ]
    )
    assert {row.op for row in on_chip} == {"vsq.conv2d", "vsq.avg_pool2d", "vsq.dense"}


def test_a_layer_says_what_is_part_of_it(networks, stages):
    found = {row.layer: row.why.split(", ") for row in rows(stages, networks.ResNet)}
    weights, narrow = "constant integer weights", "requantizes to 4-bit elements and 4-bit scales"
    assert found["conv1"] == [weights, "clamps at 0", narrow]
    assert found["layer1.conv2"] == [weights, "adds a residual", "clamps at 0", narrow]
    assert found["layer2.conv2"] == [weights, narrow]  # the other branch adds it
    assert found["fc"] == [weights, "int32 result for the CPU"]
    bytewise = {row.layer: row.why for row in rows(stages, networks.PlainNet, "8/8/-/-")}
    assert bytewise["a"] == f"{weights}, clamps at 0, requantizes to 8-bit elements"


def test_a_layer_that_a_rule_left_in_fp32_says_so(networks):
    hardware = load_hardware("vsq-accel")
    model, x = networks.build(networks.Mlp)
    config = QuantConfig.parse("4/4/4/4", rules=(Rule(layers="up", fp32=True),)).unfitted()
    quantized = quantize(import_model(model, (x,)), config, hardware, networks.samples(networks.Mlp))
    found = {row.layer: row for row in explain(partition(fuse(quantized, hardware)))}
    assert (found["up"].op, found["up"].where) == ("relax.matmul", "cpu")
    assert found["up"].why == "left in fp32 by a rule"
    assert found["down"].where == "accelerator"


def test_what_a_layer_in_fp32_would_do_goes_with_it():
    model, x = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 16), nn.ReLU()), torch.randn(4, 8)
    config = QuantConfig.parse("4/4/4/4", rules=(Rule(layers="0", fp32=True),)).unfitted()
    hardware = load_hardware("vsq-accel")
    module = partition(fuse(quantize(import_model(model, (x,)), config, hardware, x), hardware))
    why = {row.op: row.why for row in explain(module) if row.where == "cpu"}
    assert why["relax.add"] == why["relax.nn.gelu"] == "goes with layer '0', which runs on the CPU"
    assert why["relax.matmul"] == "left in fp32 by a rule"


def test_layers_of_a_module_that_is_not_quantized_say_so(networks):
    model, x = networks.build(networks.Mlp)
    found = [row for row in explain(import_model(model, (x,))) if row.op == "relax.matmul"]
    assert [row.layer for row in found] == ["up", "down", "head"]
    assert {row.why for row in found} == {"its operands are fp32; quantize the module first"}


def test_every_operator_on_the_cpu_has_a_reason(networks, stages):
    for network in (networks.ResNet, networks.ClippedNet, networks.DepthwiseNet, networks.Mlp):
        assert all(row.why for row in rows(stages, network))


def test_reasons_name_what_stands_in_the_way(networks, stages):
    clipped = {row.op: row for row in rows(stages, networks.ClippedNet)}
    assert "as fp32" in clipped["vsq.dequantize"].why

    entry = next(row for row in rows(stages, networks.ResNet) if row.op == "vsq.quantize")
    assert entry.why == "input 'x' arrives as fp32"
    packed = next(row for row in rows(stages, networks.ResNet) if row.op == "relax.concat")
    assert packed.why == "the host lays out input 'x'"
    reshape = next(row for row in rows(stages, networks.ResNet) if row.op == "relax.reshape")
    assert reshape.why == "moves fp32 data, no accelerator form yet"


def test_a_sum_with_a_constant_that_is_no_bias_says_so():
    class Places(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(16, 32), nn.LayerNorm(32)
            self.places = nn.Parameter(torch.randn(6, 32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.layer(x) + self.places)

    x = torch.randn(1, 6, 16)
    exe = tvm_vsq.compile(Places().eval(), example_inputs=(x,), calibration=[(x,)] * 4)
    (row,) = [row for row in exe.explain() if row.op == "relax.add" and row.where == "cpu"]
    assert row.why == "with a constant that is no bias or scale of a layer: no accelerator form yet"


def test_the_result_of_the_last_layer_is_scaled_on_the_cpu(networks, stages):
    *_, last, view = rows(stages, networks.ResNet)
    assert (view.op, view.work) == ("relax.reshape", Work(0, 0, 0))  # [2, 1, 1, 5], as the pool left it
    assert last == OpPlacement(
        "relax.multiply",
        "",
        "cpu",
        "the int32 result of layer 'fc' leaves the accelerator and becomes fp32",
        Work(macs=0, operations=2 * 5, bytes=4 * (10 + 1 + 10)),
    )


def test_a_module_that_is_not_partitioned_says_so(networks, stages):
    module = stages(networks.Mlp).fused
    found = explain(module)
    assert len(found) == sum(bool(op_name(b.value)) for b in bindings(module["main"]))
    assert {row.why for row in found if row.op == "vsq.dense"} == {
        "not part of a region; run transform.partition"
    }


def test_what_works_on_rows_says_so():
    class Attention(nn.Module):
        def __init__(self, heads):
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(8, 48) for _ in range(3))
            self.norm, self.heads = nn.LayerNorm(48), heads

        def forward(self, x):
            query, key, value = (
                each.reshape(2, 7, self.heads, -1).transpose(1, 2)
                for each in (self.norm(self.query(x)), self.key(x), self.value(x))
            )
            return torch.softmax(query @ key.mT, -1) @ value, torch.softmax(x, 1)

    def found(heads):
        hardware, x = load_hardware("vsq-accel"), torch.randn(2, 7, 8)
        config = QuantConfig.parse("4/4/4/4").unfitted()
        quantized = quantize(import_model(Attention(heads), (x,)), config, hardware, x.numpy())
        return explain(partition(fuse(quantized, hardware)))

    whole = {row.layer: row.why for row in found(3) if row.where == "accelerator"}
    narrow = "requantizes to 4-bit elements and 4-bit scales"
    assert whole["query"] == "constant integer weights, int32 result for another layer"
    assert whole["layer_norm_0"] == whole["softmax_0"] == f"rows of int32, {narrow}"
    products = [why for name, why in whole.items() if name.startswith("matmul")]
    assert products == ["int32 result for another layer", "int32 result for the CPU"]
    apart = {row.op: row.why for row in found(4) if row.where == "cpu"}
    assert apart["relax.matmul"].endswith("would read vectors (heads need whole vectors of channels)")
    assert "matmul_3" in {row.layer for row in found(4) if row.where == "cpu"}  # also behind fusing
    assert apart["relax.nn.softmax"] == "has a form on the accelerator over the last axis alone"


def test_heads_of_whole_vectors_are_no_reason():
    class Attention(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(32, 2 * channels) for _ in range(3))

        def forward(self, x):
            query, key, value = (
                torch.tanh(each(x).reshape(2, 7, 2, -1).transpose(1, 2) / 3).sin()
                for each in (self.query, self.key, self.value)
            )
            return torch.softmax(query @ key.mT, -1) @ value

    def found(channels):
        hardware, x = load_hardware("vsq-accel"), torch.randn(2, 7, 32)
        config = QuantConfig.parse("4/4/4/4").unfitted()
        quantized = quantize(import_model(Attention(channels), (x,)), config, hardware, x.numpy())
        return [row.why for row in explain(partition(fuse(quantized, hardware))) if row.op == "relax.matmul"]

    whole = "not between layers on the accelerator, where it would read vectors"
    assert found(16) == [whole] * 2
    assert found(12) == [f"{whole} (heads need whole vectors of channels)"] * 2
