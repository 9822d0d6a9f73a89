"""What stands at the ports in each clock: bits of the numbers, each port at its time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.rtl import Block, Port
from tvm_vsq.rtl.rows import joined, rows, words_of


def of_bits(words: np.ndarray, port: Port) -> list[int]:
    """A row's numbers, unsigned, by Python's integers."""
    text = sum(int(word) << (32 * i) for i, word in enumerate(words))
    found = []
    for bits in port.numbers:
        found.append(text & ((1 << bits) - 1))
        text >>= bits
    assert not text  # what fills up the last word
    return found


@given(
    bits=st.integers(1, 48),
    lanes=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    several=st.booleans(),
)
def test_a_row_has_the_bits_of_its_numbers(bits: int, lanes: int, seed: int, several: bool) -> None:
    rng = np.random.default_rng(seed)
    parts = (bits, 3, 11) if several else ()
    port = Port("a", sum(parts) or bits, lanes, parts=parts)
    width = np.array(port.numbers)
    numbers = rng.integers(-(1 << 47), 1 << 47, (4, len(width))) >> (48 - width)  # signed, all magnitudes
    if bits == 1 and not several:
        numbers = -(numbers & 1)
    block = Block("b", "b", {}, (port,), (port,), clocked=False)
    table = rows(block, {"a": numbers}, {"a": (numbers, np.ones(numbers.shape, np.bool_))})
    assert table.inputs.shape == (4, words_of([port]))
    for row in range(4):
        wanted = [int(n) & ((1 << w) - 1) for n, w in zip(numbers[row], width, strict=True)]
        assert of_bits(table.inputs[row], port) == of_bits(table.expected[row], port) == wanted
        assert of_bits(table.care[row], port) == [(1 << w) - 1 for w in width]


def one(*numbers: int) -> np.ndarray:
    return np.array(numbers)[:, None]


def test_a_late_input_and_an_output_stand_where_their_transaction_is_by_then() -> None:
    early, late, result = Port("early", 8), Port("late", 8, delay=2), Port("result", 8, delay=3)
    block = Block("b", "b", {}, (early, late), (result,))
    values = (one(7, 8), np.array([[True], [False]]))
    table = rows(block, {"early": one(1, 2), "late": one(3, 4)}, {"result": values})
    assert len(table) == 2 + 3
    assert table.inputs.tolist() == [[1, 0], [2, 0], [0, 3], [0, 4], [0, 0]]
    # Rows are read behind the edge: a result of three clocks is there after the third one.
    assert table.expected[:, 0].tolist() == [0, 0, 7, 8, 0]
    assert table.care[:, 0].tolist() == [0, 0, 255, 0, 0]


@pytest.mark.parametrize("delay", [0, 1])
def test_an_output_of_no_clock_and_one_of_a_clock_are_read_in_the_same_row(delay: int) -> None:
    port = Port("a", 4)
    block = Block("b", "b", {}, (port,), (Port("y", 4, delay=delay),))
    table = rows(block, {"a": one(5)}, {"y": (one(9), np.array([[True]]))})
    assert table.expected[:, 0].tolist() == [9] + [0] * delay


def test_tables_are_joined_in_their_order() -> None:
    port = Port("a", 40)
    block = Block("b", "b", {}, (port,), (port,), clocked=False)
    parts = [rows(block, {"a": one(n)}, {"a": (one(n), np.array([[True]]))}) for n in (1, 1 << 33)]
    assert joined(parts).inputs.tolist() == [[1, 0], [0, 2]]
    assert len(joined(parts).care) == 2
