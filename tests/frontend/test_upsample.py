"""Resizing by integers is layers and moves."""

from __future__ import annotations

import pytest
import torch
from tests.canonical import LAYERS, MOVES, between, imported, operators, through_onnx
from tests.seeds import first_of, one_of
from torch import nn
from tvm import relax

from tvm_vsq.frontend.upsample import resizes_to_phases
from tvm_vsq.graph import bindings, constant_array, op_name
from tvm_vsq.network import layer_names

resize = relax.op.image.resize2d


def between_layers(**options):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Upsample(**options), nn.ReLU(), nn.Conv2d(4, 5, 1))


@pytest.mark.parametrize("factor", first_of([2, 3, ((1, 2),), 4, ((3, 1),)], 1))
@pytest.mark.parametrize("extents", one_of([[4, 5], [1, 3]]))
def test_bilinear_by_integers(factor, extents):
    x = torch.randn(2, 3, *extents)
    module = imported(between_layers(scale_factor=factor, mode="bilinear"), x)
    assert set(between(module)) <= LAYERS | (MOVES - {"take"})


def test_bilinear_to_a_size():
    module = imported(between_layers(size=(8, 10), mode="bilinear"), torch.randn(2, 3, 4, 5))
    assert set(between(module)) <= LAYERS | (MOVES - {"take"})


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_onnx_models(mode):
    module = through_onnx(between_layers(scale_factor=2, mode=mode), torch.randn(1, 3, 4, 5))
    assert set(between(module)) <= LAYERS | (MOVES - {"take"})


def test_four_bits_hold_the_weights_of_twice_the_size():
    """Rows of kernels are (9, 3) and (3, 1) sixteenths: 3 * (3, 1) and 1 * (3, 1)."""
    module = imported(between_layers(scale_factor=2, mode="bilinear"), torch.randn(1, 3, 4, 5))
    kernels = [
        constant_array(b.value.args[1])[0, :, :, 0] * 16
        for b in bindings(module["main"])
        if op_name(b.value) == "relax.nn.conv2d" and int(b.value.attrs.groups) > 1
    ]
    assert [kernel.tolist() for kernel in kernels] == [
        [[1, 3], [3, 9]],
        [[3, 1], [9, 3]],
        [[3, 9], [1, 3]],
        [[9, 3], [3, 1]],
    ]
    assert list(layer_names(module).values()) == ["0", *(f"upsample_0/phase {n}" for n in range(4)), "3"]


@pytest.mark.parametrize(
    "options",
    [
        {"scale_factor": 2, "mode": "bilinear", "align_corners": True},
        {"size": (7, 9), "mode": "bilinear"},
        pytest.param({"scale_factor": 2, "mode": "bicubic"}, marks=pytest.mark.large),
    ],
)
def test_weights_that_change_from_pixel_to_pixel_stay(options):
    found = operators(imported(between_layers(**options), torch.randn(1, 3, 4, 5)))
    assert found.count("nn.conv2d") == 2


NHWC = {"layout": "NHWC", "cubic_alpha": -0.75}
PHASES = {
    "nearest": {
        "method": "nearest_neighbor",
        "coordinate_transformation_mode": "asymmetric",
        "rounding_method": "floor",
    },
    "nearest, from the middle": {
        "method": "nearest_neighbor",
        "coordinate_transformation_mode": "half_pixel",
        "rounding_method": "round_prefer_floor",
    },
    "linear": {"method": "linear", "coordinate_transformation_mode": "half_pixel"},
    "linear, from the corner": {"method": "linear", "coordinate_transformation_mode": "asymmetric"},
}
STAYS = {
    "nearest, of the corners": {
        "method": "nearest_neighbor",
        "coordinate_transformation_mode": "align_corners",
        "rounding_method": "round",
    },
    "nearest, rounded": {
        "method": "nearest_neighbor",
        "coordinate_transformation_mode": "asymmetric",
        "rounding_method": "round",
    },
    "nearest, rounded up": {
        "method": "nearest_neighbor",
        "coordinate_transformation_mode": "asymmetric",
        "rounding_method": "ceil",
    },
    "linear, of the corners": {"method": "linear", "coordinate_transformation_mode": "align_corners"},
    "cubic": {"method": "cubic", "coordinate_transformation_mode": "half_pixel"},
}


@pytest.mark.parametrize("case", PHASES)
@pytest.mark.parametrize("factors", first_of([[2, 2], [3, 2], [4, 1]], 1))
def test_resizes_of_relax(networks, relax_functions, case, factors):
    size = (4 * factors[0], 5 * factors[1])
    module = relax_functions.function(lambda emit, x: resize(x, size, **PHASES[case], **NHWC), (2, 4, 5, 3))
    found = relax_functions.after(resizes_to_phases, module, networks.run_tvm, 1e-4)
    assert "image.resize2d" not in found


@pytest.mark.parametrize("case", STAYS)
def test_other_resizes_stay(networks, relax_functions, case):
    module = relax_functions.function(lambda emit, x: resize(x, (8, 10), **STAYS[case], **NHWC), (2, 4, 5, 3))
    assert relax_functions.after(resizes_to_phases, module, networks.run_tvm) == ["image.resize2d"]


def test_phases_of_a_large_factor_stay(relax_functions):
    """They would be 25 layers."""
    module = relax_functions.function(
        lambda emit, x: resize(x, (20, 25), **PHASES["linear"], **NHWC), (2, 4, 5, 3)
    )
    assert relax_functions.operators(resizes_to_phases(module)) == ["image.resize2d"]


def test_one_pixel_is_the_same_everywhere(networks, relax_functions):
    """As DeepLab enlarges the mean of an image: no weights, by any factor."""
    module = relax_functions.function(
        lambda emit, x: resize(x, (9, 8), **PHASES["linear"], **NHWC), (2, 1, 1, 3)
    )
    found = relax_functions.after(resizes_to_phases, module, networks.run_tvm)
    assert set(found) == {"reshape", "concat"}
