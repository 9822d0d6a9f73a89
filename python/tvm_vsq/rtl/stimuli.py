"""Transactions to test a block with: all corners of its operands, then random ones of several kinds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import ELEMENT_BITS
from tvm_vsq.formats.digits import digit_count
from tvm_vsq.formats.rows import MOST_LANES, ROW_BITS, SQUARED_BITS
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.memories import NEGATIVE, PARAMETER_BITS
from tvm_vsq.isa import code_of
from tvm_vsq.rtl.blocks import Block, most_digits

Ints = npt.NDArray[np.int64]
Inputs = dict[str, Ints]
_WORD = (-(1 << 31), (1 << 31) - 1)
_LONGEST_PIECE = 200  # words of what LOAD unpacks, but for one record that has more
_MOST_DIGIT_SHIFT = 16  # of what GEMM adds (docs/isa.md)
_LONGEST_PRODUCT = 62  # bits of what VEC's mul may round (docs/isa.md)


def stimuli(hardware: HardwareConfig, block: Block, count: int, seed: int) -> Inputs:
    """Inputs of `block`, int64[cycles, lanes] for each port: its corners, and `count` random transactions."""
    rng = np.random.default_rng(seed)
    return _STIMULI[block.module](hardware, block, count, rng)


def _unsigned_corners(bits: int) -> list[int]:
    most = (1 << bits) - 1
    return sorted({0, 1, most >> 1, most - 1, most})


def _element_corners(bits: int) -> list[int]:
    """As they are stored: the ends of unsigned numbers, and of signed ones."""
    return sorted({*_unsigned_corners(bits), 1 << (bits - 1)})


def _signed_corners(bits: int) -> list[int]:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return sorted({number for number in (low, low + 1, -1, 0, 1, high - 1, high) if low <= number <= high})


def _grid(*axes: Sequence[int] | Ints) -> list[Ints]:
    """Every combination: a column [n, 1] for each axis."""
    table = np.array(list(itertools.product(*axes)), np.int64)
    return [column[:, None] for column in table.T]


def _random_signed(rng: np.random.Generator, bits: int, shape: tuple[int, ...]) -> Ints:
    """Of all magnitudes: as many bits as chance has it."""
    width = rng.integers(1, bits + 1, shape)
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape) >> (bits - width)


def _random_unsigned(rng: np.random.Generator, bits: int, shape: tuple[int, ...]) -> Ints:
    width = rng.integers(1, bits + 1, shape)
    return rng.integers(0, 1 << bits, shape) >> (bits - width)


def _elements(rng: np.random.Generator, bits: int, unsigned: Ints, lanes: int) -> Ints:
    """[cycles, lanes], a third uniform, a third of all magnitudes, a third mostly zeros."""
    shape = (len(unsigned), lanes)
    kind = rng.integers(0, 3, (len(unsigned), 1))
    uniform = np.where(unsigned, rng.integers(0, 1 << bits, shape), _uniform_signed(rng, bits, shape))
    any_size = np.where(unsigned, _random_unsigned(rng, bits, shape), _random_signed(rng, bits, shape))
    return np.select([kind == 0, kind == 1], [uniform, any_size], uniform * (rng.random(shape) < 0.3))


def _uniform_signed(rng: np.random.Generator, bits: int, shape: tuple[int, ...]) -> Ints:
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)


def _flags(rng: np.random.Generator, count: int, often: float = 0.5) -> Ints:
    return (rng.random((count, 1)) < often).astype(np.int64)


def _of_digits(hardware: HardwareConfig, rng: np.random.Generator, count: int) -> Ints:
    """A flag that only an accelerator with digits knows: now and then set, there."""
    return _flags(rng, count, 1 / 4 if hardware.precision_passes > 1 else 0)


def _digit_elements(
    hardware: HardwareConfig, rng: np.random.Generator, unsigned: Ints, lanes: int
) -> tuple[Ints, Ints]:
    """Elements of activations of one digit or more: parts [cycles, digits * lanes], digit by digit, and how
    many digits there are, less one. Parts beyond those are anything.
    """
    bits, count = hardware.activation_bits, len(unsigned)
    most = most_digits(hardware, bits)
    if most == 1:
        return _elements(rng, bits, unsigned, lanes), np.zeros((count, 1), np.int64)
    digits = rng.integers(0, most, (count, 1))
    elements = np.zeros((count, lanes), np.int64)
    for more in range(most):
        own = digits[:, 0] == more
        elements[own] = _elements(rng, min(ELEMENT_BITS[1], (more + 1) * bits), unsigned[own], lanes)
    return _parts_of(hardware, rng, elements, digits), digits


def _parts_of(hardware: HardwareConfig, rng: np.random.Generator, elements: Ints, digits: Ints) -> Ints:
    """Digits of elements [cycles, lanes], and beyond the highest of them anything."""
    bits = hardware.activation_bits
    most = most_digits(hardware, bits)
    mask, parts = (1 << bits) - 1, rng.integers(0, 1 << bits, (len(elements), most, elements.shape[1]))
    for place in range(most):
        parts[:, place] = np.where(place <= digits, elements >> place * bits & mask, parts[:, place])
    return parts.reshape(len(elements), -1)


def _append(first: Inputs, second: Inputs) -> Inputs:
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def _multiplier(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    """Corners, then all other pairs of operands, signed and unsigned; `count` of these where that is less."""
    a_bits, b_bits = block.parameters["A"], block.parameters["B"]
    a, b, unsigned = _grid(range(-(1 << (a_bits - 1)), 1 << (a_bits - 1)), range(1 << b_bits), (0, 1))
    signed = b - ((b >> (b_bits - 1)) << b_bits)
    is_corner = np.isin(a, _signed_corners(a_bits)) & np.isin(b, _element_corners(b_bits))
    corners, others = (np.flatnonzero(which) for which in (is_corner, ~is_corner))
    chosen = np.concatenate([corners, rng.permutation(others)[:count]])
    return {"a": a[chosen], "b": np.where(unsigned, b, signed)[chosen], "b_unsigned": unsigned[chosen]}


def _adder_tree(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    bits, lanes = block.parameters["WIDTH"], block.parameters["INPUTS"]
    corners = np.repeat(np.array(_signed_corners(bits))[:, None], lanes, axis=1)
    return {"terms": np.concatenate([corners, _elements(rng, bits, np.zeros((count, 1), bool), lanes)])}


def _scales(
    hardware: HardwareConfig, corners: tuple[Ints, Ints], count: int, rng: np.random.Generator
) -> Inputs:
    names = (("weight_scale", hardware.formats.weight), ("activation_scale", hardware.formats.activation))
    return {
        name: np.concatenate([corner, _random_unsigned(rng, max(1, fmt.scale_width), (count, 1))])
        for (name, fmt), corner in zip(names, corners, strict=True)
    }


def _scale_corners(hardware: HardwareConfig) -> tuple[list[int], list[int]]:
    formats = hardware.formats
    return _unsigned_corners(max(1, formats.weight.scale_width)), _unsigned_corners(
        max(1, formats.activation.scale_width)
    )


def _scale_unit(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    bits = block.parameters["DOT"]
    weight, activation, dot = _grid(*_scale_corners(hardware), _signed_corners(bits))
    scales = _scales(hardware, (weight, activation), count, rng)
    return {
        **scales,
        "unscaled": _of_digits(hardware, rng, len(dot) + count),
        "dot": np.concatenate([dot, _random_signed(rng, bits, (count, 1))]),
    }


def _control(rng: np.random.Generator, count: int) -> Inputs:
    """Reductions that begin, go on with the entry before or another one; now and then a reset, a shift."""
    return {
        "reset": _flags(rng, count, 1 / 32),
        "fresh": _flags(rng, count, 1 / 8),
        "forward": _flags(rng, count),
        "shift": rng.integers(0, _MOST_DIGIT_SHIFT + 1, (count, 1)) * _flags(rng, count, 1 / 4),
    }


def _accumulator(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    bits, addend_bits = block.parameters["ACC"], block.parameters["ADDEND"]
    names = ("reset", "fresh", "forward", "shift", "acc_in", "addend")
    shifts, ends = (0, 1, _MOST_DIGIT_SHIFT), (_signed_corners(bits), _signed_corners(addend_bits))
    corners = dict(zip(names, _grid((0, 1), (0, 1), (0, 1), shifts, *ends), strict=True))
    return _append(
        corners,
        {
            **_control(rng, count),
            "acc_in": _random_signed(rng, bits, (count, 1)),
            "addend": _random_signed(rng, addend_bits, (count, 1)),
        },
    )


def _vector_mac(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    size, w_bits, a_bits = (block.parameters[name] for name in ("V", "NW", "NA"))
    low_digits = (0, 1) if block.parameters["LOW_DIGITS"] else (0,)
    weight, activation, s_w, s_a, unsigned, low = _grid(
        _signed_corners(w_bits), _element_corners(a_bits), *_scale_corners(hardware), (0, 1), low_digits
    )
    cycles = len(weight)
    weight = np.where(low, weight & ((1 << w_bits) - 1), weight)
    low = np.concatenate([low, _flags(rng, count) * len(low_digits) // 2])
    activation = np.where(unsigned, activation, activation - ((activation >> (a_bits - 1)) << a_bits))
    all_unsigned = np.concatenate([unsigned, _flags(rng, count)])
    corners = {name: np.zeros((cycles, 1), np.int64) for name in ("reset", "forward", "shift")}
    corners["fresh"] = np.ones((cycles, 1), np.int64)
    control = _append(corners, _control(rng, count))
    return {
        "weights": np.concatenate(
            [
                np.repeat(weight, size, axis=1),
                _elements(rng, w_bits, low[cycles:], size),
            ]
        ),
        "activations": np.concatenate(
            [np.repeat(activation, size, axis=1), _elements(rng, a_bits, all_unsigned[cycles:], size)]
        ),
        **_scales(hardware, (s_w, s_a), count, rng),
        "weight_unsigned": low,
        "activation_unsigned": all_unsigned,
        "unscaled": _of_digits(hardware, rng, cycles + count),
        **control,
        "acc_in": _random_signed(rng, block.parameters["ACC"], (cycles + count, 1)),
    }


def _parameters(hardware: HardwareConfig, rng: np.random.Generator, count: int, lanes: int) -> Ints:
    """mult, shift, bias and clip of each lane."""
    shape = (count, lanes)
    clip = np.where(rng.random(shape) < 0.7, _WORD[1], _random_signed(rng, 32, shape))
    columns = [
        _random_unsigned(rng, hardware.multiplier_bits, shape),
        rng.integers(0, 63, shape) | np.where(rng.random(shape) < 0.25, NEGATIVE, 0),
        _random_signed(rng, PARAMETER_BITS["bias"], shape),
        clip,
    ]
    return np.stack(columns, axis=-1).reshape(count, -1)


def _residuals(hardware: HardwareConfig, block: Block, rng: np.random.Generator, count: int) -> Inputs:
    ports = {port.name: port for port in block.inputs}
    plural = "s" if "res_elements" in ports else ""
    fmt, unsigned = hardware.formats.activation, _flags(rng, count)
    lanes, vectors = ports["acc"].lanes, ports[f"res_scale{plural}"].lanes
    elements, digits = _digit_elements(hardware, rng, unsigned, lanes)
    return {
        "relu": _flags(rng, count),
        "residual": _flags(rng, count),
        "res_unsigned": unsigned,
        f"res_element{plural}": elements,
        "res_digits": digits,
        f"res_scale{plural}": _random_unsigned(rng, max(1, fmt.scale_width), (count, vectors)),
        "res_mult": _random_unsigned(rng, PARAMETER_BITS["mult"], (count, 1)),
        "res_shift": rng.integers(0, 63, (count, 1)),
    }


def _ppu_lane(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    bits, fmt = hardware.accumulator_bits, hardware.formats.activation
    acc, mult, shift, bias, clip, relu = _grid(
        _signed_corners(bits),
        _unsigned_corners(hardware.multiplier_bits),
        [shift | sign for shift in (0, 1, 31, 47, 62) for sign in (0, NEGATIVE)],
        (_WORD[0], 0, _WORD[1]),
        (0, _WORD[1]),
        (0, 1),
    )
    cycles = len(acc)
    residual = _residuals(hardware, block, rng, cycles + count)
    residual["relu"][:cycles] = relu
    largest = rng.random((cycles, 1)) < 0.5
    for name, most in (("res_scale", fmt.smax), ("res_mult", 0xFFFF), ("res_shift", 0)):
        residual[name][:cycles] = np.where(largest, most, residual[name][:cycles])
    return {
        "acc": np.concatenate([acc, _random_signed(rng, bits, (count, 1))]),
        "par": np.concatenate(
            [np.concatenate([mult, shift, bias, clip], axis=1), _parameters(hardware, rng, count, 1)]
        ),
        **residual,
    }


def _marks(hardware: HardwareConfig, rng: np.random.Generator, count: int) -> tuple[Ints, Ints, Ints, Ints]:
    """first, last, and for all blocks of a vector whether it is unsigned, or of the second-operand form.

    Now and then it has fewer blocks than it could.
    """
    most, first = hardware.group_blocks, np.zeros((count, 1), np.int64)
    at = 0
    while at < count:
        first[at] = 1
        at += most if rng.random() < 0.8 else int(rng.integers(1, most + 1))
    last = np.roll(first, -1)
    last[-1] = 1
    own = np.cumsum(first) - 1
    kind = rng.integers(0, 3, own[-1] + 1)[own][:, None]
    return first, last, (kind == 1).astype(np.int64), (kind == 2).astype(np.int64)


def _forms(hardware: HardwareConfig, rng: np.random.Generator, first: Ints, second: Ints) -> Inputs:
    """Of each vector: so many bits as an accelerator with digits may give it, or none that are said."""
    formats, own = hardware.formats, np.cumsum(first) - 1
    forms = np.zeros((own[-1] + 1, 3), np.int64)
    kinds = second[np.flatnonzero(first), 0]
    for vector in np.flatnonzero(rng.random(len(forms)) < 0.7) if hardware.precision_passes > 1 else ():
        form = formats.second_record if kinds[vector] else formats.activation
        digits = int(rng.integers(0, most_digits(hardware, form.bits)))
        least, most = max(ELEMENT_BITS[0], digits * form.bits + 1), (digits + 1) * form.bits
        bits = int(rng.integers(least, min(ELEMENT_BITS[1], most) + 1))
        forms[vector] = bits, rng.integers(0, form.scale_width + 1), digits
    names = ("out_bits", "out_scale_bits", "digits")
    return {name: forms[own, i : i + 1] for i, name in enumerate(names)}


def _quantizer(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    """Results of all magnitudes, as large as they can be, near the rounding of a quotient, and all alike."""
    fmt, lanes, guard = hardware.formats.activation, hardware.output_lanes, hardware.guard_bits
    corners = [
        *_signed_corners(32),
        *(sign * (1 << bit) + more for bit in range(31) for sign in (1, -1) for more in (-1, 0, 1)),
    ]
    alike = np.repeat(np.array(corners)[:, None], lanes, axis=1)
    total = count + len(alike)
    first, last, unsigned, second = _marks(hardware, rng, total)
    other, forms = hardware.formats.second_record, _forms(hardware, rng, first, second)
    widths = (
        (forms["out_bits"], other.bits, fmt.bits),
        (forms["out_scale_bits"], other.scale_width, fmt.scale_width),
    )
    bits, scale_bits = (
        np.where(forms["out_bits"], said, np.where(second, narrow, own))[-count:]
        for said, narrow, own in widths
    )
    smax, qmax = np.maximum((1 << scale_bits) - 1, 1), (1 << (bits - 1)) - 1
    scale = rng.integers(1, smax + 1)
    halves = (2 * rng.integers(-qmax - 1, qmax + 2, (count, lanes)) + 1) * (scale << guard) // 2
    near = halves + rng.integers(-1, 2, (count, lanes))
    within = _random_signed(
        rng, min(32, hardware.widest_activation_bits + fmt.scale_width + guard + 1), (count, lanes)
    )
    kind = rng.integers(0, 3, (count, 1))
    y = np.select([kind == 0, kind == 1], [near, within], _random_signed(rng, 32, (count, lanes)))
    marks = {"is_unsigned": unsigned, "second": second, **forms, "first": first, "last": last}
    return {"y": np.concatenate([alike, y]), **marks}


def _ppu(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    lanes = hardware.output_lanes
    first, last, unsigned, second = _marks(hardware, rng, count)
    par = _parameters(hardware, rng, count, lanes).reshape(count, lanes, -1)
    # Mostly shifts that leave something to quantize.
    moderate = rng.integers(0, 40, (count, 1)) | (par[..., 1] & NEGATIVE)
    par[..., 1] = np.where(rng.random((count, 1)) < 0.8, moderate, par[..., 1])
    return {
        "acc": _random_signed(rng, hardware.accumulator_bits, (count, lanes)),
        "par": par.reshape(count, -1),
        **_residuals(hardware, block, rng, count),
        "out_unsigned": unsigned,
        "second": second,
        **_forms(hardware, rng, first, second),
        "first": first,
        "last": last,
    }


def _transposer(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    """Groups of pixels, at once behind each other or when one has left; the last ones may be absent."""
    size, lanes = hardware.vector_size, hardware.output_lanes
    parts: list[Ints] = [np.tile((1, 0, 0, 0), (2, 1))]  # reset, valid, start, absent
    groups = 0
    while groups < 4 or sum(map(len, parts)) < count:
        pixels = np.arange(size)
        there = size if rng.random() < 0.5 else int(rng.integers(1, size + 1))
        flags = [pixels * 0, pixels * 0 + 1, pixels == 0, pixels >= there]
        parts.append(np.stack(flags, axis=1).astype(np.int64))
        groups += 1
        if groups > 2 and rng.random() < 0.3:
            parts.append(np.zeros((size + int(rng.integers(0, 4)), 4), np.int64))
    table = np.concatenate(parts)
    names = ("reset", "valid", "start", "absent")
    return {
        **{name: table[:, i : i + 1] for i, name in enumerate(names)},
        "y": _random_signed(rng, 32, (len(table), lanes)),
    }


_FILLED = 128  # segments of a lane's table
_GIVEN = ("mov", "max", "min", "add", "sub", "table")  # take an immediate, or another accumulator
_OPERATIONS = (*_GIVEN, "mac", "mul", "scale")


def _vec_op(*names: str) -> Ints:
    return np.array([code_of("VEC", "op", name) for name in names], np.int64)


def _lane_corners(hardware: HardwareConfig, rng: np.random.Generator) -> Inputs:
    """Ends of accumulators with those of elements, immediates, other accumulators, factors and tables."""
    fmt, bits = hardware.formats.activation, hardware.accumulator_bits
    ends, given = _signed_corners(bits), _signed_corners(min(32, bits))
    scales = _unsigned_corners(max(1, fmt.scale_width))
    ops = _vec_op("mov", "max", "min", "add", "mac", "mul")
    widest = hardware.widest_activation_bits
    acc, element, scale, op, unsigned = _grid(ends, _element_corners(widest), scales, ops, (0, 1))
    signed = element - ((element >> (widest - 1)) << widest)
    digits = np.full_like(acc, digit_count(widest, fmt.bits) - 1)
    columns = {"acc": acc, "op": op, "scale": scale, "src_unsigned": unsigned, "digits": digits}
    element = _parts_of(hardware, rng, np.where(unsigned, element, signed), digits)
    parts = [{**columns, "element": element}]
    acc, second, op, src_acc, shift = _grid(ends, given, _vec_op(*_GIVEN), (0, 1), (0, 1, 20, 62))
    parts.append({"acc": acc, "op": op, "src_acc": src_acc, "second": second, "imm": second, "shift": shift})
    # Differences that rounding takes to the end of a table, or beyond.
    end, beside, src_acc = _grid((-(1 << 16), 1 << 16), range(-3, 4), (0, 1))
    acc, low = (end + beside) // 2, (end + beside) // 2 - (end + beside)
    most = (1 << (bits - 1)) - 1
    acc, second = np.minimum(acc, most), np.minimum(low, most)
    op, shift = np.broadcast_to(_vec_op("table"), acc.shape), np.ones_like(acc)
    parts.append({"acc": acc, "op": op, "src_acc": src_acc, "second": second, "imm": second, "shift": shift})
    acc, mantissa, exponent, src_acc = _grid(ends, _unsigned_corners(16), (0, 1, 15, 16, 31, 62), (0, 1))
    factor = _factor(hardware, mantissa, exponent)
    op = np.broadcast_to(_vec_op("scale"), acc.shape)
    parts.append({"acc": acc, "op": op, "src_acc": src_acc, "second": factor, "imm": factor})
    whole = []
    for part in parts:
        rows = {name: np.zeros((len(part["acc"]), 1), np.int64) for name in (*parts[0], *parts[1])}
        rows["element"] = np.zeros((len(part["acc"]), element.shape[1]), np.int64)
        source = {"src_imm": 1 - part["src_acc"] if "src_acc" in part else rows["acc"]}
        whole.append({**rows, **source, **part})
    return {name: np.concatenate([rows[name] for rows in whole]) for name in whole[0]}


def _factor(hardware: HardwareConfig, mantissa: Ints, exponent: Ints) -> Ints:
    """As an accumulator holds it, as far as one does."""
    return (mantissa | exponent << 16) & ((1 << (hardware.accumulator_bits - 1)) - 1)


def _lane_operands(hardware: HardwareConfig, rng: np.random.Generator, count: int) -> Inputs:
    """Every operation with every source that it has."""
    fmt, bits, shape = hardware.formats.activation, hardware.accumulator_bits, (count, 1)
    op, unsigned = rng.choice(_vec_op(*_OPERATIONS), shape), _flags(rng, count)
    element, from_elements = (
        np.isin(op, _vec_op(*names)) for names in (("mac", "mul"), ("sub", "table", "scale"))
    )
    source = np.where(
        element, 0, np.where(from_elements, rng.integers(1, 3, shape), rng.integers(0, 3, shape))
    )
    acc, shift = _random_signed(rng, bits, shape), rng.integers(0, 63, shape)
    second, imm = _random_signed(rng, bits, shape), _random_signed(rng, min(32, bits), shape)
    is_scale, is_table = op == _vec_op("scale"), op == _vec_op("table")
    factor = _factor(hardware, rng.integers(0, 1 << 16, shape), rng.integers(0, 63, shape))
    second, imm = np.where(is_scale, factor, second), np.where(is_scale, factor, imm)
    # Arguments of a table that it tells apart, mostly of a function alone.
    alone = is_table & (rng.random(shape) < 0.4)
    second, imm, shift = (np.where(alone, 0, each) for each in (second, imm, shift))
    near = is_table & (rng.random(shape) < 0.7)
    shift = np.where(near, shift % 24, shift)
    argument = rng.integers(-(1 << 16), 1 << 16, shape) << shift
    limit = 1 << (bits - 1)
    given = np.where(source == 2, second, imm)
    acc = np.where(near, np.clip(given + argument + (1 << shift >> 1), -limit, limit - 1), acc)
    elements, digits = _digit_elements(hardware, rng, unsigned, 1)
    return {
        "acc": acc,
        "op": op,
        "src_imm": (source == 1).astype(np.int64),
        "src_acc": (source == 2).astype(np.int64),
        "second": second,
        "imm": imm,
        "shift": shift,
        "src_unsigned": unsigned,
        "element": elements,
        "digits": digits,
        "scale": _random_unsigned(rng, max(1, fmt.scale_width), shape),
    }


def _vector_lane(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    """A table is filled; then every operation, with operands that the machine allows it."""
    fmt, bits = hardware.formats.activation, hardware.accumulator_bits
    corners = _lane_corners(hardware, rng)
    filling = _lane_operands(hardware, rng, _FILLED)
    x = _append(_append(filling, corners), _lane_operands(hardware, rng, count))
    total, begin = len(x["op"]), _FILLED + len(corners["op"])
    allowed = (1 << (_LONGEST_PRODUCT - hardware.widest_activation_bits - fmt.scale_width)) - 1
    acc = x.pop("acc")
    acc = np.where(x["op"] == _vec_op("mul"), np.clip(acc, -allowed, allowed), acc)
    late = _random_signed(rng, bits, (total, 1))
    late[_FILLED:begin] = acc[_FILLED:begin]
    forward = _flags(rng, total)
    forward[:begin] = 0  # corners stand alone, and a table's filling leaves nothing
    fill, address = np.zeros((2, total, 1), np.int64)
    fill[:_FILLED] = 1
    address[:_FILLED, 0] = rng.permutation(_FILLED)
    segments = rng.integers(0, 1 << 48, (total, 1))
    table = {"fill": fill, "fill_address": address, "fill_segment": segments}
    return {**x, "acc_in": acc, "acc_late": late, "forward": forward, **table}


def _row_marks(
    hardware: HardwareConfig, rng: np.random.Generator, lengths: npt.NDArray[np.int64]
) -> tuple[Ints, Ints, Ints]:
    """first, last, and the number of its row, for every entry of rows of these lengths."""
    own = np.repeat(np.arange(len(lengths)), lengths)
    first = np.diff(own, prepend=-1) != 0
    last = np.diff(own, append=len(lengths)) != 0
    return first.astype(np.int64)[:, None], last.astype(np.int64)[:, None], own


def _reduce_corners(hardware: HardwareConfig) -> list[tuple[int, int, int, int]]:
    """Rows of equal lanes: operation, lane, shift, entries; one of as many and as large squares as can be."""
    lanes, bits = hardware.output_lanes, hardware.accumulator_bits
    ops = [code_of("REDUCE", "op", name) for name in ("max", "sum", "squares")]
    ends = sorted({*_signed_corners(bits), *_signed_corners(min(32, bits))})
    rows = [(op, lane, shift, 3) for op in ops for lane in ends for shift in (0, 1, 13, 14, 62)]
    rows += [(ops[2], sign * (1 << 13) + more, 0, 2) for sign in (1, -1) for more in (-1, 0, 1)]
    return [*rows, (ops[2], ends[0], 0, MOST_LANES // lanes)]


def _reduce_tree(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    """Rows of any lengths, of which the last entry has any lanes; squares that saturate, or nearly."""
    lanes, bits = hardware.output_lanes, hardware.accumulator_bits
    corners = _reduce_corners(hardware)
    lengths = rng.integers(1, 7, count)
    lengths = lengths[np.cumsum(lengths) <= max(count, lengths[0])]
    first, last, own = _row_marks(hardware, rng, np.append([row[3] for row in corners], lengths))
    rows, total = len(corners) + len(lengths), len(own)
    op, shift = rng.integers(0, 3, rows), rng.integers(0, 63, rows)
    near = rng.integers(-2, 3, rows) + bits - SQUARED_BITS
    shift = np.where(rng.random(rows) < 0.7, np.maximum(0, near), shift)
    op[: len(corners)], shift[: len(corners)] = ([row[i] for row in corners] for i in (0, 2))
    acc = _random_signed(rng, bits, (total, lanes))
    large = rng.random((total, 1)) < 0.3
    acc = np.where(large, rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), acc.shape), acc)
    last_lanes = rng.integers(1, lanes + 1, (total, 1))
    is_corner = own < len(corners)
    alike = np.array([row[1] for row in corners])
    acc[is_corner] = alike[own[is_corner]][:, None]
    last_lanes[own == len(corners) - 1] = lanes
    return {
        "acc": acc,
        "op": op[own][:, None],
        "shift": shift[own][:, None],
        "first": first,
        "last": last,
        "last_lanes": last_lanes,
    }


def _row_operands(hardware: HardwareConfig, rng: np.random.Generator, count: int) -> Inputs:
    """What is done with a row, and a table's entry, mostly one whose mantissas fit."""
    lanes, shape = hardware.output_lanes, (count, 1)
    some, kind = rng.integers(0, 63, shape), rng.random(shape)
    par = _parameters(hardware, rng, count, lanes).reshape(count, lanes, 4)
    value, slope = (_random_signed(rng, 24, (count, lanes)) for _ in range(2))
    fits = rng.random(shape) < 0.6
    par[..., 2] = np.where(fits, rng.integers(0, 1 << 17, value.shape), value)
    par[..., 3] = np.where(fits, slope >> 10, slope)
    return {
        "to": rng.integers(0, 4, shape),
        "exponent": some,
        "mult": _random_unsigned(rng, PARAMETER_BITS["mult"], shape),
        "imm": np.where(kind < 0.4, 0, _random_signed(rng, 32, shape)),
        "par": par.reshape(count, -1),
    }


