"""Transactions: all corners are there, random ones are what the machine allows, and chance is seeded."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.rtl.configurations import random_accelerator, with_passes
from tests.seeds import first_of

from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.hardware.memories import NEGATIVE
from tvm_vsq.isa import code_of
from tvm_vsq.rtl import blocks, stimuli

W4A8 = load_hardware("vsq-accel-w4a8")
DIGITS = with_passes(load_hardware("vsq-accel"), 2)
SECOND_DIGITS = with_passes(W4A8, 2)
OPERATIONS = ("mov", "max", "min", "add", "mac", "mul", "table", "sub", "scale")


def inputs(name: str, count: int = 50, hardware: HardwareConfig = W4A8) -> dict[str, np.ndarray]:
    return stimuli(hardware, blocks(hardware)[name], count, 3)


def tuples(x: dict[str, np.ndarray], *names: str) -> set[tuple[int, ...]]:
    return set(zip(*(x[name][:, 0].tolist() for name in names), strict=True))


def ends(bits: int, signed: bool = True) -> tuple[int, ...]:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return (low, 0, 1, high)


def ports_fit(hardware: HardwareConfig, name: str, x: dict[str, np.ndarray]) -> None:
    """Each number fits its port, as a signed or an unsigned one."""
    for port in blocks(hardware)[name].inputs:
        values = x[port.name]
        assert values.dtype == np.int64
        assert values.shape[1] == len(port.numbers)
        for lane, bits in enumerate(port.numbers):
            assert values[:, lane].min() >= -(1 << (bits - 1)), port.name
            assert values[:, lane].max() < 1 << bits, port.name


@pytest.mark.parametrize("seed", first_of(range(30), 4))
def test_numbers_fit_their_ports(seed: int) -> None:
    hardware = random_accelerator(seed)
    for name in blocks(hardware):
        ports_fit(hardware, name, inputs(name, 30, hardware))


@pytest.mark.parametrize("name", blocks(W4A8))
def test_a_seed_gives_the_same_transactions_again_and_another_seed_others(name: str) -> None:
    block = blocks(W4A8)[name]
    first, same, other = (stimuli(W4A8, block, 40, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[port], same[port]) for port in first)
    assert any(not np.array_equal(first[port], other[port]) for port in first)


def test_a_multiplier_gets_every_pair_of_operands_if_there_are_no_more() -> None:
    hardware = load_hardware("vsq-accel")
    x = inputs("multiplier", 512, hardware)
    signed = {(a, b, 0) for a in range(-8, 8) for b in range(-8, 8)}
    assert tuples(x, "a", "b", "b_unsigned") == signed | {(a, b, 1) for a in range(-8, 8) for b in range(16)}


def test_an_adder_tree_gets_the_smallest_and_the_largest_sum() -> None:
    x = inputs("adder_tree")
    bits = W4A8.weight_bits + W4A8.activation_bits
    sums = set(x["terms"].sum(axis=1).tolist())
    assert {16 * end for end in ends(bits)} <= sums


def test_a_scale_unit_gets_all_corners_of_scales_with_all_of_products() -> None:
    x = inputs("scale_unit")
    dot = next(port for port in blocks(W4A8)["scale_unit"].inputs if port.name == "dot")
    wanted = set(itertools.product(ends(6, False), ends(10, False), ends(dot.bits)))
    assert wanted <= tuples(x, "weight_scale", "activation_scale", "dot")


def test_an_accumulator_gets_all_controls_with_the_ends_of_sums() -> None:
    x = inputs("accumulator")
    flags = set(itertools.product((0, 1), repeat=3))
    assert {(*f, n) for f in flags for n in ends(32)} <= tuples(x, "reset", "fresh", "forward", "acc_in")


def test_a_vector_mac_gets_the_ends_of_elements_under_the_ends_of_scales() -> None:
    x = inputs("vector_mac")
    weights, activations = x["weights"], x["activations"]
    found = set(
        zip(
            weights[:, 0].tolist(),
            activations[:, 0].tolist(),
            x["weight_scale"][:, 0].tolist(),
            x["activation_scale"][:, 0].tolist(),
            x["activation_unsigned"][:, 0].tolist(),
            strict=True,
        )
    )
    signed = set(itertools.product((-8, 7), (-128, 127), (63,), (1023,), (0,)))
    unsigned = set(itertools.product((-8, 7), (0, 255), (63,), (1023,), (1,)))
    assert signed | unsigned <= found
    corners = (weights == weights[:, :1]).all(axis=1) & (x["fresh"][:, 0] == 1)
    assert corners.sum() >= 2 * 2 * 4  # they are sums of their own, of equal products


def test_reductions_begin_go_on_and_are_reset() -> None:
    x = inputs("vector_mac", 1000)
    for name in ("reset", "fresh", "forward"):
        assert set(x[name][-1000:, 0].tolist()) == {0, 1}, name
    assert set(x["shift"][-1000:, 0].tolist()) == set(range(17))


def test_a_ppu_lane_gets_corners_of_its_product_with_all_shifts_and_clips() -> None:
    x = inputs("ppu_lane")
    names = ("mult", "shift", "bias", "clip")
    columns = {name: x["par"][:, i : i + 1] for i, name in enumerate(names)} | {"acc": x["acc"]}
    shifts = [shift | sign for shift in (0, 1, 31, 47, 62) for sign in (0, NEGATIVE)]
    wanted = set(itertools.product(ends(32), ends(16, False), shifts, ends(32)[::3], (0, 2**31 - 1)))
    assert wanted <= tuples(columns, "acc", "mult", "shift", "bias", "clip")
    assert {(63, 0), (63, 1)} <= {
        (int(s), int(r)) for s, r in zip(np.minimum(x["res_scale"][:, 0], 63), x["relu"][:, 0], strict=True)
    }


@pytest.mark.parametrize(("size", "blocks_of_vector"), [(16, 1), (32, 2), (64, 4)])
def test_vectors_have_all_their_blocks_or_fewer_and_one_sign(size: int, blocks_of_vector: int) -> None:
    hardware = random_accelerator(0).with_formats("4/4/4/4", vector_size=size)
    hardware = type(hardware).checked(
        {
            **hardware.model_dump(),
            "output_lanes": 16,
            "timing": {**hardware.timing.model_dump(), "ppu_pipeline_cycles": 12, "gemm_pipeline_cycles": 8},
        },
        "test",
    )
    x = inputs("quantizer", 400, hardware)
    first, last, sign, second = (
        x[name][:, 0].astype(bool) for name in ("first", "last", "is_unsigned", "second")
    )
    assert first[0]
    assert last[-1]
    assert np.array_equal(first[1:], last[:-1])
    lengths = np.diff(np.append(np.flatnonzero(first), len(first)))
    assert set(lengths[:-1].tolist()) == set(range(1, blocks_of_vector + 1))
    same_vector = ~first[1:]
    for kind in (sign, second):
        assert np.array_equal(kind[1:][same_vector], kind[:-1][same_vector])
        assert set(kind.tolist()) == {False, True}
    assert not (sign & second).any()  # second operands are signed


def test_a_quantizer_gets_quotients_beside_their_rounding_and_all_ends() -> None:
    x = inputs("quantizer", 300)
    y = x["y"]
    assert {-(1 << 31), (1 << 31) - 1, 0, 1, -1} <= set(y[:, 0].tolist())
    step = 1 << W4A8.guard_bits
    odd_halves = (2 * np.abs(y[-300:]) % step == 0) & (y[-300:] % step != 0)
    assert odd_halves.any(axis=1).sum() > 20


def test_a_vector_lane_fills_its_table_then_does_all_operations_on_all_corners() -> None:
    x = inputs("vector_lane", 500)
    assert x["fill"][:128].all()
    assert not x["fill"][128:].any()
    assert sorted(x["fill_address"][:128, 0].tolist()) == list(range(128))
    codes = {code_of("VEC", "op", name): name for name in OPERATIONS}
    assert set(x["op"][128:, 0].tolist()) == set(codes)
    by_name = {codes[op]: acc for op, acc in tuples({k: v[128:] for k, v in x.items()}, "op", "acc_in")}
    assert set(by_name) == set(codes.values())
    for name, code in ((name, code) for code, name in codes.items()):
        acc = set(x["acc_in"][128:, 0][x["op"][128:, 0] == code].tolist())
        assert name == "mul" or set(ends(32)) <= acc, name
        assert len({a for a in acc if abs(a) < 1 << 16}) > 5, name


def test_a_vector_lane_takes_each_source_that_an_operation_has_and_no_other() -> None:
    """What mul and mac take are elements; what sub, scale and table take are not (docs/isa.md)."""
    x = {name: column[128:, 0] for name, column in inputs("vector_lane", 2000).items()}
    assert not (x["src_imm"] & x["src_acc"]).any()
    for name in OPERATIONS:
        own = x["op"] == code_of("VEC", "op", name)
        sources = set((x["src_imm"] + 2 * x["src_acc"])[own].tolist())
        expected = {"mac": {0}, "mul": {0}, "sub": {1, 2}, "scale": {1, 2}, "table": {1, 2}}
        assert sources == expected.get(name, {0, 1, 2}), name


def test_factors_and_differences_of_a_vector_lane_have_all_ends() -> None:
    x = {name: column[128:, 0] for name, column in inputs("vector_lane", 2000).items()}
    scales = x["op"] == code_of("VEC", "op", "scale")
    factor = np.where(x["src_acc"], x["second"], x["imm"])[scales]
    assert (factor >= 0).all()
    assert (factor >> 16).max() == 62
    wanted = set(itertools.product(ends(32), ends(16, False), (0, 1, 15, 16, 31, 62)))
    got = zip(x["acc_in"][scales].tolist(), (factor & 0xFFFF).tolist(), (factor >> 16).tolist(), strict=True)
    assert wanted <= set(got)
    for name in ("sub", "add", "table"):
        own = (x["op"] == code_of("VEC", "op", name)) & (x["src_acc"] == 1)
        late = "acc_in" if name == "table" else "acc_late"
        found = set(zip(x[late][own].tolist(), x["second"][own].tolist(), strict=True))
        assert set(itertools.product(ends(32), ends(32))) <= found, name


def test_what_the_machine_does_not_allow_a_vector_lane_is_not_asked_of_it() -> None:
    """A product of mul has at most 62 bits (docs/isa.md)."""
    x = inputs("vector_lane", 2000)
    mul = code_of("VEC", "op", "mul")
    product = x["acc_in"].astype(object) * x["element"] * x["scale"]
    assert all(abs(number) < 1 << 62 for number in product[x["op"] == mul])
    assert x["shift"].max() == 62


def test_rows_have_one_operation_any_length_and_any_lanes_in_their_last_entry() -> None:
    x = {name: column[:, 0] for name, column in inputs("reduce_tree", 2000).items()}
    first, last = x["first"].astype(bool), x["last"].astype(bool)
    assert first[0]
    assert last[-1]
    assert np.array_equal(first[1:], last[:-1])
    for name in ("op", "shift"):
        assert np.array_equal(x[name][1:][~first[1:]], x[name][:-1][~first[1:]]), name
    lengths = np.diff(np.append(np.flatnonzero(first), len(first)))
    assert set(range(1, 7)) <= set(lengths.tolist())
    assert set(x["last_lanes"][last].tolist()) == set(range(1, 17))
    assert set(x["op"].tolist()) == {0, 1, 2}


def test_a_row_of_the_largest_squares_is_as_long_as_can_be() -> None:
    x = inputs("reduce_tree")
    first = np.flatnonzero(x["first"])
    longest = int(np.argmax(np.diff(np.append(first, len(x["first"])))))
    rows = slice(first[longest], first[longest + 1])
    assert x["acc"][rows].size == 1 << 14
    assert (x["acc"][rows] == -(1 << 31)).all()
    assert (x["op"][rows] == code_of("REDUCE", "op", "squares")).all()
    assert x["last_lanes"][rows][-1] == 16


def test_lanes_of_rows_are_all_ends_and_squares_that_nearly_saturate() -> None:
    x = inputs("reduce_tree")
    op, acc = x["op"][:, 0], x["acc"]
    for code in range(3):
        assert set(ends(32)) <= set(acc[op == code, 0].tolist())
    squares = (op == code_of("REDUCE", "op", "squares")) & (x["shift"][:, 0] > 0)
    shifted = acc[squares] >> x["shift"][squares]
    assert (shifted == (1 << 17) - 1).any()  # which rounding may take beyond


def test_a_row_unit_gets_sums_beside_every_power_of_two_for_every_result() -> None:
    x = inputs("row_unit")
    powers = [(1 << bit) + more for bit in range(48) for more in (-1, 0, 1)]
    wanted = set(itertools.product([*powers, *ends(50)], range(4), (0, 16, 62)))
    assert wanted <= tuples(x, "total", "to", "exponent")


def test_groups_of_pixels_come_at_once_or_when_one_has_left_and_may_lack_the_last_ones() -> None:
    x = {name: column[:, 0] for name, column in inputs("transposer", 1500).items() if name != "y"}
    valid, start, absent = (x[name].astype(bool) for name in ("valid", "start", "absent"))
    assert x["reset"][:2].all()
    assert not x["reset"][2:].any()
    assert not valid[:2].any()
    starts = np.flatnonzero(start)
    gaps = []
    for begin, following in itertools.pairwise([*starts, len(valid)]):
        assert valid[begin : begin + 16].all()
        assert not valid[begin + 16 : following].any()
        here = absent[begin : begin + 16]
        assert not here[0]
        assert (np.diff(here.astype(int)) >= 0).all()
        gaps.append(following - begin - 16)
    assert 0 in gaps
    assert all(gap == 0 or gap >= 16 for gap in gaps)
    assert any(gap > 0 for gap in gaps)
    assert absent.any()


@pytest.mark.parametrize("name", ["unpack_uop", "unpack_inp", "unpack_wgt", "unpack_par", "unpack_second"])
def test_words_of_a_piece_come_at_once_or_late_from_any_byte_on(name: str) -> None:
    x = inputs(name, 20_000)
    valid, first, last = (x[flag][:, 0].astype(bool) for flag in ("valid", "first", "last"))
    assert x["reset"][0]
    assert not valid[:2].any()
    assert not (~valid & (first | last)).any()
    assert set(x["offset"][first, 0].tolist()) == set(range(16))
    records = W4A8.record_bytes | {"second": W4A8.second_record_bytes}
    record = records[name.removeprefix("unpack_")]
    starts, ends_at = np.flatnonzero(first), np.flatnonzero(last)
    assert len(starts) == len(ends_at)
    late = 0
    for start, end in zip(starts, ends_at, strict=True):
        words = -(-(x["offset"][start, 0] + x["count"][start, 0] * record) // 16)
        assert valid[start : end + 1].sum() == words
        late += (~valid[start : end + 1]).any()
    assert 0 < late < len(starts)


def test_fields_of_digits_are_not_used_where_there_are_none() -> None:
    fields = {"res_digits", "digits", "out_bits", "out_scale_bits", "unscaled", "weight_unsigned"}
    found = {
        name for block in ("vector_mac", "vector_lane", "ppu") for name in inputs(block) if name in fields
    }
    assert found == fields
    for block in ("vector_mac", "scale_unit", "vector_lane", "ppu_lane", "quantizer", "ppu"):
        x = inputs(block, 300)
        assert not any(x[name].any() for name in fields & x.keys()), block
    assert not inputs("unpack_second", 300)["is_unsigned"].any()


def test_low_digits_of_weights_have_all_ends_and_sums_are_scaled_or_not() -> None:
    x = inputs("vector_mac", 400, DIGITS)
    low = x["weight_unsigned"][:, 0] == 1
    for rows in (slice(None, -400), slice(-400, None)):  # corners, and random ones
        assert {0, 8, 15} <= set(x["weights"][rows][low[rows]].ravel().tolist())
    assert x["weights"][~low].min() == -8
    assert x["weights"][~low].max() == 7
    for name in ("vector_mac", "scale_unit"):
        assert set(inputs(name, 400, DIGITS)["unscaled"][-400:, 0].tolist()) == {0, 1}, name


@pytest.mark.parametrize(
    ("block", "elements", "digits", "unsigned"),
    [
        ("vector_lane", "element", "digits", "src_unsigned"),
        ("ppu_lane", "res_element", "res_digits", "res_unsigned"),
    ],
)
def test_elements_have_one_digit_or_more_and_up_to_eight_bits(
    block: str, elements: str, digits: str, unsigned: str
) -> None:
    x = {name: column for name, column in inputs(block, 3000, DIGITS).items() if name != "par"}
    low, high = (x[elements][:, place] & 15 for place in (0, 1))
    joined = low | high << 4
    several, positive = x[digits][:, 0] == 1, x[unsigned][:, 0] == 1
    assert {0, 255} <= set(joined[several & positive].tolist())
    assert {127, 128} <= set(joined[several & ~positive].tolist())  # the latter is -128
    assert set(high[~several].tolist()) == set(range(16))  # what no element has is anything


def test_results_have_any_form_that_their_digits_need_and_hold() -> None:
    x = {
        name: column[:, 0] for name, column in inputs("quantizer", 4000, SECOND_DIGITS).items() if name != "y"
    }
    form = {(4, 1): 6, (8, 0): 10}  # scale bits by width and kind
    found = set()
    for second, bits, scale_bits, digits in zip(
        *(x[name].tolist() for name in ("second", "out_bits", "out_scale_bits", "digits")), strict=True
    ):
        width = 4 if second else 8
        found.add((second, bits, digits))
        assert scale_bits <= form[width, second]
        assert bits or not (scale_bits or digits)
        assert not bits or max(2, digits * width + 1) <= bits <= min(8, (digits + 1) * width)
    second = {(1, 0, 0), *((1, bits, 0) for bits in (2, 3, 4)), *((1, bits, 1) for bits in (5, 6, 7, 8))}
    assert found == {(0, 0, 0), *((0, bits, 0) for bits in range(2, 9)), *second}


def test_pieces_of_second_operands_are_low_digits_or_not() -> None:
    x = inputs("unpack_second", 2000, SECOND_DIGITS)
    assert set(x["is_unsigned"][x["first"] == 1].tolist()) == {0, 1}
