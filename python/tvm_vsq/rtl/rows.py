"""Transactions as what stands at a block's ports in each clock, in words of 32 bits for a testbench."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tvm_vsq.rtl.blocks import Block, Port

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Rows:
    """A row for each clock, uint32[clocks, words]; each port begins a word of its own.

    inputs: stand at the block before the clock's edge. expected, care: outputs behind it, and which of
    their bits are compared.
    """

    inputs: Words
    expected: Words
    care: Words

    def __len__(self) -> int:
        return len(self.inputs)


def rows(block: Block, inputs: Mapping[str, Ints], expected: Mapping[str, tuple[Ints, Flags]]) -> Rows:
    """What `inputs` int64[transactions, numbers] and `expected` are at the ports, each at its time."""
    transactions = len(next(iter(inputs.values())))
    clocks = transactions + max(port.delay for port in (*block.inputs, *block.outputs))
    numbers = [_later(_words(port, inputs[port.name]), clocks, port.delay) for port in block.inputs]
    values, masks = [], []
    for port in block.outputs:
        value, defined = expected[port.name]
        behind = max(0, port.delay - 1)  # the edge of row t comes before its outputs are read
        values.append(_later(_words(port, value), clocks, behind))
        every_bit = defined if port.bits == 1 else np.where(defined, -1, 0)
        masks.append(_later(_words(port, every_bit), clocks, behind))
    return Rows(np.hstack(numbers), np.hstack(values), np.hstack(masks))


def joined(tables: Iterable[Rows]) -> Rows:
    """One after the other."""
    columns = zip(*((table.inputs, table.expected, table.care) for table in tables), strict=True)
    return Rows(*map(np.concatenate, columns))


def words_of(ports: Sequence[Port]) -> int:
    """Words of a row."""
    return sum(-(-port.width // 32) for port in ports)


def _later(words: Words, clocks: int, delay: int) -> Words:
    return np.pad(words, ((delay, clocks - len(words) - delay), (0, 0)))


def _words(port: Port, numbers: Ints | Flags) -> Words:
    """int64[transactions, numbers], each cut to its width, to uint32[transactions, words]."""
    if port.bits == 1:
        bits = numbers != 0
    else:
        bits = np.concatenate(_bits_of_parts(port, numbers), axis=-1).reshape(len(numbers), -1)
    padded = np.pad(bits, ((0, 0), (0, -port.width % 32)))
    return np.packbits(padded, axis=1, bitorder="little").view("<u4")


def _bits_of_parts(port: Port, numbers: Ints | Flags) -> list[npt.NDArray[np.uint8]]:
    """[transactions, lanes, bits] for each of the numbers that a lane consists of."""
    widths = port.parts or (port.bits,)
    octets = np.ascontiguousarray(numbers, "<i8").view(np.uint8).reshape(len(numbers), -1, len(widths), 8)
    return [
        np.unpackbits(octets[:, :, part, : -(-width // 8)], axis=-1, count=width, bitorder="little")
        for part, width in enumerate(widths)
    ]
