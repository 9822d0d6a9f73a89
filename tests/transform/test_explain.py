"""explain() lists every operator with where it runs and why."""

from __future__ import annotations

from tvm_vsq.graph import bindings, op_name
from tvm_vsq.transform import OpPlacement, explain, partition


def rows(stages, network):
    return explain(partition(stages(network).fused))


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
            "fc",
        ]
    )
    assert {row.op for row in on_chip} == {"vsq.conv2d", "vsq.dense"}


def test_every_operator_on_the_cpu_has_a_reason(networks, stages):
    for network in (networks.ResNet, networks.ClippedNet, networks.DepthwiseNet, networks.Mlp):
        assert all(row.why for row in rows(stages, network))


def test_reasons_name_what_stands_in_the_way(networks, stages):
    depthwise = {row.layer: row for row in rows(stages, networks.DepthwiseNet)}["depthwise"]
    assert (depthwise.where, depthwise.op) == ("cpu", "relax.nn.conv2d")
    assert depthwise.why.startswith("groups=12: ")

    clipped = {row.op: row for row in rows(stages, networks.ClippedNet)}
    assert clipped["relax.nn.max_pool2d"].why == "no accelerator form yet"
    assert "as fp32" in clipped["vsq.dequantize"].why

    entry = next(row for row in rows(stages, networks.ResNet) if row.op == "vsq.quantize")
    assert entry.why == "input 'x' arrives as fp32"


def test_the_result_of_the_last_layer_is_scaled_on_the_cpu(networks, stages):
    last = rows(stages, networks.ResNet)[-1]
    assert last == OpPlacement(
        "relax.multiply", "", "cpu", "the int32 result of layer 'fc' leaves the accelerator and becomes fp32"
    )


def test_a_module_that_is_not_partitioned_says_so(networks, stages):
    module = stages(networks.Mlp).fused
    found = explain(module)
    assert len(found) == sum(bool(op_name(b.value)) for b in bindings(module["main"]))
    assert {row.why for row in found if row.op == "vsq.dense"} == {
        "not part of a region; run transform.partition"
    }
