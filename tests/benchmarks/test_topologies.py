"""The topologies of the benchmark are imported as what they are, in operators that the chip is to have."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from tests.canonical import LAYERS, MOVES, between, imported

from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name
from tvm_vsq.network import layer_names

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks/convolutional"
FUNCTIONS = {"multiply", "power", "tanh", "nn.leakyrelu", "divide"}
NAMES = (
    "VGG-19",
    "AlexNet",
    "DenseNet-121",
    "Inception v1",
    "Inception v2",
    "SqueezeNet 1.1",
    "DCGAN",
    "ShuffleNet v2",
    "YOLOv3-tiny",
    "text recognizer",
    "M5",
)


@pytest.fixture(scope="module")
def topologies():
    sys.path.append(str(FOLDER))
    import topologies

    yield topologies
    sys.path.remove(str(FOLDER))


@pytest.mark.large
@pytest.mark.parametrize("name", NAMES)
def test_a_topology_is_layers_and_moves(topologies, name):
    shape = topologies.input_shape(name)
    if name not in ("VGG-19", "AlexNet") and shape[1] == 224:
        shape = (3, 64, 64)  # these take images of any size
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    module = imported(topologies.build(name), x, tolerance=1e-4)
    found = between(module)
    results = found.count("permute_dims")  # of all but the last one
    assert results == (1 if name == "YOLOv3-tiny" else 0)
    assert set(found) - {"permute_dims"} <= LAYERS | MOVES | FUNCTIONS
    assert len(set(layer_names(module).values())) == len(layer_names(module))


def test_the_generator_computes_no_products_with_zeros_between_pixels(topologies):
    """16 phases and the first layer; weights as many as the model has."""
    model = topologies.build("DCGAN")
    module = import_model(model, (torch.randn(1, 100, 1, 1),))
    layers = [b.value for b in bindings(module["main"]) if op_name(b.value) == "relax.nn.conv2d"]
    weights = sum(layer.args[1].value.numpy().size for layer in layers)
    assert len(layers) == 17
    assert weights == sum(p.numel() for p in model.parameters() if p.dim() == 4)
