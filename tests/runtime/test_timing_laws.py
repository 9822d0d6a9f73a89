"""What holds for the timing of any program: a second model agrees, nothing is lost, every constant counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runtime.conftest import Conv, Program, hardware, insn, load, store
from tests.runtime.cycle_model import ORDER, WORD_BYTES, Model, engine_of, pieces, pops, pushes

from tvm_vsq import isa
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.runtime import native

PADS = ("uop", "inp", "wgt", "acc", "par", "out")
BITS = {
    engine: tuple(f"{verb}_{other}" for verb in ("pop", "push") for other in ORDER if other != engine)
    for engine in ORDER
}


@st.composite
def machines(draw: st.DrawFn) -> HardwareConfig:
    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    return hardware(
        output_lanes=draw(st.sampled_from([4, 8, 32])),
        scratchpads={"banks": {pad: draw(st.sampled_from([1, 2, 4])) for pad in PADS}},
        dram={
            "bytes_per_cycle": number(1, 40),
            "burst_bytes": draw(st.sampled_from([8, 24, 32, 64])),
            "latency_cycles": number(0, 60),
            "row_bytes": draw(st.sampled_from([64, 100, 256])),
            "row_miss_cycles": number(0, 9),
        },
        timing={
            "fetch_cycles": number(1, 4),
            "fetch_buffer_bursts": number(1, 4),
            "dma_setup_cycles": number(0, 9),
            "gemm_pipeline_cycles": number(0, 9),
            "vector_pipeline_cycles": number(0, 9),
            "row_pipeline_cycles": number(0, 9),
            "ppu_pipeline_cycles": number(0, 9),
            "command_queue_depth": number(1, 4),
            "token_queue_depth": number(1, 3),
        },
    )


def draw_insn(draw: st.DrawFn, name: str, tokens: set[str]) -> isa.Insn:
    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    bits = " ".join(sorted(tokens))
    if name in ("LOAD", "STORE"):
        sizes = {
            "x_size": number(1, 3),
            "x_stride": number(1, 40),
            "y_size": number(1, 3),
            "y_stride": number(1, 99),
        }
        if name == "STORE":
            return store("out", 0, number(0, 2000), number(1, 6), bits, second=number(0, 1), **sizes)
        border = {"y_pad_top": number(0, 1), "x_pad_left": number(0, 2)}
        if number(0, 2) == 0:
            lanes = {"gather": 1, "lanes": number(1, 4), "lane_stride": number(0, 40)}
            return load("wgt", 0, number(0, 2000), number(1, 6), bits, **sizes, **border, **lanes)
        return load("inp", 0, number(0, 2000), number(1, 6), bits, **sizes, **border)
    if name in ("GEMM", "VEC"):
        loops = {"uop_count": number(1, 5), "iter_out": number(1, 3), "iter_in": number(1, 3)}
        kind = {}
        if name == "VEC":
            op = draw(st.sampled_from(["mov", "max", "add", "mac", "min", "mul", "sub", "scale"]))
            sources = {"mac": ["inp"], "mul": ["inp", "imm"], "sub": ["imm", "acc"], "scale": ["imm", "acc"]}
            src = draw(st.sampled_from(sources.get(op, ["inp", "imm", "acc"])))
            kind = {"op": isa.code_of(name, "op", op), "src": isa.code_of(name, "src", src)}
        return insn(name, bits, **loops, **kind)
    if name == "REDUCE":
        loops = {"uop_count": number(1, 5), "iter_out": number(1, 3), "iter_in": number(1, 9)}
        return insn(name, bits, **loops, op=number(0, 2), to=number(0, 1), last_lanes=number(1, 4))
    if name == "PPU":
        kind = draw(st.sampled_from([{}, {"wide": 1}, {"transpose": 1}, {"transpose": 1, "second": 1}]))
        return insn(name, bits, pixels=number(1, 9), blocks=1, **kind)
    return insn(name, bits)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Programs that can run in program order, hence never block: a token is popped only if one is there."""
    hw = draw(machines())
    open_tokens: dict[tuple[str, str], int] = {}
    insns: list[isa.Insn] = []

    def append(name: str, wanted: set[str]) -> None:
        kept = set()
        for bit in sorted(wanted):  # pops first
            outgoing = bit.startswith("push")
            (queue,) = (pushes if outgoing else pops)(isa.Insn(name, tokens=frozenset({bit})))
            count = open_tokens.get(queue, 0)
            if (count < hw.timing.token_queue_depth) if outgoing else (count > 0):
                open_tokens[queue] = count + (1 if outgoing else -1)
                kept.add(bit)
        insns.append(draw_insn(draw, name, kept))

    for _ in range(draw(st.integers(1, 14))):
        name = draw(st.sampled_from(["LOAD", "STORE", "GEMM", "VEC", "REDUCE", "PPU", "SYNC"]))
        append(name, draw(st.sets(st.sampled_from(BITS[engine_of(isa.Insn(name))]))))
    while any(open_tokens.values()):
        for name in ("LOAD", "STORE", "SYNC", "VEC", "PPU"):
            append(name, {bit for bit in BITS[engine_of(isa.Insn(name))] if bit.startswith("pop")})
    return Program(hw, [*insns, insn("FINISH")])


def total(timing: dict[str, Any], unit: int) -> int:
    busy = sum(row[unit] for row in timing["busy"])
    return int(busy + sum(row[4] for row in native.stall_rows(timing) if row[1] == unit))


