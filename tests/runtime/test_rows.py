"""REDUCE, VEC on accumulators, and accumulators that LOAD brings, beside NumPy, in random programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm_ffi
from tests.accelerators import random_formats
from tests.runtime.conftest import Program, hardware, insn, load, pack_params, second_reading, store

from tvm_vsq import isa
from tvm_vsq.errors import ProgramError
from tvm_vsq.hardware import HardwareConfig

Integers = npt.NDArray[Any]  # of Python's, of any size

ENTRIES, TABLES = 40, 2  # accumulator entries of a program, and tables in par
DEPTHS = {"uop": 64, "inp": 64, "wgt": 16, "acc": 64, "par": 80, "out": 16}
LOWEST, HIGHEST = -(2**31), 2**31 - 1


def code(field: str, name: str, of: str) -> int:
    return isa.code_of(of, field, name)


def machine(rng: np.random.Generator) -> HardwareConfig:
    """Of any formats, with accumulators of any width."""
    bits = int(rng.choice([16, 24, 32, 33, 46]))
    return hardware(**random_formats(rng, DEPTHS)).model_copy(update={"accumulator_bits": bits})


def exact(values: Any) -> Integers:
    return np.asarray(values).astype(object)


def rhu(n: Integers, shift: int | Integers) -> Integers:
    """Rounding half up, docs/numerics.md: floor(n / 2^shift + 1/2)."""
    unit = 2 ** exact(shift)
    return (2 * n + unit) // (2 * unit)


def saturated(hw: HardwareConfig, n: Any) -> Any:
    limit = 2**31
    return np.clip(n, -limit, limit - 1)


def segment(table: Integers, place: Integers) -> Integers:
    """table: [128, 2] values and slopes; place: of 0 .. 2^16 - 1."""
    i, inside = (place // 512).astype(int), place % 512
    return table[i, 0] + rhu(table[i, 1] * inside, 9)


@dataclass
class State:
    """Accumulators [entries, BO] and tables, and what instructions make of them."""

    hw: HardwareConfig
    acc: Integers
    tables: Integers
    uops: list[tuple[int, int, int]]

    def table(self, base: int) -> Integers:
        return self.tables[base // -(-128 // self.hw.output_lanes)]

    def reduce(self, f: dict[str, int]) -> None:
        for o in range(f["iter_out"]):
            for result, first, _ in self.uops[f["uop_begin"] : f["uop_begin"] + f["uop_count"]]:
                rows = [self.acc[first + o * f["inp_out"] + i * f["inp_in"]] for i in range(f["iter_in"])]
                lanes = np.concatenate([*rows[:-1], rows[-1][: f["last_lanes"]]])
                at = result + o * f["acc_out"]
                blocks = max(1, self.hw.vector_size // self.hw.output_lanes)
                self.acc[at : at + blocks] = self.result(f, lanes)

    def result(self, f: dict[str, int], lanes: Integers) -> int:
        op, to = isa.INSTRUCTIONS[REDUCE].fields[0].names[f["op"]], f["to"]
        if op == "max":
            total = max(lanes)
        elif op == "sum":
            total = sum(np.clip(lanes, LOWEST, HIGHEST))
        else:
            total = sum(np.clip(rhu(lanes, f["shift"]), -(2**17), 2**17 - 1) ** 2)
        if to == 0:
            return int(saturated(self.hw, total + f["imm"]))
        if to == 1:
            return int(saturated(self.hw, rhu(exact(total * f["mult"]), f["exponent"])))
        x = max(int(total) + f["imm"], 1)
        e = x.bit_length() - 17
        n = x >> e if e >= 0 else x << -e
        assert 2**16 <= n < 2**17
        t, k = n - 2**16, f["exponent"] + e
        if to == 3:
            t, k = t // 2 + (2**15 if e % 2 else 0), f["exponent"] + e // 2
        m = int(np.clip(segment(self.table(f["tab_base"]), exact([t]))[0], 0, 65535))
        return m + 65536 * min(max(k, 0), 62)

    def vec(self, f: dict[str, int]) -> None:
        blocks = max(1, self.hw.vector_size // self.hw.output_lanes) - f["skip_blocks"]
        for o in range(f["iter_out"]):
            for i in range(f["iter_in"]):
                for acc, source, _ in self.uops[f["uop_begin"] : f["uop_begin"] + f["uop_count"]]:
                    at = acc + o * f["acc_out"] + i * f["acc_in"]
                    of = source + o * f["inp_out"] + i * f["inp_in"]
                    lane = self.acc[at : at + blocks].copy()
                    is_acc = f["src"] == code("src", "acc", "VEC")
                    s = self.acc[of : of + blocks].copy() if is_acc else np.full_like(lane, f["imm"])
                    self.acc[at : at + blocks] = self.vector(f, is_acc, lane, s)

    def vector(self, f: dict[str, int], is_acc: bool, lane: Integers, s: Integers) -> Integers:
        name = isa.INSTRUCTIONS[VEC].fields[0].names[f["op"]]
        if name == "table":
            place = np.clip(rhu(lane - s, f["shift"]), -(2**15), 2**15 - 1) + 2**15
            return segment(self.table(f["tab_base"]), place)
        if name == "scale":
            return saturated(self.hw, rhu(lane * (s % 65536), s // 65536 % 64))  # type: ignore[no-any-return]
        made = {"mov": s, "max": np.maximum(lane, s), "min": np.minimum(lane, s), "sub": lane - s}
        return saturated(self.hw, made.get(name, lane + s)) if name in ("sub", "add") else made[name]  # type: ignore[no-any-return]


NAMES = [instruction.name for instruction in isa.INSTRUCTIONS]
REDUCE, VEC = NAMES.index("REDUCE"), NAMES.index("VEC")


def random_instruction(rng: np.random.Generator, hw: HardwareConfig) -> isa.Insn:
    """Of micro-ops below 8, in steps of at most 2, so that it stays below ENTRIES."""

    def draw(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    table = -(-128 // hw.output_lanes)
    uops = draw(1, 3)
    common = {
        "uop_begin": draw(0, 16 - uops),
        "uop_count": uops,
        "iter_out": draw(1, 3),
        "iter_in": draw(1, 4),
        "acc_out": draw(0, 2),
        "inp_out": draw(0, 2),
        "inp_in": draw(0, 2),
        "tab_base": table * draw(0, TABLES - 1),
        "shift": draw(0, 62) if draw(0, 3) == 0 else draw(0, 16),
        "imm": int(rng.choice([0, 1, -1, LOWEST, HIGHEST, draw(-5000, 5000)])),
    }
    if rng.integers(2):
        fields = {
            "op": draw(0, 2),
            "to": draw(0, 3),
            "exponent": draw(0, 62),
            "mult": draw(0, 65535),
            "last_lanes": draw(1, hw.output_lanes),
        }
        return insn("REDUCE", "", **common, **fields)
    # What a table gives may overflow narrow accumulators, and immediates of the others may be refused there.
    names = ["mov", "max", "add", "min", "sub", "scale", *["table"] * (hw.accumulator_bits >= 32)]
    name = str(rng.choice(names))
    is_imm = name in ("sub", "scale", "table") and bool(rng.integers(2))
    fields = {
        "op": code("op", name, "VEC"),
        "src": code("src", "imm" if is_imm else "acc", "VEC"),
        "acc_in": draw(0, 2),
        "skip_blocks": draw(0, max(1, hw.vector_size // hw.output_lanes) - 1),
    }
    if name == "scale":
        common["imm"] = draw(0, 65535) + 65536 * draw(0, 62)
    return insn("VEC", "", **common, **fields)


def random_accumulators(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    most = int(rng.integers(1, 33))
    values = rng.integers(LOWEST, HIGHEST + 1, shape) >> (32 - most)
    values[rng.random(shape) < 0.02] = LOWEST
    return values.astype(np.int32)


@dataclass(frozen=True)
class Run:
    """A program that brings a wide input to acc and, behind these instructions, acc to a wide output."""

    hw: HardwareConfig
    insns: list[isa.Insn]
    uops: list[tuple[int, int, int]]
    table: Integers  # [tables, 128, 2]

    def program(self) -> Program:
        hw, record = self.hw, self.hw.record_bytes["acc"]
        lanes, entries = hw.output_lanes, TABLES * -(-128 // hw.output_lanes)
        par = np.zeros((TABLES, entries // TABLES * lanes, 4), np.int32)
        par[:, :128, 2:] = self.table
        image = isa.encode_uops(self.uops, hw).ljust(256, b"\0") + pack_params(par.reshape(-1, 4))
        source = -(-len(image) // 64) * 64
        result = source + ENTRIES * record
        insns = [
            load("uop", 0, 0, len(self.uops)),
            load("par", 0, 256, entries),
            load("acc", 0, source, ENTRIES, "push_vector"),
            *self.insns[:-1],
            store("acc", 0, result, ENTRIES, "pop_vector"),
            insn("FINISH"),
        ]
        insns[3] = isa.Insn(insns[3].name, insns[3].fields, insns[3].tokens | {"pop_load"})
        last = self.insns[-1]
        insns.insert(-2, isa.Insn(last.name, last.fields, last.tokens | {"push_store"}))
        arguments = [[1, at, ENTRIES, lanes, 1] for at in (source, result)]
        return Program(hw, insns, image, result + ENTRIES * record, arguments[:1], arguments[1:])

    def __call__(self, acc: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        result = np.full_like(acc, -7)
        self.program().module()["main"](*map(tvm_ffi.from_dlpack, (acc, result)))
        return result


def random_run(rng: np.random.Generator, count: int) -> Run:
    hw = machine(rng)
    uops = [(int(a), int(b), 0) for a, b in rng.integers(0, 8, (16, 2))]
    table = rng.integers(-(2**16), 2**16, (TABLES, 128, 2)).astype(object)
    table[rng.random(table.shape) < 0.05] = 2**23 - 1
    last = clipped(hw, "min", HIGHEST), clipped(hw, "max", LOWEST)
    return Run(hw, [*(random_instruction(rng, hw) for _ in range(count)), *last], [*uops, (0, 0, 0)], table)


def clipped(hw: HardwareConfig, name: str, imm: int) -> isa.Insn:
    """All entries, so that STORE may take wide accumulators; nothing of narrow ones."""
    blocks = hw.group_blocks
    kind = {"op": code("op", name, "VEC"), "imm": imm}
    if hw.accumulator_bits <= 32:
        kind = {"op": code("op", "sub", "VEC")}
    loops = {"uop_begin": 16, "uop_count": 1, "iter_out": ENTRIES // blocks, "iter_in": 1, "acc_out": blocks}
    return insn("VEC", "", src=code("src", "imm", "VEC"), **kind, **loops)


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_agree_with_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = random_run(rng, 8)
    hw, acc = run.hw, random_accumulators(rng, (ENTRIES, run.hw.output_lanes))
    state = State(hw, exact(acc), run.table, run.uops)
    for step in run.insns:
        fields = {field.name: 0 for field in isa.INSTRUCTIONS[NAMES.index(step.name)].fields} | step.fields
        (state.reduce if step.name == "REDUCE" else state.vec)(fields)
    np.testing.assert_array_equal(exact(run(acc)), state.acc)
    read = second_reading(run.program(), acc).read_output(0, acc.shape)
    np.testing.assert_array_equal(exact(read), state.acc)


@pytest.mark.parametrize("bits", [24, 32, 40])
@pytest.mark.parametrize("lanes", [1, 5, 8, 13])
def test_a_wide_input_fills_its_last_entry_with_zeros(bits: int, lanes: int) -> None:
    hw = hardware().model_copy(update={"accumulator_bits": bits})
    entries = -(-lanes // 8)
    x = np.random.default_rng(0).integers(LOWEST, HIGHEST + 1, (2, 3, lanes), np.int64).astype(np.int32)
    whole = np.full((6 * entries, 8), -1, np.int32)
    insns = [
        load("acc", 0, 0, 6 * entries, "push_store"),
        store("acc", 0, 512, 6 * entries, "pop_load"),
        insn("FINISH"),
    ]
    # DRAM may hold something else before.
    program = Program(
        hw, insns, bytes([255] * 512), 1024, [[1, 0, 6, lanes, 1]], [[1, 512, 6 * entries, 8, 1]]
    )
    module = program.module()
    for _ in range(2):
        module["main"](*map(tvm_ffi.from_dlpack, (x, whole)))
        expected = np.pad(x, [(0, 0), (0, 0), (0, 8 * entries - lanes)])
        np.testing.assert_array_equal(whole.reshape(2, 3, -1), expected)


def test_the_border_of_accumulators_is_zero() -> None:
    hw = hardware()
    x, y = np.arange(1, 17, dtype=np.int32).reshape(2, 8), np.full((5, 8), -1, np.int32)
    insns = [
        load("acc", 0, 0, 1, "push_store", x_size=2, x_stride=1, x_pad_left=1, x_pad_right=2),
        store("acc", 0, 512, 5, "pop_load"),
        insn("FINISH"),
    ]
    program = Program(hw, insns, b"", 1024, [[1, 0, 2, 8, 1]], [[1, 512, 5, 8, 1]])
    program.module()["main"](*map(tvm_ffi.from_dlpack, (x, y)))
    np.testing.assert_array_equal(y, np.pad(x, [(1, 2), (0, 0)]))


def test_what_a_load_brings_may_be_any_int32_to_what_follows() -> None:
    hw = hardware(accumulator_bits=24)
    x, y = np.full((1, 8), 2**23 - 1, np.int32), np.zeros((1, 8), np.int32)
    fields = {"op": code("op", "add", "VEC"), "src": code("src", "imm", "VEC"), "imm": 1}
    add = insn("VEC", "pop_load push_store", uop_count=1, iter_out=1, iter_in=1, **fields)
    insns = [load("uop", 0, 0, 1), load("acc", 0, 64, 1, "push_vector"), add]
    insns += [store("acc", 0, 512, 1, "pop_vector"), insn("FINISH")]
    module = Program(hw, insns, bytes(8), 1024, [[1, 64, 1, 8, 1]], [[1, 512, 1, 8, 1]]).module()
    with pytest.raises(ValueError, match="accumulator overflow: micro-op 0"):
        module["main"](*map(tvm_ffi.from_dlpack, (x, y)))
    x -= 1
    module["main"](*map(tvm_ffi.from_dlpack, (x, y)))
    assert (y == 2**23 - 1).all()


def test_races_of_rows_and_rows_that_are_not_there_are_found() -> None:
    hw = hardware()

    def build(entries: int, acc_push: str, pops: str, **fields: int) -> None:
        row = {"uop_count": 1, "iter_out": 1, "iter_in": 2, "last_lanes": 8, "inp_in": 1, **fields}
        insns = [
            load("uop", 0, 0, 1, "push_vector"),
            load("acc", 0, 64, entries, acc_push),
            insn("REDUCE", f"{pops} push_store", **row),
            store("acc", 2, 512, 1, "pop_vector"),
            insn("FINISH", "" if acc_push == "push_vector" else "pop_load"),
        ]
        Program(hw, insns, isa.encode_uops([(2, 0, 0)], hw), 1024).module()

    with pytest.raises(ProgramError, match="race: reads entry 0 of scratchpad acc, but no token orders it"):
        build(2, "push_store", "pop_load")
    with pytest.raises(ProgramError, match=r"micro-op 0: acc index 2 reaches \d+ in the last iteration"):
        build(2, "push_store", "pop_load", iter_out=9, acc_out=255)
    with pytest.raises(ProgramError, match=r"micro-op 0: acc index 0 reaches \d+ in the last iteration"):
        build(2, "push_store", "pop_load", iter_out=9, inp_out=127)


def test_rows_that_nothing_has_written_are_refused() -> None:
    hw = hardware()
    row = {"uop_count": 1, "iter_out": 1, "iter_in": 3, "last_lanes": 8, "inp_in": 1}
    insns = [
        load("uop", 0, 0, 1),
        load("acc", 0, 64, 2, "push_vector"),
        insn("REDUCE", "pop_load push_store", **row),
        insn("FINISH", "pop_vector"),
    ]
    with pytest.raises(ProgramError, match=r"\(REDUCE\): reads entry 2 of scratchpad acc, which nothing has"):
        Program(hw, insns, isa.encode_uops([(5, 0, 0)], hw), 1024).module()


def test_wide_inputs_are_no_constants() -> None:
    hw = hardware()

    def build(rows: int) -> None:
        insns = [load("uop", 0, 64 + 2 * 32, 1, "push_store"), insn("FINISH", "pop_load")]
        Program(hw, insns, b"", 1024, [[1, 64, rows, 7, 1]]).module()

    build(2)
    with pytest.raises(ProgramError, match="micro-ops must be constants, but an input writes DRAM byte 128"):
        build(3)