def _row_unit(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    """Sums beside every power of two, and negative ones, for all results; then random ones."""
    powers = {(1 << bit) + more for bit in range(ROW_BITS - 2) for more in (-1, 0, 1)}
    row, to, exponent = _grid(sorted({*_signed_corners(ROW_BITS), *powers}), range(4), (0, 16, 62))
    cycles = len(row)
    found = _row_operands(hardware, rng, cycles + count)
    found["to"][:cycles], found["exponent"][:cycles] = to, exponent
    random_rows = _random_signed(rng, ROW_BITS, (count, 1))
    random_rows = np.where(rng.random((count, 1)) < 0.7, np.abs(random_rows), random_rows)
    return {"total": np.concatenate([row, random_rows]), **found}


def _reduce(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    tree = _reduce_tree(hardware, block, count, rng)
    return {**tree, **_row_operands(hardware, rng, len(tree["op"]))}


def _unpack(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    """Pieces of all lengths that begin at any byte of a word; words that come at once, or late."""
    bus, record = block.parameters["BUS"], block.parameters["RECORD"]
    most = min(20, 3 + _LONGEST_PIECE * bus // record)
    rows: list[tuple[int, int, int, int, int]] = [(1, 0, 0, 0, 0)] * 2  # reset, valid, first, last, offset
    counts = [0, 0]
    while len(rows) < count:
        offset, records = int(rng.integers(bus)), int(rng.integers(1, most))
        words = -(-(offset + records * record) // bus)
        often = 1.0 if rng.random() < 0.5 else 0.6
        for word in range(words):
            while rng.random() > often:
                rows.append((0, 0, 0, 0, 0))
                counts.append(0)
            rows.append((0, 1, int(word == 0), int(word == words - 1), offset))
            counts.append(records)
        for _ in range(int(rng.integers(0, 3))):
            rows.append((0, 0, 0, 0, 0))
            counts.append(0)
    rows.append((0, 0, 0, 0, 0))
    counts.append(0)
    table = np.array(rows, np.int64)
    names = ("reset", "valid", "first", "last", "offset")
    return {
        **{name: table[:, i : i + 1] for i, name in enumerate(names)},
        "count": np.array(counts)[:, None],
        "word": rng.integers(0, 256, (len(rows), bus)),
    }


def _unpack_second(hardware: HardwareConfig, block: Block, count: int, rng: np.random.Generator) -> Inputs:
    words = _unpack(hardware, block, count, rng)
    return {**words, "is_unsigned": _of_digits(hardware, rng, len(words["word"]))}


_STIMULI: dict[str, Callable[[HardwareConfig, Block, int, np.random.Generator], Inputs]] = {
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
    "unpack_columns": _unpack,
    "unpack_second": _unpack_second,
}
