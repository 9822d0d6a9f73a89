"""Blocks of results, and the records of their vectors, by Python's integers."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from wires import number, packed, rounded, setting, split, tick

Record = list[tuple[list[int], int]]  # elements and scale of each vector


def post_processed(acc: int, par: tuple[int, ...], relu: bool, residual: int) -> int:
    mult, shift, bias, clip = par
    mult, shift = (-mult if shift & 128 else mult), shift & 127
    y = rounded(acc * mult, shift) + bias + residual
    y = min(max(y, -(1 << 31)), (1 << 31) - 1)
    return min(max(y, 0) if relu else y, clip)


def quantized(y: list[int], n: int, m: int, guard: int, is_unsigned: bool) -> tuple[list[int], int]:
    """Elements of a vector and its scale: the smallest that holds the largest magnitude."""
    qmax = (1 << (n if is_unsigned else n - 1)) - 1
    peak = max(abs(value) for value in y)
    scale = min(max(-(-peak // (qmax << guard)), 1), (1 << m) - 1) if m else 1
    step = scale << guard
    lowest = 0 if is_unsigned else -qmax
    return [min(max((2 * value + step) // (2 * step), lowest), qmax) for value in y], scale


@cocotb.test()
async def records_are_those_of_integers(dut: Any) -> None:
    block, rng = setting(), random.Random(0)
    lanes, size, n, m = (block[name] for name in ("LANES", "V", "DIGIT", "M"))
    vectors, blocks = max(1, lanes // size), max(1, size // lanes)
    y_late, late = 3 + block["MULTIPLY_CYCLES"] - 1, block["latency"] - 1
    rows: list[dict[str, int]] = []
    results: list[list[int]] = []
    records: list[list[Record]] = []  # one for each digit
    while len(rows) < block["count"]:
        is_unsigned, second = rng.choice(((False, False), (True, False), (False, True)))
        width, scale_width = (block["N2"], block["M2"]) if second else (n, m)
        form, digits, said = (width, scale_width), 1, (0, 0)
        if block["ANY_FORM"] and rng.random() < 0.7:
            digits = rng.randint(1, min(block["DIGITS"], -(-block["N"] // width)))
            bits = rng.randint(max(2, (digits - 1) * width + 1), min(block["N"], digits * width))
            form = said = (bits, rng.randint(0, scale_width))
        members = rng.randint(1, blocks)
        for place in range(members):
            relu, residual, res_unsigned = (rng.random() < 0.5 for _ in range(3))
            acc = [number(rng, block["ACC"], False) for _ in range(lanes)]
            par = [
                (
                    number(rng, block["MULT"], True),
                    (rng.randint(0, 62) if rng.random() < 0.2 else rng.randint(8, 44)) | rng.choice((0, 128)),
                    number(rng, 32, False) >> 12,
                    (1 << 31) - 1 if rng.random() < 0.7 else number(rng, 32, False),
                )
                for _ in range(lanes)
            ]
            res_digits = rng.randint(1, block["RES_DIGITS"])
            elements = [number(rng, min(block["N"], res_digits * n), res_unsigned) for _ in range(lanes)]
            places = zip(*(split(element, n, block["RES_DIGITS"]) for element in elements), strict=True)
            scales = [number(rng, m, True) if m else 1 for _ in range(vectors)]
            res_mult, res_shift = number(rng, 16, True), rng.randint(0, 62)
            added = [
                rounded(e * scales[i * vectors // lanes] * res_mult, res_shift) if residual else 0
                for i, e in enumerate(elements)
            ]
            results.append([post_processed(a, p, relu, r) for a, p, r in zip(acc, par, added, strict=True)])
            rows.append(
                {
                    "acc": packed(acc, block["ACC"]),
                    "par": packed([_channel(*values) for values in par], 88),
                    "relu": int(relu),
                    "residual": int(residual),
                    "res_unsigned": int(res_unsigned),
                    "res_elements": packed([digit for place in places for digit in place], n),
                    "res_digits": res_digits - 1,
                    "res_scales": packed(scales, max(1, m)),
                    "res_mult": res_mult,
                    "res_shift": res_shift,
                    "out_unsigned": int(is_unsigned),
                    "second": int(second),
                    "out_bits": said[0],
                    "out_scale_bits": said[1],
                    "digits": digits - 1,
                    "first": int(place == 0),
                    "last": int(place == members - 1),
                }
            )
        whole = _records(results[-members:], vectors, *form, block["G"], is_unsigned)
        records += [[_digit(record, width, place, digits, n) for place in range(digits)] for record in whole]
    for t in range(len(rows) + late):
        await tick(dut, rows[min(t, len(rows) - 1)])
        if y_late <= t < y_late + len(rows):
            assert int(dut.y.value) == packed(results[t - y_late], 32), f"results of block {t - y_late}"
        if t >= late:
            bits = vectors * (lanes // vectors * n + m)
            for place, record in enumerate(records[t - late]):
                found, wanted = int(dut.record.value) >> place * bits & ((1 << bits) - 1), _bits(record, n, m)
                assert found == wanted, f"record {place} of block {t - late}: {found:x}, not {wanted:x}"


def _channel(mult: int, shift: int, bias: int, clip: int) -> int:
    """A channel's parameters side by side."""
    return mult | shift << 16 | packed([bias], 32) << 24 | packed([clip], 32) << 56


def _records(
    results: list[list[int]], vectors: int, n: int, m: int, guard: int, is_unsigned: bool
) -> list[Record]:
    """Of each of these blocks, which are one vector, or several in a block."""
    part = len(results[0]) // vectors
    found: list[Record] = [[] for _ in results]
    for vector in range(vectors):
        pieces = [row[vector * part : (vector + 1) * part] for row in results]
        elements, scale = quantized([y for piece in pieces for y in piece], n, m, guard, is_unsigned)
        for i, record in enumerate(found):
            record.append((elements[i * part : (i + 1) * part], scale))
    return found


def _digit(record: Record, width: int, place: int, digits: int, n: int) -> Record:
    """A digit of its elements, in n bits: the highest with their sign."""
    bits = n if place == digits - 1 else width
    return [([e >> place * width & ((1 << bits) - 1) for e in elements], scale) for elements, scale in record]


def _bits(record: Record, n: int, m: int) -> int:
    width = len(record[0][0]) * n + m
    words = [packed(elements, n) | (scale << (width - m) if m else 0) for elements, scale in record]
    return packed(words, width)
