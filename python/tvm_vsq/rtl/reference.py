"""What each block has to compute, by the NumPy reference (docs/numerics.md).

Numbers are int64[cycles, lanes] for each port, signed ones with their sign. A result comes with a mask of its
shape: what is not defined is False.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import VectorFormat
from tvm_vsq.formats.rows import FACTOR_BITS, SQUARED_BITS
from tvm_vsq.formats.table import TABLE_SEGMENTS
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.memories import NEGATIVE
from tvm_vsq.isa import code_of
from tvm_vsq.numerics import (
    look_up,
    multiply_scales,
    post_process,
    requantize,
    round_shift,
)
from tvm_vsq.numerics.rows import reciprocal, reciprocal_root, saturated
from tvm_vsq.rtl.blocks import most_digits

Ints = npt.NDArray[np.int64]
Values = Mapping[str, Ints]
Results = dict[str, tuple[Ints, npt.NDArray[np.bool_]]]


def expected(hardware: HardwareConfig, block: str, inputs: Values) -> Results:
    """Outputs of `block` for `inputs`, a row for each transaction."""
    return _REFERENCES[block.split("_")[0] if block.startswith("unpack") else block](hardware, inputs, block)


def _all(values: npt.ArrayLike) -> tuple[Ints, npt.NDArray[np.bool_]]:
    array = np.asarray(values, np.int64)
    array = array[:, None] if array.ndim == 1 else array
    return array, np.ones(array.shape, np.bool_)


def _multiplier(_: HardwareConfig, x: Values, __: str) -> Results:
    return {"product": _all(x["a"] * x["b"])}


def _adder_tree(_: HardwareConfig, x: Values, __: str) -> Results:
    return {"sum": _all(x["terms"].sum(axis=1))}


def _scale_product(hardware: HardwareConfig, x: Values) -> Ints:
    formats = hardware.formats
    if not formats.product_bits:
        return np.ones_like(x["weight_scale"])
    weight = x["weight_scale"] if formats.weight.scale_bits else 1
    activation = x["activation_scale"] if formats.activation.scale_bits else 1
    product = multiply_scales(weight, activation, formats.product_shift, formats.product_bits)
    return np.where(x["unscaled"], 1, product) if hardware.precision_passes > 1 else product


def _scale_unit(hardware: HardwareConfig, x: Values, _: str) -> Results:
    return {"scaled": _all(_scale_product(hardware, x) * x["dot"])}


def _add_up(x: Values, addends: Ints) -> Results:
    """In the order of the transactions, as one may go on with the result of the one before."""
    sums, before = [], 0
    columns = (x["reset"], x["fresh"], x["forward"], x["acc_in"], addends << x["shift"])
    for reset, fresh, forward, acc_in, addend in zip(
        *(column.ravel().tolist() for column in columns), strict=True
    ):
        total = 0 if reset else addend + (0 if fresh else before if forward else acc_in)
        before = _signed(total & ((1 << 62) - 1), 62)  # an accumulator has fewer bits
        sums.append(before)
    return {"acc": _all(np.array(sums))}


def _accumulator(_: HardwareConfig, x: Values, __: str) -> Results:
    return _add_up(x, x["addend"])


def _vector_mac(hardware: HardwareConfig, x: Values, _: str) -> Results:
    dots = (x["weights"] * x["activations"]).sum(axis=1, keepdims=True)
    return _add_up(x, _scale_product(hardware, x) * dots)


def _joined(hardware: HardwareConfig, parts: Ints, digits: Ints, unsigned: Ints) -> Ints:
    """[cycles, lanes]: elements of activations from parts [cycles, place, lanes], `digits` + 1 of them."""
    bits = hardware.activation_bits
    joined, sign = np.zeros_like(parts[:, 0]), 1 << ((digits + 1) * bits - 1)
    for place in range(parts.shape[1]):
        joined += np.where(place <= digits, (parts[:, place] & ((1 << bits) - 1)) << (place * bits), 0)
    return np.where(unsigned, joined, (joined ^ sign) - sign)


def _vectors(elements: Ints, scales: Ints, size: int) -> npt.NDArray[np.int16]:
    """[cycles, lanes] and [cycles, vectors] to int16[cycles, vectors, V+1]; lanes left over are 0."""
    cycles, vectors = scales.shape
    parts = np.zeros((cycles, vectors, size + 1), np.int16)
    parts[..., : elements.shape[1] // vectors] = elements.reshape(cycles, vectors, -1)
    parts[..., -1] = scales
    return parts


def _results(hardware: HardwareConfig, x: Values, elements: str, scales: str) -> Ints:
    """y int64[cycles, lanes]; each transaction alone, as a residual's factor is its own."""
    scale = x[scales] if hardware.formats.activation.scale_bits else np.ones_like(x[scales])
    cycles, lanes = x["acc"].shape
    joined = _joined(hardware, x[elements].reshape(cycles, -1, lanes), x["res_digits"], x["res_unsigned"])
    residuals = _vectors(joined, scale, hardware.vector_size)
    params = x["par"].reshape(cycles, lanes, 4).copy()
    params[..., 0] *= np.where(params[..., 1] & NEGATIVE, -1, 1)
    params[..., 1] &= NEGATIVE - 1
    rows = [
        post_process(
            x["acc"][t],
            params[t].astype(np.int32),
            bool(x["relu"][t, 0]),
            _as_channels(residuals[t], lanes) if x["residual"][t, 0] else None,
            int(x["res_mult"][t, 0]),
            int(x["res_shift"][t, 0]),
        )
        for t in range(cycles)
    ]
    return np.array(rows, np.int64)


