"""Importing keeps what a network computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import one_of
from torch import nn

from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name, static_shape

NETWORKS = ("ResNet", "ClippedNet", "DepthwiseNet", "Mlp", "PlainNet")


@pytest.mark.parametrize("name", one_of(NETWORKS))
def test_the_canonical_module_computes_what_torch_computes(networks, name):
    model, x = networks.build(getattr(networks, name))
    expected = networks.run_torch(model, x)
    module = import_model(model, (x,))
    found = networks.run_tvm(module, x)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.large
def test_an_exported_program_and_its_module_give_the_same_network(networks):
    model, x = networks.build(networks.ResNet)
    program = torch.export.export(model, (x,))
    ours = networks.run_tvm(import_model(program), x)[0]
    np.testing.assert_array_equal(ours, networks.run_tvm(import_model(model, x), x)[0])


def test_a_single_tensor_stays_one_and_a_tuple_of_one_stays_a_tuple(networks):
    class InTuple(nn.Module):
        def forward(self, x):
            return (torch.relu(x),)

    x = torch.randn(2, 3)
    assert import_model(nn.ReLU(), (x,))["main"].ret_ty.shape is not None
    assert len(import_model(InTuple(), (x,))["main"].ret_ty.fields) == 1


@pytest.mark.parametrize("axis", [1, 3])
def test_batch_norm_that_follows_no_layer_becomes_scale_and_shift(networks, axis):
    class NormFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn = nn.BatchNorm2d(4)
            self.conv = nn.Conv2d(4, 4, 3)

        def forward(self, x):
            y = self.conv(self.bn(x))
            return self.bn(y) + y if axis == 3 else y

    networks.INPUTS[NormFirst] = (1, 4, 6, 6)
    model, x = networks.build(NormFirst)
    module = import_model(model, (x,))
    assert not any("batch_norm" in op_name(binding.value) for binding in bindings(module["main"]))
    np.testing.assert_allclose(
        networks.run_tvm(module, x)[0], networks.run_torch(model, x)[0], rtol=1e-4, atol=1e-4
    )


def test_batch_norm_after_a_linear_layer_is_folded(networks):
    class LinearNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 5)
            self.bn = nn.BatchNorm1d(5)

        def forward(self, x):
            return self.bn(self.fc(x))

    networks.INPUTS[LinearNorm] = (3, 6)
    model, x = networks.build(LinearNorm)
    module = import_model(model, (x,))
    assert [op_name(b.value) for b in bindings(module["main"])] == ["relax.matmul", "relax.add"]
    np.testing.assert_allclose(
        networks.run_tvm(module, x)[0], networks.run_torch(model, x)[0], rtol=1e-4, atol=1e-4
    )


def test_a_model_in_training_mode_is_imported_in_eval_mode_and_left_as_it_was(networks):
    model, x = networks.build(networks.ResNet)
    expected = networks.run_torch(model, x)[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    found = networks.run_tvm(import_model(model, (x,)), x)[0]
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_parameters_of_the_function_are_the_users_inputs_only(networks):
    class TwoInputs(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, left, right):
            return self.fc(left) - right

    x = torch.randn(2, 4)
    module = import_model(TwoInputs(), (x, x + 1))
    assert [(param.name, static_shape(param)) for param in module["main"].params] == [
        ("left", (2, 4)),
        ("right", (2, 4)),
    ]