@settings(max_examples=40, deadline=None)
@given(programs())
def test_the_cycle_by_cycle_model_agrees(program: Program) -> None:
    timing = program.timing()
    model = Model(program.insns, program.hw).run()
    assert timing["cycles"] == model.cycles
    assert [row[0] for row in timing["units"]] == [model.busy[unit] for unit in ("fetch", *ORDER)]
    for unit in range(1 + len(ORDER)):
        assert total(timing, unit) == timing["cycles"]


def moved_bytes(program: Program, name: str) -> int:
    burst = program.hw.dram.burst_bytes
    runs = [run for insn in program.insns if insn.name == name for run in pieces(insn, program.hw)]
    return burst * sum(last // burst - first // burst + 1 for first, last in runs)


@settings(max_examples=40, deadline=None)
@given(programs())
def test_bytes_are_those_that_the_program_names_and_time_is_at_least_what_they_need(program: Program) -> None:
    timing = program.timing()
    events = dict(zip(EVENTS, timing["events"][0], strict=True))
    assert events["dram_write_bytes"] == moved_bytes(program, "STORE")
    assert events["dram_read_bytes"] == moved_bytes(program, "LOAD") + WORD_BYTES * len(program.insns)
    dram = program.hw.dram
    bursts = (events["dram_read_bytes"] + events["dram_write_bytes"]) // dram.burst_bytes
    assert timing["cycles"] >= bursts * -(-dram.burst_bytes // dram.bytes_per_cycle)
    assert timing["cycles"] >= max(row[0] for row in timing["units"])


def ones() -> Conv:
    hw = hardware(output_lanes=32)
    params = np.tile(np.array([1, 0, 0, 2**31 - 1], np.int32), (32, 1))
    x, w = np.ones((6, 6, 1, 9), np.int16), np.ones((32, 3, 3, 1, 9), np.int16)
    return Conv(hw, x, w, params, padding=(1, 1, 1, 1), residual=np.ones((6, 6, 4, 9), np.int16))


def waits_for_tokens(hw: HardwareConfig) -> Program:
    """SYNCs that run ahead of the STOREs for which they push tokens; the LOADs behind them have to wait."""
    ahead = [insn("SYNC", "push_store")] * 6
    behind = [store("out", 0, 0, 1, "pop_compute")] * 6
    return Program(
        hw,
        [
            *ahead,
            *behind,
            insn("SYNC", "push_load"),
            load("inp", 0, 0, 1, "pop_compute push_store", y_size=60, y_stride=40),
            insn("FINISH", "pop_load"),
        ],
    )


@pytest.mark.parametrize(
    ("group", "field", "values"),
    [
        ("timing", "fetch_cycles", (1, 3)),
        ("timing", "fetch_buffer_bursts", (4, 1)),
        ("timing", "dma_setup_cycles", (8, 20)),
        ("timing", "gemm_pipeline_cycles", (8, 20)),
        ("timing", "vector_pipeline_cycles", (6, 20)),
        ("timing", "row_pipeline_cycles", (16, 30)),
        ("timing", "ppu_pipeline_cycles", (10, 20)),
        ("dram", "bytes_per_cycle", (16, 8)),
        ("dram", "latency_cycles", (100, 150)),
        ("dram", "burst_bytes", (64, 256)),
        ("dram", "row_bytes", (4096, 64)),
        ("dram", "row_miss_cycles", (20, 30)),
    ],
)
def test_every_constant_matters_in_the_direction_that_it_should(
    group: str, field: str, values: tuple[int, int]
) -> None:
    conv = ones().program()

    def cycles(value: int) -> int:
        hw = hardware(output_lanes=32, **{group: {field: value}})
        strided = load("inp", 0, 0, 1, "push_vector", y_size=30, y_stride=40)
        *before, stored, _ = conv.insns
        stored = replace(stored, tokens=stored.tokens | {"push_vector"})
        row = {"uop_count": 1, "iter_out": 1, "iter_in": 1}
        vec = insn("VEC", "pop_load pop_store", **row)
        last = insn("REDUCE", "push_store", **row, last_lanes=1)
        insns = [*before, stored, strided, vec, last, insn("FINISH", "pop_vector")]
        return int(Program(hw, insns, conv.image, conv.dram_bytes).timing()["cycles"])

    fast, slow = values
    assert cycles(fast) < cycles(slow)


@pytest.mark.parametrize("pad", PADS)
def test_fewer_banks_take_longer(pad: str) -> None:
    def cycles(banks: int) -> int:
        # A channel so wide that the ports bound the transfer.
        dram = {"bytes_per_cycle": 1024, "burst_bytes": 1024}
        hw = hardware(scratchpads={"banks": {**dict.fromkeys(PADS, 64), pad: banks}}, dram=dram)
        if pad in isa.LOAD_MEMORIES:
            insns = [load(pad, 0, 0, 40, "push_store"), insn("FINISH", "pop_load")]
        else:
            insns = [store(pad, 0, 0, 40), insn("FINISH")]
        return int(Program(hw, insns).timing()["cycles"])

    assert cycles(64) < cycles(2) < cycles(1)


@pytest.mark.parametrize("field", ["token_queue_depth", "command_queue_depth"])
def test_shorter_queues_take_longer(field: str) -> None:
    roomy = {"token_queue_depth": 8, "command_queue_depth": 16, "fetch_buffer_bursts": 16}
    cycles = [
        waits_for_tokens(hardware(timing={**roomy, field: depth})).timing()["cycles"] for depth in (8, 1)
    ]
    assert cycles[0] < cycles[1]
