"""Integer layers become regions for the accelerator, as few as the order of data allows."""

from __future__ import annotations

import torch
from torch import nn
from tvm import relax

from tvm_vsq.graph import bindings, definitions, op_name
from tvm_vsq.transform import explain, partition


def regions(module):
    return [
        function
        for _, function in module.functions_items()
        if isinstance(function, relax.Function) and function.attrs and "Codegen" in function.attrs
    ]


def composites(region):
    return [b.value for b in bindings(region) if isinstance(b.value, relax.Function)]


def test_a_stack_of_convolutions_with_residuals_is_one_region(networks, stages):
    module = partition(stages(networks.ResNet).fused)
    sizes = sorted(len(composites(region)) for region in regions(module))
    assert sizes == [8]  # all: six convolutions, the pool and the linear layer


def test_composites_hold_one_layer_with_its_constants(networks, stages):
    for region in regions(partition(stages(networks.ResNet).fused)):
        assert region.attrs["Codegen"] == "vsq_accel"
        for composite in composites(region):
            (call,) = (
                value for value in definitions(composite).values() if op_name(value).startswith("vsq.")
            )
            assert composite.attrs["Composite"] == op_name(call).replace("vsq.", "vsq_accel.")
            constants = 1 if op_name(call) == "vsq.avg_pool2d" else 2
            assert len(composite.params) == len(call.args) - constants


def test_nothing_but_the_host_side_remains_in_main(networks, stages):
    module = partition(stages(networks.ResNet).fused)
    left = {op_name(binding.value) for binding in bindings(module["main"])}
    assert not {"vsq.conv2d", "vsq.dense"} & left
    assert relax.analysis.check_well_formed(module)


def test_a_tensor_that_leaves_in_the_middle_is_a_second_output(networks, stages):
    module = partition(stages(networks.ClippedNet).fused)
    (output,) = (region.ret_ty for region in regions(module))
    assert isinstance(output, relax.TupleType)


def test_layers_on_both_sides_of_a_cpu_operator_are_not_one_region(networks, stages):
    class Detour(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, x):
            y = torch.relu(self.a(x))
            return self.b(torch.sin(y)) + y

    networks.INPUTS[Detour] = (2, 16)
    module = partition(stages(Detour).fused)
    assert len(regions(module)) == 2
    assert [row.layer for row in explain(module) if row.where == "accelerator"] == ["a", "b"]