def _as_channels(vectors: npt.NDArray[np.int16], lanes: int) -> npt.NDArray[np.int16]:
    """The vectors that `lanes` channels take."""
    return vectors[: -(-lanes // (vectors.shape[-1] - 1))]


def _ppu_lane(hardware: HardwareConfig, x: Values, _: str) -> Results:
    return {"y": _all(_results(hardware, x, "res_element", "res_scale"))}


_FORM = (
    "second",
    "out_bits",
    "out_scale_bits",
    "digits",
)  # beside the sign, which has another name in the PPU


def _records(hardware: HardwareConfig, x: Values, y: Ints, sign: str) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Bits of the records of blocks of results, [cycles, bits], digit by digit; those of digits that a vector
    has not are not defined.

    Second operands have the bits of activations, of which STORE takes the low ones.
    """
    fmt, (cycles, lanes) = hardware.formats.activation, y.shape
    blocks = hardware.group_blocks
    own = (
        np.cumsum(x["first"].ravel() != 0) - 1 if blocks > 1 else np.arange(cycles)
    )  # the group of each block
    place = np.arange(cycles) - np.searchsorted(own, own)
    groups = np.zeros((own[-1] + 1, blocks, lanes), np.int64)
    groups[own, place] = y
    forms = np.zeros((len(groups), 1 + len(_FORM)), np.int64)
    forms[own] = np.hstack([x[name] for name in (sign, *_FORM)])
    vectors = np.zeros((len(groups), max(1, lanes // fmt.vector_size), fmt.vector_size + 1), np.int16)
    for kind in np.unique(forms, axis=0):
        alike = (forms == kind).all(axis=1)
        wanted = groups[alike].reshape(-1, blocks * lanes)
        vectors[alike] = requantize(wanted, _form(hardware, *kind[:-1].tolist()), hardware.guard_bits)
    elements = vectors[..., :-1].reshape(len(groups), blocks, vectors.shape[1], -1)[own, place]
    scales = _bits(vectors[own, :, -1:], fmt.scale_width)
    narrow = hardware.formats.second_record.bits
    width, most = (x[name][:, :, None] for name in ("second", "digits"))
    width = np.where(width, narrow, fmt.bits)
    records = []
    for digit in range(most_digits(hardware, narrow)):
        code = elements >> digit * width
        code = np.where(digit < most, code & ((1 << width) - 1), code)
        records.append(np.concatenate([_bits(code, fmt.bits), scales], axis=-1).reshape(cycles, -1))
    mask = [np.broadcast_to(digit <= x["digits"], record.shape) for digit, record in enumerate(records)]
    return np.hstack(records), np.hstack(mask)


def _form(
    hardware: HardwareConfig, unsigned: int, second: int, out_bits: int, out_scale_bits: int
) -> VectorFormat:
    """What a vector of results is quantized to."""
    form = hardware.formats.second_record if second else hardware.formats.activation
    if out_bits:
        form = replace(form, bits=out_bits, scale_bits=out_scale_bits or None)
    return form.with_sign(not unsigned)


def _bits(numbers: npt.NDArray[np.integer[Any]], width: int) -> Ints:
    """[cycles, vectors, n] to bits [cycles, vectors, n * width], the lowest first."""
    bits = numbers[..., None].astype(np.int64) >> np.arange(width) & 1
    return bits.reshape(*numbers.shape[:2], -1)


def _quantizer(hardware: HardwareConfig, x: Values, _: str) -> Results:
    return {"record": _records(hardware, x, x["y"], "is_unsigned")}


def _ppu(hardware: HardwareConfig, x: Values, _: str) -> Results:
    y = _results(hardware, x, "res_elements", "res_scales")
    return {"y": _all(y), "record": _records(hardware, x, y, "out_unsigned")}


def _transposer(hardware: HardwareConfig, x: Values, _: str) -> Results:
    """Each pixel's transaction has the lanes that leave as many clocks later as a group takes."""
    size, (cycles, lanes) = hardware.vector_size, x["y"].shape
    parts = max(1, size // lanes)
    turned, first, last = np.zeros((cycles, lanes), np.int64), *np.zeros((2, cycles, 1), np.int64)
    y = np.where(x["absent"], 0, x["y"])
    for start in np.flatnonzero(x["valid"] & x["start"]):
        group = slice(start, start + size)
        turned[group] = y[group].T.reshape(size, lanes)  # channel by channel
        first[group, 0] = np.arange(size) % parts == 0
        last[group, 0] = np.arange(size) % parts == parts - 1
    there = x["valid"] != 0
    return {
        "turned": (turned, np.repeat(there, lanes, axis=1)),
        "first": (first, there),
        "last": (last, there),
    }


def _vector_lane(hardware: HardwareConfig, x: Values, _: str) -> Results:
    scale = x["scale"] if hardware.formats.activation.scale_bits else 1
    given = np.where(x["src_acc"], x["second"], x["imm"])
    element = _joined(hardware, x["element"][..., None], x["digits"], x["src_unsigned"])
    value, op = np.where(x["src_imm"] | x["src_acc"], given, element * scale), x["op"]
    codes = {name: code_of("VEC", "op", name) for name in (*_EARLY, *_LATE)}
    # Products of the others need not fit.
    multiplied, scaled = (np.where(op == codes[name], x["acc_in"], 0) for name in ("mul", "scale"))
    shift = np.minimum(given >> FACTOR_BITS & 63, 62)
    early = {
        "mul": round_shift(multiplied * value, x["shift"]),
        "scale": saturated(round_shift(scaled * (given & ((1 << FACTOR_BITS) - 1)), shift)),
        "table": _looked_up(x, round_shift(x["acc_in"] - given, x["shift"])),
    }
    late = {name: f(x["acc_late"], value, x["imm"], x["src_acc"]) for name, f in _LATE.items()}
    found = {**early, **late}
    result = np.select([op == codes[name] for name in found], list(found.values()))
    names, bits = {code: name for name, code in codes.items()}, hardware.accumulator_bits
    for t in np.flatnonzero(x["forward"]):
        if function := _LATE.get(names[int(op[t, 0])]):
            # Goes on with what the accumulator, which has so many bits, was left at.
            left = np.int64(_signed(int(result[t - 1, 0]) & ((1 << bits) - 1), bits))
            result[t] = function(left, value[t], x["imm"][t], x["src_acc"][t])
    filled = x["fill"] != 0
    return {"acc": (result, ~filled)}


# Which accumulator they take: as the lane reads it, or that of its last stage.
_EARLY = ("mul", "scale", "table")
_LATE: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "mov": lambda lane, value, imm, saturates: value,
    "max": lambda lane, value, imm, saturates: np.maximum(lane, value),
    "min": lambda lane, value, imm, saturates: np.minimum(lane, value),
    "add": lambda lane, value, imm, saturates: np.where(saturates, saturated(lane + value), lane + value),
    "mac": lambda lane, value, imm, saturates: lane + imm * value,
    "sub": lambda lane, value, imm, saturates: saturated(lane - value),
}


def _looked_up(x: Values, lane: Ints) -> Ints:
    """By the table as it is by then."""
    table = np.zeros((TABLE_SEGMENTS, 2), np.int32)
    found, filled = np.zeros_like(lane), x["fill"].ravel() != 0
    bounds = np.flatnonzero(np.diff(filled)) + 1
    for rows in np.split(np.arange(len(lane)), bounds):
        if not filled[rows[0]]:
            found[rows] = look_up(lane[rows], table)
            continue
        for address, segment in zip(x["fill_address"][rows, 0], x["fill_segment"][rows, 0], strict=True):
            packed = int(segment)
            table[address] = [_signed(packed & 0xFFFFFF, 24), _signed(packed >> 24, 24)]
    return found


def _reduce_tree(hardware: HardwareConfig, x: Values, _: str) -> Results:
    return {"total": _all(_reduced(hardware, x))}


def _reduced(hardware: HardwareConfig, x: Values) -> Ints:
    """Of each entry with those of its row before it: int64[cycles, 1]."""
    acc, lanes = x["acc"], x["acc"].shape[1]
    there = np.arange(lanes) < np.where(x["last"], x["last_lanes"], lanes)
    squared = saturated(round_shift(acc, x["shift"]), SQUARED_BITS)
    entries = {
        "max": np.where(there, acc, np.iinfo(np.int64).min).max(axis=1),
        "sum": np.where(there, saturated(acc), 0).sum(axis=1),
        "squares": np.where(there, squared**2, 0).sum(axis=1),
    }
    codes = [x["op"][:, 0] == code_of("REDUCE", "op", name) for name in entries]
    found: Ints = np.select(codes, list(entries.values()))
    for t in np.flatnonzero(x["first"][:, 0] == 0):
        found[t] = max(found[t - 1], found[t]) if codes[0][t] else found[t - 1] + found[t]
    return found[:, None]


def _row_unit(hardware: HardwareConfig, x: Values, _: str) -> Results:
    return _row_results(hardware, x, x["total"])


def _reduce(hardware: HardwareConfig, x: Values, _: str) -> Results:
    return _row_results(hardware, x, _reduced(hardware, x))


def _row_results(hardware: HardwareConfig, x: Values, row: Ints) -> Results:
    """A row each; the table's entry, too, where one is looked up."""
    lanes, to = hardware.output_lanes, x["to"][:, 0]
    functions = {"reciprocal": reciprocal, "rsqrt": reciprocal_root}
    factors = {code_of("REDUCE", "to", name): function for name, function in functions.items()}
    is_scaled, words = code_of("REDUCE", "to", "scaled"), (-(1 << 31), (1 << 31) - 1)
    results, entries = np.zeros((2, len(row), 1), np.int64)
    for t in range(len(row)):
        number, exponent, imm = int(row[t, 0]), int(x["exponent"][t, 0]), int(x["imm"][t, 0])
        if function := factors.get(int(to[t])):
            held = x["par"][t].reshape(lanes, 4)[:, 2:].astype(np.int32)
            table = np.tile(held, (TABLE_SEGMENTS // lanes, 1))
            numbers = np.array([number + imm])
            m, k = function(numbers, table, exponent)
            results[t] = m | k << FACTOR_BITS
            # A table of segments that hold their own numbers says which one it is.
            own = np.zeros((TABLE_SEGMENTS, 2), np.int32)
            own[:, 0] = np.arange(TABLE_SEGMENTS)
            entries[t] = function(numbers, own, exponent)[0] // lanes
            continue
        if to[t] == is_scaled:
            number = number * int(x["mult"][t, 0]) + (1 << exponent >> 1) >> exponent
        else:
            number += imm
        results[t] = min(max(number, words[0]), words[1])
    looked_up = np.isin(x["to"], list(factors))
    return {"entry": (entries, looked_up), "result": _all(results)}


def _signed(number: int, bits: int) -> int:
    return number - (number >> (bits - 1) << bits)


def _pieces(x: Values) -> Iterator[tuple[int, npt.NDArray[np.uint8], list[int], int]]:
    """When each piece begins, its bytes from there on, when each of its words is used, and its records.

    A word is used when the next one comes, or else a cycle after the last.
    """
    arrivals = np.flatnonzero(x["valid"].ravel())
    firsts = np.flatnonzero(x["valid"].ravel() & x["first"].ravel())
    pieces = np.split(arrivals, np.searchsorted(arrivals, firsts))[1:]
    for first, words in zip(firsts, pieces, strict=True):
        times = words.tolist()
        text = np.concatenate([x["word"][t] for t in times])[x["offset"][first, 0] :].astype(np.uint8)
        yield int(first), text, [*times[1:], times[-1] + 1], int(x["count"][first, 0])


def _unpack(hardware: HardwareConfig, x: Values, block: str) -> Results:
    """Which entries come when."""
    name = block.removeprefix("unpack_")
    second = hardware.formats.second_record
    if is_second := name == "second":
        bits, record = second.record_bits, hardware.second_record_bytes
    else:
        bits, record = hardware.entry_bits[name], hardware.record_bytes[name]
    bus, cycles = hardware.dram.bytes_per_cycle, len(x["valid"])
    if record > bus and not is_second:
        return _columns(x, record, bus)
    most = (record - int(np.gcd(bus, record)) + bus) // record
    complete, unsigned = np.zeros((2, cycles, most), np.int64)
    entries = np.zeros((cycles, most * bits), np.int64)
    for first, piece, used, count in _pieces(x):
        for n in range(count):
            t = used[((n + 1) * record - 1) // bus]
            if t >= cycles:
                break
            place = int(complete[t].sum())
            text = np.unpackbits(piece[n * record : (n + 1) * record], count=bits, bitorder="little")
            entries[t, place * bits : (place + 1) * bits] = text
            complete[t, place] = 1
            unsigned[t, place] = is_second and x["is_unsigned"][first, 0]
    if is_second:
        lanes = _widened(hardware, entries.reshape(cycles, most, bits), unsigned)
        filled = np.repeat(complete != 0, lanes.shape[-1], axis=1)
        return {"complete": _all(complete), "lanes": (lanes.reshape(cycles, -1), filled)}
    return {"complete": _all(complete), "entries": (entries, np.repeat(complete != 0, bits, axis=1))}


def _widened(hardware: HardwareConfig, records: Ints, unsigned: Ints) -> Ints:
    """Bits [..., record] of second operands, of a sign [...] each, as weights have them: [..., lane]."""
    second, weight = hardware.formats.second_record, hardware.formats.weight
    size, bits = second.vector_size, second.bits
    elements = records[..., : size * bits].reshape(*records.shape[:-1], size, bits)
    highest = np.where(unsigned[..., None, None], 0, elements[..., -1:])
    signs = np.repeat(highest, weight.bits - bits, axis=-1)
    scales = np.zeros((*records.shape[:-1], weight.scale_width), np.int64)
    scales[..., : second.scale_width] = records[..., size * bits :]
    scales[..., :1] += second.scale_width == 0
    wide = np.concatenate([elements, signs], axis=-1).reshape(*records.shape[:-1], -1)
    return np.concatenate([wide, scales], axis=-1)


def _columns(x: Values, record: int, bus: int) -> Results:
    """Which columns of which entry a word of a piece is."""
    step, cycles = int(np.gcd(bus, record)), len(x["valid"])
    aligned, column, columns = (np.zeros((cycles, n), np.int64) for n in (bus, 1, 1))
    for _, piece, used, count in _pieces(x):
        for k in range(-(-count * record // bus)):
            t, here = used[k], piece[k * bus : min((k + 1) * bus, count * record)]
            if t >= cycles:
                break
            aligned[t, : len(here)] = here
            column[t], columns[t] = k * bus % record // step, len(here) // step
    filled = np.repeat(np.arange(bus // step) < columns, step, axis=1)
    return {"aligned": (aligned, filled), "column": (column, columns != 0), "columns": _all(columns)}


_REFERENCES: dict[str, Callable[[HardwareConfig, Values, str], Results]] = {
    "multiplier": _multiplier,
    "adder_tree": _adder_tree,
    "scale_unit": _scale_unit,
    "accumulator": _accumulator,
    "vector_mac": _vector_mac,
    "ppu_lane": _ppu_lane,
    "quantizer": _quantizer,
    "ppu": _ppu,
    "transposer": _transposer,
    "vector_lane": _vector_lane,
    "reduce_tree": _reduce_tree,
    "row_unit": _row_unit,
    "reduce": _reduce,
    "unpack": _unpack,
}
