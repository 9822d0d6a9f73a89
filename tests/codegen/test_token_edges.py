"""Whatever conflicts is ordered by tokens, judged by a second reading of what instructions touch; and the
simulator notices every edge that is missing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import tvm
from tests.seeds import first_of, one_of

from tvm_vsq.errors import ProgramError
from tvm_vsq.isa import LOAD_MEMORIES, STORE_MEMORIES, Insn, encode_all
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Knobs

TILE = Knobs(3, 2, 1, 1)
NETWORKS = {
    "double buffered": {"knobs": TILE},
    "single slots": {"knobs": replace(TILE, double_buffer=False)},
    "pixels outside": {"knobs": replace(TILE, order="hw_outer", tile_c=2)},
    "queues of one token": {"knobs": TILE, "depth": 1},
    "one tile": {"knobs": Knobs(6, 6, 2, 2)},
    "uneven kernel": {"knobs": Knobs(6, 2, 2, 2), "kernel": (3, 5)},
    "vector unit": {"knobs": TILE, "between": True},
    "vector unit, wide array": {"knobs": TILE, "between": True, "output_lanes": 32},
}


def network_of(cases, knobs, depth=4, kernel=(3, 3), between=False, output_lanes=8):
    """Two convolutions through DRAM, the first one's result also as residual, and a wide layer; `between`
    them a pool and a sum.
    """
    pads, timing = {"inp_kib": 4, "acc_kib": 8}, {"token_queue_depth": depth}
    hw = cases.hardware(scratchpads=pads, timing=timing, output_lanes=output_lanes)
    network = cases.Network(hw, np.random.default_rng(5))
    network.input("x", (1, 6, 6, 16))
    around = tuple(size // 2 for size in kernel) * 2
    a = network.conv("x", 16, kernel, padding=around, knobs=knobs, relu=True, signed=False)
    if between:
        a = network.add(network.pool(a, (3, 3), padding=around, knobs=knobs), a, signed=False, relu=True)
    b = network.conv(a, 16, kernel, padding=around, knobs=knobs, residual=a, output=True)
    network.conv(b, 9, wide=True, output=True)
    return network


@pytest.fixture(scope="module")
def programs(cases):
    @cache
    def make(name):
        network = network_of(cases, **NETWORKS[name])
        return network, network.program()

    return make


@dataclass
class Access:
    """What an instruction touches: memory -> bit mask of its entries (of DRAM: bytes)."""

    engine: str
    reads: dict[str, int]
    writes: dict[str, int]

    def conflicts(self, other: Access) -> bool:
        pairs = ((self.reads, other.writes), (self.writes, other.reads), (self.writes, other.writes))
        return any(a.get(memory, 0) & mask for a, b in pairs for memory, mask in b.items())


def span(first: int, count: int) -> int:
    return ((1 << count) - 1) << first


def indexed(device, insn: Insn, pad: str, count: int) -> int:
    """Entries that micro-ops of `insn` use, `count` neighbours each."""
    f = insn.fields
    grid = np.meshgrid(*(np.arange(f[n]) for n in ("iter_out", "iter_in", "uop_count")), indexing="ij")
    base = device.pads["uop"][f["uop_begin"] + grid[2], ("acc", "inp", "wgt").index(pad)]
    first = base + grid[0] * f[f"{pad}_out"] + grid[1] * f[f"{pad}_in"]
    return sum(1 << index for index in np.unique(first[..., None] + np.arange(count)).tolist())


def access_of(machine, device, number: int, insn: Insn) -> Access:
    """`device` executes the LOADs of micro-ops, so that instructions are read with those of program order."""
    f, reads, writes = insn.fields, {}, {}
    if insn.name in ("LOAD", "STORE"):
        load = insn.name == "LOAD"
        memory = (LOAD_MEMORIES if load else STORE_MEMORIES)[f["mem"]]
        size, dram = device.hw.record_bytes[memory], 0
        for y in range(f["y_size"]):
            for x in range(f["x_size"]):
                first = f["dram_base"] + (y * f["y_stride"] + x * f["x_stride"]) * size
                dram |= span(first, f["z_size"] * size)
        top, bottom, left, right = (
            f.get(name, 0) for name in ("y_pad_top", "y_pad_bottom", "x_pad_left", "x_pad_right")
        )
        count = (f["y_size"] + top + bottom) * (f["x_size"] + left + right) * f["z_size"]
        on_chip, outside = (writes, reads) if load else (reads, writes)
        on_chip[memory], outside["dram"] = span(f["sram_base"], count), dram
        if memory == "uop":
            device.execute(number, insn)
    elif insn.name == "GEMM":
        used = {pad: indexed(device, insn, pad, 1) for pad in ("acc", "inp", "wgt")}
        writes["acc"] = used["acc"]
        reads = {"uop": span(f["uop_begin"], f["uop_count"]), **({} if f["reset"] else used)}
    elif insn.name == "VEC":
        size, lanes = device.hw.vector_size, device.hw.output_lanes
        reads = {"uop": span(f["uop_begin"], f["uop_count"])}
        writes["acc"] = indexed(device, insn, "acc", max(1, size // lanes))
        if f["op"] != 0:  # no move
            reads["acc"] = writes["acc"]
        if f["src"] == 0:  # no immediate
            reads["inp"] = indexed(device, insn, "inp", max(1, lanes // size))
    elif insn.name == "PPU":
        count = f["pixels"] * f["blocks"]
        vectors = count * device.hw.output_lanes // device.hw.vector_size
        reads = {"acc": span(f["acc_base"], count), "par": span(f["par_base"], f["blocks"])}
        if f["residual"]:
            reads["inp"] = span(f["res_base"], vectors)
        writes = {"acc": reads["acc"]} if f["wide"] else {"out": span(f["out_base"], vectors)}
    return Access(machine.ENGINE[insn.name], reads, writes)


def must_be_ordered(machine, device) -> list[tuple[int, int]]:
    """Pairs of instructions of different engines that touch the same, and FINISH with all transfers."""
    found = [access_of(machine, device, number, insn) for number, insn in enumerate(device.insns)]
    return [
        (i, j)
        for j, late in enumerate(found)
        for i, early in enumerate(found[:j])
        if early.engine != late.engine and (j == len(found) - 1 or early.conflicts(late))
    ]


def edges_of(machine, insns: list[Insn]) -> list[tuple[int, int, str, str]]:
    """(producer, consumer, push bit, pop bit): the k-th push of a queue goes to its k-th pop."""
    ends: dict[str, dict] = {"push": defaultdict(list), "pop": defaultdict(list)}
    for index, insn in enumerate(insns):
        engine = machine.ENGINE[insn.name]
        for bit in insn.tokens:
            kind, other = bit.split("_")
            ends[kind][(engine, other) if kind == "push" else (other, engine)].append((index, bit))
    assert set(ends["push"]) == set(ends["pop"])
    return [
        (producer, consumer, push, pop)
        for queue, pushes in ends["push"].items()
        for (producer, push), (consumer, pop) in zip(pushes, ends["pop"][queue], strict=True)
    ]


def unordered(machine, insns: list[Insn], pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs that no chain of tokens and engine order connects, whatever the timing."""
    incoming = defaultdict(list)
    for producer, consumer, *_ in edges_of(machine, insns):
        assert producer < consumer
        incoming[consumer].append(producer)
    before: list[int] = []
    previous: dict[str, int] = {}
    for index, insn in enumerate(insns):
        engine, mask = machine.ENGINE[insn.name], 0
        for other in (*incoming[index], *(previous[e] for e in (engine,) if e in previous)):
            mask |= before[other] | 1 << other
        before.append(mask)
        previous[engine] = index
    return [(i, j) for i, j in pairs if not before[j] >> i & 1]


