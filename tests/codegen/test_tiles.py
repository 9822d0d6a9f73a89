"""Tiles of any size in every dimension: the last one is what is left, and nothing is done twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import pytest
from tests.accelerators import random_formats
from tests.ops.layers import on_cpu
from tests.seeds import first_of, one_of, seeds

from tvm_vsq.codegen import emit_layer
from tvm_vsq.isa import LOAD_MEMORIES, STORE_MEMORIES, decode_all
from tvm_vsq.ops.add.lower import Sum
from tvm_vsq.ops.max_pool2d.lower import Pooling
from tvm_vsq.schedule import Convolution, default_knobs, fits, nest_of

ENTRIES = {"inp": 90, "wgt": 30, "acc": 60, "par": 9, "out": 60, "uop": 60}
"""So few that nearly every layer is cut, in several dimensions."""

PRIMES = (2, 3, 5, 7, 11)


def draw_network(cases, seed: int):
    """A convolution, matrix product, pool or sum of prime extents with any schedule."""
    rng = np.random.default_rng(seed)
    hw = cases.hardware(**random_formats(rng, ENTRIES))
    network = cases.Network(hw, rng)
    pixels = tuple(int(extent) for extent in rng.choice(PRIMES, 2))
    channels = int(rng.integers(1, 4)) * hw.vector_size - int(rng.integers(hw.vector_size))
    shape = (int(rng.integers(1, 4)), *pixels, channels)
    network.input("x", shape, bool(rng.integers(2)))
    options = {"relu": bool(rng.integers(2)), "wide": bool(rng.integers(3) == 0), "output": True}
    kernel = tuple(int(rng.integers(1, extent + 1)) for extent in pixels)
    strides = tuple(int(stride) for stride in rng.integers(1, 3, 2))
    residual = "x" if rng.integers(2) else None
    out = channels if residual else int(rng.integers(1, 3 * hw.group_channels))
    same = (kernel[0] - 1, kernel[1] - 1, 0, 0)
    geometry = {"padding": same} if residual else {"strides": strides, "padding": (0, 1, 0, 1)}
    match seed % 4:
        case 0:
            network.conv("x", out, kernel, residual=residual, **geometry, **options)
        case 1:
            network.dense("x", out, residual=residual, **options)
        case 2:
            halves = tuple((taps - 1) // 2 for taps in kernel)
            counted = (None, halves * 2)[seed // 4 % 2]
            if all(taps % 2 for taps in kernel):
                network.pool("x", kernel, padding=halves * 2, counted=counted, residual=residual, **options)
            else:
                network.pool("x", kernel, padding=halves * 2, counted=counted, strides=strides, **options)
        case 3:
            network.input("r", shape, bool(rng.integers(2)))
            network.add("x", "r", **options)
    network.draw_schedules()
    return network


@pytest.mark.parametrize("seed", seeds(48))
def test_the_simulator_equals_numpy(cases, seed):
    network = draw_network(cases, seed)
    network.simulate(network.program())


@pytest.mark.parametrize("seed", first_of(range(100, 108), 3))
def test_numpy_tensorir_torch_and_simulator_agree(cases, seed):
    network = draw_network(cases, seed)
    network.simulate(network.program())
    values = [network.values[p.name.split("_")[0]] for p in network.module()["main"].params]
    np.testing.assert_array_equal(on_cpu(network.module(), values), network.values["t0"])


@pytest.mark.parametrize("seed", first_of(range(200, 208), 3))
def test_the_second_functional_simulator_agrees(cases, machine, seed):
    network = draw_network(cases, seed)
    cases.check(machine, network, network.program(), machine.run_in_order)


def test_most_of_these_schedules_have_a_smaller_last_tile_and_some_cut_kernels(cases):
    uneven = kernels = 0
    for seed in range(48):
        network = draw_network(cases, seed)
        (knobs,) = network.schedules.values()
        (work,) = (work for _, work in cases.region_workloads(network.region(), network.hw))
        uneven += not nest_of(work, network.hw).tile(knobs).is_even
        kernels += (knobs.tile_r or 99, knobs.tile_s or 99) < (99, 99)
    assert uneven >= 30
    assert kernels >= 12


def any_work(rng: np.random.Generator, hw):
    """A workload of prime extents."""
    n, groups, cv = (int(count) for count in rng.choice((1, 2, 3, 5), 3))
    h, w = (int(extent) for extent in rng.choice(PRIMES, 2))
    kernel = (int(rng.integers(1, h + 1)), int(rng.integers(1, w + 1)))
    strides, kb = tuple(int(step) for step in rng.integers(1, 4, 2)), groups * hw.group_blocks
    padding, res, wide = (1, 2, 0, 1), bool(rng.integers(2)), bool(rng.integers(2))
    match rng.integers(3):
        case 0:
            return Convolution(n, h, w, cv, kb, *kernel, strides, padding, (1, 1), res, wide)
        case 1:
            return Pooling(n, h, w, kb, kernel, strides, (0, 0, 0, 0), (1, 1), res, wide)
        case _:
            return Sum(n, h, w, kb, wide)


def records(insns, hw):
    """Records that instructions load into, and store from, each scratchpad."""
    loaded, stored = Counter(), Counter()
    for insn in insns:
        if insn.name in ("LOAD", "STORE"):
            names, found = (LOAD_MEMORIES, loaded) if insn.name == "LOAD" else (STORE_MEMORIES, stored)
            found[names[insn.fields["mem"]]] += prod(insn.fields[f"{axis}_size"] for axis in "xyz")
    return loaded, stored


def expected_loads(nest, knobs):
    """Records of each scratchpad, if an operand is loaded whenever a tile uses others of it than the last."""
    sizes, found = nest.tile(knobs).sizes, Counter()
    loops = [*nest.orders[knobs.order], *(dim.name for dim in nest.reduced)]
    held: dict[str, tuple[int, ...]] = {}
    for at in product(*(range(0, nest.extents[name], sizes[name]) for name in loops)):
        first = dict.fromkeys(nest.extents, 0) | dict(zip(loops, at, strict=True))
        size = {name: min(sizes[name], nest.extents[name] - first[name]) for name in nest.extents}
        for operand in nest.loads:
            if operand.resident and 2 * prod(operand.extents) <= nest.depths[operand.scratchpad]:
                found[operand.scratchpad] += prod(operand.extents) if operand.name not in held else 0
                held[operand.name] = ()
                continue
            tile = tuple(first[name] for name in sorted(operand.dims))
            if held.get(operand.name) == tile:
                continue
            held[operand.name] = tile
            count = 1
            for axis in operand.axes:
                if not axis.terms:
                    count *= axis.extent
                    continue
                starts = sum(first[name] * step for name, step in axis.terms)
                reach = 1 + sum((size[name] - 1) * step for name, step in axis.terms)
                places = (place * axis.step - axis.border for place in range(starts, starts + reach))
                count *= sum(0 <= place < axis.extent for place in places)
            found[operand.scratchpad] += count
    return found


@pytest.mark.parametrize("seed", first_of(range(40), 8))
def test_whatever_the_tiles_nothing_is_computed_stored_or_loaded_that_is_not_used(cases, seed):
    rng = np.random.default_rng(seed)
    hw = cases.hardware(**random_formats(rng, ENTRIES | {"inp": 200, "wgt": 60}))
    work = any_work(rng, hw)
    nest, knobs = nest_of(work, hw), cases.any_schedule(rng, work, hw)
    insns = decode_all(emit_layer(work, knobs, hw).instructions, hw)
    loops = [
        i.fields["uop_count"] * i.fields["iter_out"] * i.fields["iter_in"]
        for i in insns
        if "uop_count" in i.fields
    ]
    if isinstance(work, Convolution):
        assert sum(loops) == nest.iterations
    elif isinstance(work, Pooling):  # and clears each accumulator
        assert sum(loops) * hw.group_blocks == nest.iterations + nest.entries["acc"]
    else:
        assert sum(loops) * hw.group_blocks == nest.iterations
    pixels = [i.fields["pixels"] * i.fields["blocks"] for i in insns if i.name == "PPU"]
    assert sum(pixels) == nest.entries["acc"]
    loaded, stored = records(insns, hw)
    assert stored == {nest.result.scratchpad: nest.entries[nest.result.name]}
    del loaded["uop"]
    assert loaded == expected_loads(nest, knobs)


@pytest.mark.parametrize("seed", one_of(range(3)))
def test_kernels_and_windows_larger_than_the_scratchpads_run_with_the_default_schedule(cases, seed):
    rng = np.random.default_rng(seed)
    network = cases.Network(cases.hardware(scratchpads={"wgt_kib": 8}), rng)
    network.input("x", (1, 40, 37, 16))
    match seed:
        case 0:
            network.conv("x", 16, (31, 31), strides=(3, 2), padding=(15, 15, 15, 15), output=True)
        case 1:
            network.pool("x", (32, 33), padding=(7, 16, 16, 0), output=True)
        case 2:
            network.conv("x", 16, (40, 37), wide=True, output=True)
    ((_, work),) = cases.region_workloads(network.region(), network.hw)
    knobs = default_knobs(work, network.hw, "large")
    assert knobs.tile_r or knobs.tile_s
    assert not fits(work, replace(knobs, tile_h=1, tile_w=1, tile_r=None, tile_s=None), network.hw)
    network.simulate(network.program())
