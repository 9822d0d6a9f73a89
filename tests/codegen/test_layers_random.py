"""One random convolution of any shape, format and schedule. TIR and torch equal NumPy too: tests/ops."""

from __future__ import annotations

import numpy as np
import pytest
from tests.accelerators import random_formats
from tests.seeds import seeds

from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.isa import decode_all

# Scratchpad entries that the largest kernel and a residual need; of weights, per channel group.
ENTRIES = {"inp": 420, "wgt": 60, "acc": 500, "par": 40, "out": 200, "uop": 200}
PRIMES = (1, 2, 3, 5, 7)


def random_hardware(cases, rng: np.random.Generator):
    depth = int(rng.integers(1, 5))
    return cases.hardware(**random_formats(rng, ENTRIES), timing={"token_queue_depth": depth})


def random_layer(cases, seed: int):
    """A network of one layer with any schedule."""
    rng = np.random.default_rng(seed)
    hw = random_hardware(cases, rng)
    network = cases.Network(hw, rng)
    kernel = tuple(int(k) for k in rng.integers(1, 8, 2))
    dilation = tuple(int(d) for d in rng.integers(1, 3, 2))
    padding = rng.integers(0, 5, 4)
    if seed % 4 == 0:
        padding[seed // 4 % 4] = rng.integers(16, 24)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    image = [
        int(max(rng.integers(1, 8), r - padding[axis] - padding[axis + 2])) for axis, r in enumerate(reach)
    ]
    vectors = int(rng.choice(PRIMES[:3]))
    network.input("x", (int(rng.integers(1, 3)), *image, vectors * hw.vector_size), bool(rng.integers(2)))
    groups, wide = int(rng.choice(PRIMES[:3])), bool(rng.integers(4) == 0)
    channels = max(1, groups * hw.group_channels - int(rng.integers(hw.group_channels)))
    geometry = {
        "strides": tuple(int(s) for s in rng.integers(1, 4, 2)),
        "padding": tuple(int(p) for p in padding),
        "dilation": dilation,
    }
    options = {"relu": bool(rng.integers(2)), "signed": wide or bool(rng.integers(2)), "wide": wide}
    residual = None
    if rng.integers(2):
        sizes = [
            (size + padding[axis] + padding[axis + 2] - r) // geometry["strides"][axis] + 1
            for axis, (size, r) in enumerate(zip(image, reach, strict=True))
        ]
        batch = network.values["x"].shape[0]
        residual = network.input("r", (batch, *map(int, sizes), channels), bool(rng.integers(2)))
    network.conv("x", channels, kernel, residual=residual, output=True, **options, **geometry)
    network.draw_schedules()
    return network


@pytest.mark.parametrize("seed", seeds(80))
def test_the_simulator_equals_numpy(cases, seed):
    network = random_layer(cases, seed)
    network.simulate(network.program())


def test_the_results_are_worth_comparing(cases):
    """Most layers yield many different elements, so that equality means something."""
    rich = 0
    for seed in range(20):
        network = random_layer(cases, seed)
        rich += len(np.unique(network.values["t0"])) > 4
    assert rich >= 15


@pytest.mark.parametrize("seed", range(12))
def test_only_padding_of_vectors_is_computed_and_nothing_of_it_stored(cases, seed):
    """Blocks of a channel group and vectors of a block that hold no channel cost neither cycles nor bytes."""
    network = random_layer(cases, seed)
    program, hw = network.program(), network.hw
    events = dict(zip(EVENTS, network.simulate(program)["events"][0], strict=True))
    (result,) = network.outputs
    value, channels = network.values[result], network.channels[result]
    pixels = int(np.prod(value.shape[:3]))
    blocks, vectors = -(-channels // hw.output_lanes), -(-channels // hw.vector_size)
    assert events["ppu_lane_ops"] == pixels * blocks * hw.output_lanes
    read = pixels * min(blocks * hw.output_lanes, vectors * hw.vector_size)
    assert events["residual_lane_ops"] == ("r" in network.values) * read
    x = network.values["x"]
    per_pixel = program.layers[0].macs // (pixels * channels)  # of a kernel over whole vectors
    assert per_pixel % (x.shape[3] * hw.vector_size) == 0
    assert events["macs"] == pixels * blocks * hw.output_lanes * per_pixel
    stores = [f.fields for f in decode_all(program.instructions, hw) if f.name == "STORE"]
    stored = sum(f["x_size"] * f["y_size"] * f["z_size"] for f in stores)
    assert stored == pixels * (blocks if value.dtype == np.int32 else vectors)
