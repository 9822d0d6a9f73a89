"""Every operation of the vector unit on a lane, by Python's integers."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from wires import number, packed, rounded, setting, split, tick

MOV, MAX, ADD, MAC, MIN, MUL, TABLE, SUB, SCALE = range(9)
EARLY = (MUL, TABLE, SCALE)  # take the accumulator when it is read
INP, IMM, ACC = range(3)
SOURCES = {MAC: (INP,), MUL: (INP,), TABLE: (IMM, ACC), SUB: (IMM, ACC), SCALE: (IMM, ACC)}


def looked_up(acc: int, table: list[tuple[int, int]]) -> int:
    """table: value and slope of 128 segments."""
    place = min(max(acc, -(1 << 15)), (1 << 15) - 1) + (1 << 15)
    value, slope = table[place // 512]
    return value + rounded(slope * (place % 512), 9)


def saturated(number: int) -> int:
    return min(max(number, -(1 << 31)), (1 << 31) - 1)


def result(
    op: int, source: int, acc: int, value: int, imm: int, shift: int, table: list[tuple[int, int]]
) -> int:
    return {
        MOV: lambda: value,
        MAX: lambda: max(acc, value),
        MIN: lambda: min(acc, value),
        ADD: lambda: saturated(acc + value) if source == ACC else acc + value,
        MAC: lambda: acc + imm * value,
        MUL: lambda: rounded(acc * value, shift),
        TABLE: lambda: looked_up(rounded(acc - value, shift), table),
        SUB: lambda: saturated(acc - value),
        SCALE: lambda: saturated(rounded(acc * (value & 0xFFFF), value >> 16 & 63)),
    }[op]()


@cocotb.test()
async def operations_are_those_of_integers(dut: Any) -> None:
    block, rng = setting(), random.Random(0)
    bits, scale_bits, late = block["ACC"], block["M"], block["latency"] - 1
    table = [(number(rng, 24, False), number(rng, 24, False)) for _ in range(128)]
    names = (
        "op",
        "src_imm",
        "src_acc",
        "second",
        "src_unsigned",
        "acc_in",
        "acc_late",
        "forward",
        "element",
        "digits",
        "scale",
        "imm",
        "shift",
    )
    idle = dict.fromkeys(names, 0)
    for segment, (value, slope) in enumerate(table):
        filling = {"fill": 1, "fill_address": segment, "fill_segment": packed([value, slope], 24)}
        await tick(dut, {**idle, **filling})
    wanted, waiting, before = [], [(0, 0)] * late, 0
    for t in range(block["count"] + late):
        op, shift = rng.randrange(9), rng.randrange(63)
        is_unsigned, source = rng.random() < 0.5, rng.choice(SOURCES.get(op, (INP, IMM, ACC)))
        acc, imm = number(rng, bits, False), number(rng, min(32, bits), False)
        second = number(rng, bits, False)
        if op == SCALE:
            imm = second = rng.randrange(63 << 16) & ((1 << (bits - 1)) - 1)
        if op == TABLE and rng.random() < 0.5:
            shift, second, imm = 0, 0, 0
            acc >>= rng.randrange(bits)
        # The others take it late, or what the one before left.
        forward = t > 0 and op not in EARLY and rng.random() < 0.5
        own, early = before if forward else acc, acc if op in EARLY else number(rng, bits, False)
        waiting.append((packed([number(rng, bits, False) if forward else acc], bits), int(forward)))
        acc_late, forwarded = waiting[t]
        digits = rng.randint(1, block["DIGITS"])
        element = number(rng, min(block["N"], digits * block["DIGIT"]), is_unsigned)
        parts = split(element, block["DIGIT"], digits)
        parts += [number(rng, block["DIGIT"], True) for _ in range(block["DIGITS"] - digits)]  # not read
        scale = number(rng, scale_bits, True) if scale_bits else 1
        value = (element * scale, imm, second)[source]
        left = packed([result(op, source, own, value, imm, shift, table)], bits)
        before = left - (left >> (bits - 1) << bits)
        wanted.append((op, left))
        pins = {
            "op": op,
            "src_imm": int(source == IMM),
            "src_acc": int(source == ACC),
            "second": packed([second], bits),
            "src_unsigned": int(is_unsigned),
            "acc_in": packed([early], bits),
            "acc_late": acc_late,
            "forward": forwarded,
            "element": packed(parts, block["DIGIT"]),
            "digits": digits - 1,
            "scale": scale,
            "imm": packed([imm], 32),
            "shift": shift,
            "fill": 0,
        }
        await tick(dut, pins)
        if t >= late:
            kind, number_wanted = wanted[t - late]
            found = int(dut.acc.value)
            assert found == number_wanted, (
                f"transaction {t - late}, op {kind}: {found:x}, not {number_wanted:x}"
            )
