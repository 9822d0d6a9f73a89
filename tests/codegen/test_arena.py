"""Tensors between layers share one arena: never two that are in use, and as little of it as can be."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from tests.seeds import first_of

from tvm_vsq.codegen.arena import Lifetime, plan_arena
from tvm_vsq.errors import ProgramError
from tvm_vsq.isa import LOAD_MEMORIES, STORE_MEMORIES, decode_all, encode_all
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Knobs

BURST = 64
SAME = {"padding": (1, 1, 1, 1)}


def whole(size):
    return -(-size // BURST) * BURST


def tallest(sizes, alive):
    """The most bytes that are in use in any one layer."""
    layers = {layer for each in alive.values() for layer in (each.first, each.last)}
    return max(
        sum(whole(sizes[t]) for t in sizes if alive[t].first <= layer <= alive[t].last) for layer in layers
    )


@st.composite
def tensors(draw):
    spans = draw(st.lists(st.tuples(st.integers(-1, 9), st.integers(0, 5)), min_size=1, max_size=14))
    alive = {f"t{i}": Lifetime(first, first + more) for i, (first, more) in enumerate(spans)}
    return {name: draw(st.integers(1, 900)) for name in alive}, alive


@given(tensors())
def test_tensors_that_are_in_use_together_never_overlap(drawn):
    sizes, alive = drawn
    offsets = plan_arena(sizes, alive, BURST)
    assert offsets.keys() == sizes.keys()
    assert not any(offset % BURST for offset in offsets.values())
    for one in sizes:
        for other in sizes:
            together = alive[one].first <= alive[other].last and alive[other].first <= alive[one].last
            if one < other and together:
                apart = (
                    offsets[one] + sizes[one] <= offsets[other],
                    offsets[other] + sizes[other] <= offsets[one],
                )
                assert any(apart), (one, other)
    assert (
        tallest(sizes, alive)
        <= whole(max(offsets[t] + sizes[t] for t in sizes))
        <= sum(map(whole, sizes.values()))
    )


def test_a_tensor_takes_the_smallest_gap_that_fits():
    sizes = {"a": 640, "leaves 576": 576, "b": 512, "leaves 448": 448, "c": 384, "late": 100}
    alive = dict.fromkeys(sizes, Lifetime(0, 9)) | dict.fromkeys(["leaves 576", "leaves 448"], Lifetime(0, 1))
    offsets = plan_arena(sizes, alive | {"late": Lifetime(2, 2)}, BURST)
    assert offsets == {"a": 0, "leaves 576": 640, "b": 1216, "leaves 448": 1728, "c": 2176, "late": 1728}


def random_branches(cases, seed):
    """A network whose layers read any earlier tensors, with several inputs and results, some of which other
    layers read too; and the names of the tensors that each layer reads.
    """
    rng = np.random.default_rng(seed)
    network = cases.Network(cases.hardware(scratchpads={"acc_kib": 8, "inp_kib": 2}), rng)
    inputs, layers = int(rng.integers(1, 4)), int(rng.integers(4, 10))
    rows, columns, first = (int(size) for size in rng.integers((3, 3, 1), (7, 7, 25)))
    channels = {network.input(f"x{i}", (1, rows, columns, first)): first for i in range(inputs)}
    plan = []
    for number in range(layers):
        # The first ones join the inputs, and each other one reads one before it, so that all is one program.
        kind = "add" if number < inputs else str(rng.choice(["conv", "residual", "add", "pool"]))
        source = f"x{number}" if number < inputs else f"t{rng.integers(number)}"
        equal = [name for name in channels if channels[name] == channels[source]]
        other = {"add": "t0" if 0 < number < inputs else str(rng.choice(equal))}
        other["residual"] = str(rng.choice(equal))
        channels[f"t{number}"] = int(rng.choice([first, 8, 20])) if kind == "conv" else channels[source]
        plan.append((kind, source, other.get(kind)))
    unread = set(channels) - {name for _, *sources in plan for name in sources}
    for number, (kind, source, other) in enumerate(plan):
        output = f"t{number}" in unread or rng.random() < 0.2
        if kind == "add":
            network.add(source, other, output=output)
        elif kind == "pool":
            network.pool(source, (3, 3), output=output, **SAME)
        else:
            network.conv(source, channels[f"t{number}"], (3, 3), residual=other, output=output, **SAME)
    return network, [{source} | ({other} if other else set()) for _, source, other in plan]


def owners_of(network, program):
    """The tensors that each layer reads in DRAM, by the layer's name, and those in the results at the end.

    A second reading of the instructions, in program order: each byte is of the tensor that was written last.
    """
    hw = network.hw
    owner = np.full(program.dram_bytes, "", dtype=object)
    names = [layer.name for layer in program.layers]
    vector, lane = hw.record_bytes["inp"], hw.record_bytes["acc"] // hw.output_lanes
    for name, (_, offset, rows, *_) in zip(network.inputs, program.inputs, strict=True):
        owner[offset : offset + rows * vector] = name
    read = defaultdict(set)
    for insn, layer in zip(decode_all(program.instructions, hw), program.layer_ids, strict=True):
        if insn.name not in ("LOAD", "STORE"):
            continue
        f, load = insn.fields, insn.name == "LOAD"
        memory = (LOAD_MEMORIES if load else STORE_MEMORIES)[f["mem"]]
        size = hw.record_bytes[memory]
        for y in range(f["y_size"]):
            for x in range(f["x_size"]):
                first = f["dram_base"] + (y * f["y_stride"] + x * f["x_stride"]) * size
                piece = slice(first, first + f["z_size"] * size)
                if not load:
                    owner[piece] = names[layer].replace("layer", "t")
                elif memory == "inp":
                    read[names[layer]] |= set(owner[piece])
                else:
                    assert set(owner[piece]) == {""}, "constants are no longer there"
    sizes = [rows * (lanes * lane if kind else vector) for kind, _, rows, lanes, *_ in program.outputs]
    places = [offset for _, offset, *_ in program.outputs]
    return read, [set(owner[at : at + size]) for at, size in zip(places, sizes, strict=True)]


@pytest.mark.parametrize("seed", first_of(range(12), 4))
def test_every_layer_finds_what_its_sources_wrote(cases, machine, seed):
    network, sources = random_branches(cases, seed)
    program = network.program()
    read, results = owners_of(network, program)
    assert read == {f"layer{number}": names for number, names in enumerate(sources)}
    assert results == [{name} for name in network.outputs]
    cases.check(machine, network, program, lambda device: machine.run_interleaved(device, seed))
    network.simulate(program)


def chain(cases, layers):
    network = cases.Network(cases.hardware(), np.random.default_rng(0))
    last = network.input("x", (1, 6, 6, 16))
    for number in range(layers):
        last = network.conv(last, 16, (3, 3), output=number == layers - 1, **SAME)
    return network


def test_the_arena_of_a_chain_does_not_grow_with_its_length(cases):
    """A layer needs its input and its result, and nothing of what was before."""
    tensor = whole(6 * 6 * 2 * cases.hardware().record_bytes["inp"])
    for layers in (1, 2, 3, 9):
        program = chain(cases, layers).program()
        addresses = [offset for _, offset, *_ in (*program.inputs, *program.outputs)]
        assert program.record.arena_bytes == program.dram_bytes - min(addresses) == 2 * tensor
        assert program.record.separate_bytes == (layers + 1) * tensor
        assert len(program.image) <= min(addresses)
        assert min(addresses) == program.record.constant_bytes + program.record.micro_op_bytes


def test_an_inputs_bytes_are_used_again_and_the_next_run_has_its_own_input(cases):
    network = chain(cases, 3)
    program = network.program()
    ((_, offset, *_),) = program.inputs
    assert any(
        insn.fields["dram_base"] == offset
        for insn in decode_all(program.instructions, network.hw)
        if insn.name == "STORE"
    )
    values = network.values["x"], network.values["x"][:, ::-1]

    def results(order):
        module = native.create_module(network.hw.sim_params(), [program.to_native()], "{}")
        for index in order:
            result = tvm.runtime.tensor(np.zeros_like(network.values["t2"]))
            module[program.name](tvm.runtime.tensor(np.array(values[index], order="C")), result)
            yield result.numpy()

    first, second, again = results([0, 1, 0])
    np.testing.assert_array_equal(first, network.values["t2"])
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(second, next(results([1])))
    assert not np.array_equal(first, second)


def test_a_store_over_bytes_that_an_unordered_load_reads_is_refused(cases):
    """The second layer's result goes over its input, of which tiles are still to be loaded."""
    network = chain(cases, 2)
    network.schedules = {"layer1": Knobs(3, 2, 1, 1)}
    program = network.program()
    insns = decode_all(program.instructions, network.hw)
    second = [insn for insn, layer in zip(insns, program.layer_ids, strict=True) if layer == 1]
    stores = [insn for insn in second if insn.name == "STORE"]
    pixels = LOAD_MEMORIES.index("inp")
    loads = [i.fields["dram_base"] for i in second if i.name == "LOAD" and i.fields["mem"] == pixels]
    first = min(insn.fields["dram_base"] for insn in stores)
    for insn in stores:
        insn.fields["dram_base"] += min(loads) - first
    changed = replace(program, instructions=encode_all(insns, network.hw)).to_native()
    message = (
        r"layer 'layer1', instruction \d+ \((LOAD|STORE)\): race on DRAM byte \d+: "
        r"no token orders it behind layer 'layer1', instruction \d+ \((STORE|LOAD)\)"
    )
    with pytest.raises(ProgramError, match=message):
        native.create_module(network.hw.sim_params(), [changed], "{}")
