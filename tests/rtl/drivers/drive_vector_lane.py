"""Every operation of the vector unit on a lane, by Python's integers."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from wires import number, packed, rounded, setting, tick

MOV, MAX, ADD, MAC, MIN, MUL, TABLE = range(7)


def looked_up(acc: int, table: list[tuple[int, int]]) -> int:
    """table: value and slope of 128 segments."""
    place = min(max(acc, -(1 << 15)), (1 << 15) - 1) + (1 << 15)
    value, slope = table[place // 512]
    return value + rounded(slope * (place % 512), 9)


def result(op: int, acc: int, value: int, imm: int, shift: int, table: list[tuple[int, int]]) -> int:
    return {
        MOV: lambda: value,
        MAX: lambda: max(acc, value),
        MIN: lambda: min(acc, value),
        ADD: lambda: acc + value,
        MAC: lambda: acc + imm * value,
        MUL: lambda: rounded(acc * value, shift),
        TABLE: lambda: looked_up(acc, table),
    }[op]()


@cocotb.test()
async def operations_are_those_of_integers(dut: Any) -> None:
    block, rng = setting(), random.Random(0)
    bits, scale_bits, late = block["ACC"], block["M"], block["latency"] - 1
    table = [(number(rng, 24, False), number(rng, 24, False)) for _ in range(128)]
    names = (
        "op",
        "src_imm",
        "src_unsigned",
        "acc_in",
        "acc_late",
        "forward",
        "element",
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
        op, shift = rng.randrange(7), rng.randrange(63)
        is_unsigned, takes_imm = rng.random() < 0.5, op not in (MUL, MAC) and rng.random() < 0.5
        acc, imm = number(rng, bits, False), number(rng, min(32, bits), False)
        acc >>= rng.randrange(bits) if op == TABLE else 0
        # mul and table take the accumulator when it is read; the others late, or what the one before left.
        forward = t > 0 and op not in (MUL, TABLE) and rng.random() < 0.5
        own, early = before if forward else acc, acc if op in (MUL, TABLE) else number(rng, bits, False)
        waiting.append((packed([number(rng, bits, False) if forward else acc], bits), int(forward)))
        acc_late, forwarded = waiting[t]
        element = number(rng, block["N"], is_unsigned)
        scale = number(rng, scale_bits, True) if scale_bits else 1
        value = imm if takes_imm else element * scale
        left = packed([result(op, own, value, imm, shift, table)], bits)
        before = left - (left >> (bits - 1) << bits)
        wanted.append((op, left))
        pins = {
            "op": op,
            "src_imm": int(takes_imm),
            "src_unsigned": int(is_unsigned),
            "acc_in": packed([early], bits),
            "acc_late": acc_late,
            "forward": forwarded,
            "element": packed([element], block["N"]),
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
