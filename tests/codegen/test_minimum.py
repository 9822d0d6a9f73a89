"""The DRAM bytes that every schedule has to move: by hand, and from what schedules do move."""

from __future__ import annotations

import numpy as np
import pytest
from tests.seeds import seeds

from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.isa import LOAD_MEMORIES, STORE_MEMORIES, decode_all

VECTOR, WEIGHTS, PARAMETERS, WIDE = 5, 36, 88, 32
"""Bytes of a record: 8 elements and a scale of 4 bits each; 8 of those; parameters or int32 of 8 lanes."""
SAME = {"padding": (1, 1, 1, 1)}


def layers_of(cases, shape, append, **changes):
    """The program's layers; `append` makes a network of an input of this shape."""
    network = cases.Network(cases.hardware(**changes), np.random.default_rng(0))
    append(network, network.input("x", shape))
    return network.program().layers


def convolution(pixels, vectors, blocks, taps, results, result_record=VECTOR):
    return sum(
        (
            pixels * vectors * VECTOR,
            blocks * vectors * taps * WEIGHTS,
            blocks * PARAMETERS,
            results * blocks * result_record,
        )
    )


CONVOLUTIONS = {
    "halos count once": ((1, 6, 5, 16), {"kernel": (3, 3), **SAME}, 24, convolution(30, 2, 3, 9, 30)),
    "a batch": ((3, 6, 5, 16), {"kernel": (3, 3), **SAME}, 24, convolution(90, 2, 3, 9, 90)),
    "skipped pixels": ((1, 6, 7, 8), {"strides": (2, 3)}, 8, convolution(3 * 3, 1, 1, 1, 9)),
    "rows behind the last window": (
        (1, 6, 6, 8),
        {"kernel": (3, 3), "strides": (2, 2)},
        8,
        convolution(5 * 5, 1, 1, 9, 4),
    ),
    "gaps between windows": (
        (1, 8, 8, 8),
        {"kernel": (2, 2), "strides": (3, 3)},
        8,
        convolution(6 * 6, 1, 1, 4, 9),
    ),
    "gaps in a window": (
        (1, 7, 7, 8),
        {"kernel": (3, 1), "dilation": (3, 1)},
        8,
        convolution(3 * 7, 1, 1, 3, 7),
    ),
    "border alone": (
        (1, 1, 5, 8),
        {"strides": (3, 1), "padding": (10, 0, 0, 0)},
        8,
        convolution(0, 1, 1, 1, 4 * 5),
    ),
    "channels that fill no vector": ((1, 4, 4, 9), {}, 9, convolution(16, 2, 2, 1, 16)),
    "wide results": ((1, 4, 4, 8), {"wide": True}, 9, convolution(16, 1, 2, 1, 16, WIDE)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_moves_what_it_uses_once(cases, name):
    shape, layer, channels, expected = CONVOLUTIONS[name]
    (found,) = layers_of(cases, shape, lambda net, x: net.conv(x, channels, output=True, **layer))
    assert found.minimum_dram_bytes == expected


def test_blocks_of_padding_are_no_part_of_it(cases):
    """5 channels are 2 of 4 blocks of 4 lanes in a vector of 16, and one vector."""
    changes = {"vector_size": 16, "output_lanes": 4}
    (found,) = layers_of(cases, (1, 4, 4, 16), lambda net, x: net.conv(x, 5, output=True), **changes)
    vector = (16 * 4 + 4 + 7) // 8
    weights = (4 * (16 * 4 + 4)) // 8
    assert found.minimum_dram_bytes == 16 * vector + 2 * weights + 2 * 4 * 11 + 16 * vector


def test_layers_without_weights_move_their_operands_and_parameters(cases):
    def pool(net, x):
        net.pool(x, (2, 2), strides=(2, 2), output=True)

    (found,) = layers_of(cases, (1, 5, 5, 8), pool)
    assert found.minimum_dram_bytes == 16 * VECTOR + PARAMETERS + 4 * VECTOR


def test_a_tensor_that_is_read_twice_counts_once(cases):
    def twice(net, x):
        net.add(net.add(x, x), x, output=True)

    one, two = layers_of(cases, (1, 5, 5, 8), twice)
    assert one.minimum_dram_bytes == 2 * 25 * VECTOR + PARAMETERS
    assert two.minimum_dram_bytes == 3 * 25 * VECTOR + PARAMETERS


def test_a_network_moves_constants_inputs_and_results_if_nothing_else_leaves_the_chip(cases):
    """conv a -> conv b, with x as residual -> wide dense c; results b, which c reads, and c."""
    network = cases.Network(cases.hardware(), np.random.default_rng(0))
    x = network.input("x", (1, 4, 4, 8))
    a = network.conv(x, 16, (3, 3), **SAME)
    b = network.conv(a, 8, residual=x, output=True)
    network.dense(b, 8, wide=True, output=True)
    program = network.program()
    constants = (2 * 9 + 2 * 1 + 1) * WEIGHTS + (2 + 1 + 1) * PARAMETERS
    tensors = 16 * (VECTOR + VECTOR + WIDE)
    assert program.record.on_chip_minimum_dram_bytes == constants + tensors
    between = 16 * (2 * 2 * VECTOR + VECTOR + VECTOR)  # a is stored and loaded, x and b are loaded again
    assert sum(layer.minimum_dram_bytes for layer in program.layers) == constants + tensors + between


def touched_bytes(network, program):
    """How many different bytes of DRAM each layer's LOADs, micro-ops left out, and STOREs touch."""
    hw, touched = network.hw, np.zeros((len(program.layers), program.dram_bytes), dtype=bool)
    for insn, layer in zip(decode_all(program.instructions, hw), program.layer_ids, strict=True):
        f = insn.fields
        if insn.name not in ("LOAD", "STORE"):
            continue
        memory = (LOAD_MEMORIES if insn.name == "LOAD" else STORE_MEMORIES)[f["mem"]]
        size = hw.record_bytes[memory]
        for y in range(f["y_size"] if memory != "uop" else 0):
            for x in range(f["x_size"]):
                first = f["dram_base"] + (y * f["y_stride"] + x * f["x_stride"]) * size
                touched[layer, first : first + f["z_size"] * size] = True
    return touched.sum(axis=1).tolist()


@pytest.mark.parametrize("seed", seeds(16))
def test_no_layer_moves_less_in_any_schedule(cases, seed):
    network = cases.random_network(seed)
    program = network.program()
    events = network.simulate(program)["events"]
    for layer, touched, row in zip(program.layers, touched_bytes(network, program), events, strict=True):
        assert 0 < layer.minimum_dram_bytes <= touched
        counted = dict(zip(EVENTS, row, strict=True))
        assert touched <= counted["dram_read_bytes"] + counted["dram_write_bytes"]


@pytest.mark.parametrize("seed", range(6))
def test_without_gaps_and_padding_it_is_what_a_schedule_touches(cases, seed):
    rng = np.random.default_rng(seed)
    network = cases.Network(cases.hardware(scratchpads={"acc_kib": 8, "inp_kib": 2}), rng)
    rows, columns, channels = (int(size) for size in rng.integers((5, 5, 1), (9, 9, 4)))
    value = network.input("x", (1, rows, columns, 8 * channels))
    other = network.add(network.pool(value, (3, 3), **SAME), value)
    strides = tuple(int(step) for step in rng.integers(1, 4, 2))
    value = network.conv(other, 8 * int(rng.integers(1, 4)), (3, 3), padding=(1, 0, 0, 1), strides=strides)
    network.conv(value, 16, strides=(2, 2), wide=bool(seed % 2), output=True)
    network.draw_schedules()
    program = network.program()
    assert touched_bytes(network, program) == [layer.minimum_dram_bytes for layer in program.layers]
