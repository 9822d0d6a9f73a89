"""Rows of accumulators and what becomes of them, by Python's integers."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from wires import number, packed, rounded, setting, tick

MAX, SUM, SQUARES = range(3)
VALUE, SCALED, RECIPROCAL, RSQRT = range(4)


def saturated(value: int, bits: int) -> int:
    return min(max(value, -(1 << bits >> 1)), (1 << bits >> 1) - 1)


def reduced(op: int, lanes: list[int], shift: int) -> int:
    if op == MAX:
        return max(lanes)
    if op == SUM:
        return sum(saturated(lane, 32) for lane in lanes)
    return sum(saturated(rounded(lane, shift), 18) ** 2 for lane in lanes)


def place(to: int, total: int) -> tuple[int, int]:
    """Where 1 / total or its root is looked up, and the power of two that is left."""
    power = total.bit_length() - 17
    n = total >> power if power >= 0 else total << -power
    if to == RECIPROCAL:
        return n - (1 << 16), power
    return ((n - (1 << 16)) >> 1) + (1 << 15) * (power & 1), power >> 1


@cocotb.test()
async def results_of_rows_are_those_of_integers(dut: Any) -> None:
    block, rng = setting(), random.Random(0)
    lanes, bits, late = block["LANES"], block["ACC"], block["latency"]
    begin = late - 6  # when a row's total is there
    table = [(number(rng, 17, True), number(rng, 14, False)) for _ in range(128)]
    entries: list[dict[str, int]] = []
    finishing: list[dict[str, int]] = []
    results: list[int] = []
    while len(entries) < block["count"]:
        op, to, shift = rng.randrange(3), rng.randrange(4), rng.choice((0, rng.randrange(63)))
        exponent, mult, imm = (
            rng.randrange(63),
            number(rng, 16, True),
            rng.choice((0, number(rng, 32, False))),
        )
        length, row = rng.randint(1, 4), []
        for i in range(length):
            there = rng.randint(1, lanes)
            acc = [number(rng, bits, False) for _ in range(lanes)]
            last = i == length - 1
            row += acc[:there] if last else acc
            entries.append(
                {
                    "acc": packed(acc, bits),
                    "op": op,
                    "shift": shift,
                    "first": int(i == 0),
                    "last": int(last),
                    "last_lanes": there,
                }
            )
            finishing.append({"to": to, "exponent": exponent, "mult": mult, "imm": packed([imm], 32)})
        total = reduced(op, row, shift)
        results += [-1] * (length - 1)
        if to == VALUE:
            results.append(packed([saturated(total + imm, 32)], 32))
        elif to == SCALED:
            results.append(packed([saturated(rounded(total * mult, exponent), 32)], 32))
        else:
            at, power = place(to, max(total + imm, 1))
            value, slope = table[at // 512]
            m = min(max(value + rounded(slope * (at % 512), 9), 0), (1 << 16) - 1)
            results.append(m | min(max(exponent + power, 0), 62) << 16)
    idle = entries[-1]
    asked = par = 0
    for t in range(len(entries) + late):
        pins = entries[t] if t < len(entries) else idle
        await tick(dut, {**pins, **finishing[min(max(0, t - begin), len(entries) - 1)], "par": par})
        # What is asked for now is read at the next edge, and stands there in the clock behind it.
        par, asked = asked, entry_of(table, dut.entry.value, lanes)
        done = t - late + 1
        if 0 <= done < len(results) and results[done] >= 0:
            found = int(dut.result.value)
            assert found == results[done], f"entry {done}: {found:x}, not {results[done]:x}"


def entry_of(table: list[tuple[int, int]], entry: Any, lanes: int) -> int:
    """A parameter entry of the table: value as bias, slope as clip, in each lane."""
    if not entry.is_resolvable:
        return 0
    segments = table[int(entry) * lanes : (int(entry) + 1) * lanes]
    return packed([packed([v], 32) << 24 | packed([s], 32) << 56 for v, s in segments], 88)