def without(insns: list[Insn], *bits: tuple[int, str]) -> list[Insn]:
    changed = list(insns)
    for index, bit in bits:
        changed[index] = replace(changed[index], tokens=changed[index].tokens - {bit})
    return changed


def moved(machine, insns: list[Insn], index: int, bit: str, step: int) -> list[Insn] | None:
    """With a token bit on the next or previous instruction of the same engine, if it is free there."""
    engine = machine.ENGINE[insns[index].name]
    own = [i for i, insn in enumerate(insns) if machine.ENGINE[insn.name] == engine]
    place = own.index(index) + step
    if not 0 <= place < len(own) or bit in insns[own[place]].tokens:
        return None
    changed = without(insns, (index, bit))
    target = changed[own[place]]
    changed[own[place]] = replace(target, tokens=target.tokens | {bit})
    return changed


def refusal(network, program, insns: list[Insn]) -> str | None:
    """What the simulator says against the program with these instructions, or None."""
    changed = replace(program, instructions=encode_all(insns, network.hw)).to_native()
    arrays = [network.values[name] for name in network.inputs]
    arrays += [np.zeros_like(network.values[name]) for name in network.outputs]
    try:
        module = native.create_module(network.hw.sim_params(), [changed], "{}")
        module[program.name](*map(tvm.runtime.tensor, arrays))
    except (ProgramError, ValueError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", first_of(NETWORKS, 3))
def test_every_interleaving_gives_the_numbers_of_program_order(cases, machine, programs, name):
    network, program = programs(name)
    cases.check(machine, network, program, machine.run_in_order)
    for seed in range(8):
        cases.check(machine, network, program, lambda device, s=seed: machine.run_interleaved(device, s))


@pytest.mark.parametrize("name", one_of(NETWORKS))
def test_all_that_conflicts_is_ordered_and_the_simulator_notices_what_is_not(machine, programs, name):
    """Both judge each edge alike; and almost every edge is needed, so tokens are not added to be safe."""
    network, program = programs(name)
    device = machine.Machine(program, network.hw)
    insns, pairs = device.insns, must_be_ordered(machine, device)
    assert not unordered(machine, insns, pairs)
    assert refusal(network, program, insns) is None
    edges, needed = edges_of(machine, insns), 0
    for producer, consumer, push, pop in edges:
        changed = without(insns, (producer, push), (consumer, pop))
        races, message = unordered(machine, changed, pairs), refusal(network, program, changed)
        assert (message is not None) == bool(races), (producer, consumer, races[:3], message)
        assert message is None or "layer 'layer" in message
        needed += bool(races)
    assert needed >= 0.8 * len(edges), (needed, len(edges))


@pytest.mark.parametrize("name", one_of(["double buffered", "queues of one token", "uneven kernel"]))
def test_the_simulator_notices_every_moved_token_that_lets_a_conflict_through(machine, programs, name):
    """Each end of each edge, one instruction earlier and later. Only what no timing can harm may pass."""
    network, program = programs(name)
    device = machine.Machine(program, network.hw)
    insns, pairs = device.insns, must_be_ordered(machine, device)
    harmful = harmless = blocked = 0
    for producer, consumer, push, pop in edges_of(machine, insns):
        for index, bit, step in (
            (producer, push, 1),
            (producer, push, -1),
            (consumer, pop, 1),
            (consumer, pop, -1),
        ):
            changed = moved(machine, insns, index, bit, step)
            if changed is None:
                continue
            message = refusal(network, program, changed)
            if any(later <= earlier for earlier, later, *_ in edges_of(machine, changed)):
                assert message is not None  # a pop before its push
                blocked += 1
            elif unordered(machine, changed, pairs):
                assert message is not None, (index, bit, step)
                harmful += 1
            elif message is not None:
                assert "deadlock" in message, (index, bit, step, message)  # too many tokens for the queue
                blocked += 1
            else:
                harmless += 1
    assert harmful > 0
    assert harmless > 0
    assert blocked > 0


def test_a_push_without_pop_and_a_pop_without_push_are_noticed(machine, programs):
    network, program = programs("single slots")
    insns = machine.Machine(program, network.hw).insns
    for producer, consumer, push, pop in edges_of(machine, insns)[::27]:
        for index, bit, text in ((consumer, pop, "tokens are left"), (producer, push, "deadlock")):
            changed = without(insns, (index, bit))
            with pytest.raises(AssertionError, match=f"{text}|deadlock|instructions are left"):
                machine.run_interleaved(machine.Machine(program, network.hw), 0, changed)
            assert refusal(network, program, changed) is not None
