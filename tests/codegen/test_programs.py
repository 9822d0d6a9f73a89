"""Programs compute, instruction by instruction, what the NumPy reference computes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.seeds import one_of, seeds

from tvm_vsq.schedule import Knobs


def run_one(cases, machine, hw, shape, channels, seed=0, run=None, signed=True, **layer):
    network = cases.Network(hw, np.random.default_rng(seed))
    network.input("x", shape, signed)
    network.conv("x", channels, output=True, **layer)
    cases.check(machine, network, network.program(), run or machine.run_in_order)


GEOMETRY = {
    "pointwise": {},
    "3x3": {"kernel": (3, 3), "padding": (1, 1, 1, 1)},
    "strided": {"kernel": (3, 3), "padding": (1, 1, 1, 1), "strides": (2, 2)},
    "strided pointwise": {"strides": (2, 3)},
    "padded strided pointwise": {"strides": (2, 2), "padding": (1, 0, 0, 1)},
    "dilated": {"kernel": (3, 2), "dilation": (2, 3), "padding": (2, 1, 2, 2)},
    "uneven kernel": {"kernel": (1, 5), "padding": (0, 2, 0, 2)},
    "more border than image": {"kernel": (2, 2), "padding": (9, 17, 1, 20)},
}


@pytest.mark.parametrize("geometry", GEOMETRY.values(), ids=GEOMETRY)
def test_any_kernel_stride_padding_and_dilation(cases, machine, geometry):
    run_one(cases, machine, cases.hardware(), (2, 7, 6, 12), 13, **geometry)


def test_a_kernel_that_only_meets_border_yields_the_bias(cases, machine):
    run_one(cases, machine, cases.hardware(), (1, 1, 5, 8), 8, strides=(3, 1), padding=(10, 0, 0, 0))


@pytest.mark.parametrize("order", ["k_outer", "hw_outer"])
@pytest.mark.parametrize("double_buffer", [True, False])
@pytest.mark.parametrize("tile", [(2, 3, 1, 1), (6, 2, 2, 3), (1, 6, 4, 1), (3, 6, 1, 3), (6, 6, 2, 1)])
def test_every_tiling_gives_the_same_numbers(cases, machine, tile, order, double_buffer):
    hw = cases.hardware(scratchpads={"inp_kib": 4, "acc_kib": 8})
    knobs = Knobs(*tile, order, double_buffer)
    run_one(cases, machine, hw, (1, 6, 6, 24), 32, kernel=(3, 3), padding=(1, 1, 1, 1), knobs=knobs)


FORMATS = {
    "no scales": {"weight_scale_bits": None, "activation_scale_bits": None},
    "weight scales only": {"activation_scale_bits": None},
    "rounded product": {"scale_product_bits": 5},
    "w8a6": {"weight_bits": 8, "activation_bits": 6, "activation_scale_bits": 7, "weight_scale_bits": 3},
    "wide vectors": {"vector_size": 32, "output_lanes": 8},
    "many lanes": {"vector_size": 8, "output_lanes": 32, "scratchpads": {"acc_kib": 8}},
    "few lanes": {"vector_size": 16, "output_lanes": 4},
}


@pytest.mark.parametrize("signed", one_of([True, False]))
@pytest.mark.parametrize("changes", FORMATS.values(), ids=FORMATS)
def test_every_number_format_and_array_shape(cases, machine, changes, signed):
    """Vectors wider than the array and arrays wider than a vector; channel counts that fill neither."""
    network = cases.Network(cases.hardware(**changes), np.random.default_rng(3))
    network.input("x", (1, 4, 5, 10), signed)
    a = network.conv("x", 20, kernel=(3, 3), padding=(1, 1, 1, 1), relu=True, signed=False)
    b = network.conv(a, 20, residual=a, signed=signed, output=True)
    network.conv(b, 20, (2, 1), padding=(1, 0, 0, 0), residual=a, output=True)
    network.conv(b, 9, wide=True, output=True)
    cases.check(machine, network, network.program(), machine.run_in_order)


@pytest.mark.parametrize("seed", seeds(12))
def test_random_networks_in_any_legal_interleaving(cases, machine, seed):
    """Engines that run as far as their tokens let them, in random order, end with the same numbers and no
    token left.
    """
    network = cases.random_network(seed)
    program = network.program()
    expected = cases.check(machine, network, program, machine.run_in_order)
    for attempt in range(3):
        found = cases.check(
            machine, network, program, lambda device, s=attempt: machine.run_interleaved(device, s)
        )
        assert found == expected, "an operand came from another instruction than in program order"
