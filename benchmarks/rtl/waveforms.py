"""Transactions of a block as waveforms of its netlist, and whether it makes of them what it has to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from netlist import Netlist, Wave

from tvm_vsq.rtl import Block, Port
from tvm_vsq.rtl.reference import Results

Ints = npt.NDArray[np.int64]
Inputs = Mapping[str, Ints]


@dataclass(frozen=True)
class Run:
    """waves: of every net, over `clocks` clocks: a transaction begins in each, then the pipeline empties."""

    netlist: Netlist
    waves: Mapping[str, Wave]
    transactions: int
    clocks: int


def simulated(netlist: Netlist, block: Block, inputs: Inputs) -> Run:
    """`netlist` of `block` with `inputs` int64[transactions, numbers] of each port, without delays."""
    transactions = len(next(iter(inputs.values())))
    clocks = transactions + max(port.delay for port in (*block.inputs, *block.outputs))
    given = {
        port.name: [wave << port.delay for wave in _waves(port, inputs[port.name])]
        for port in block.inputs
        if port.name in netlist.inputs
    }
    given |= {name: [0] for name in netlist.inputs if name == "clock"}
    if "memory_read_data" in netlist.inputs:
        # What is read does not come back to the address.
        nothing = {"memory_read_data": [0] * len(netlist.inputs["memory_read_data"])}
        given["memory_read_data"] = _read_data(netlist, netlist.waves(given | nothing, clocks), clocks)
    return Run(netlist, netlist.waves(given, clocks), transactions, clocks)


def wrong(run: Run, block: Block, results: Results) -> int:
    """Transactions of which an output is not what `results` have, where they know it."""
    differ = 0
    for port in block.outputs:
        numbers, known = results[port.name]
        wanted = zip(_waves(port, numbers), _waves(port, np.where(known, -1, 0)), strict=True)
        for net, (value, mask) in zip(run.netlist.outputs[port.name], wanted, strict=True):
            differ |= ((run.waves[net] >> port.delay) ^ value) & mask
    return differ.bit_count()


def bits_of(waves: Mapping[str, Wave], nets: Sequence[str], clocks: int) -> npt.NDArray[np.uint8]:
    """0 or 1 [clocks, nets]."""
    columns = [np.frombuffer(waves[net].to_bytes(clocks // 8 + 1, "little"), np.uint8) for net in nets]
    return np.unpackbits(np.array(columns), axis=1, count=clocks, bitorder="little").T


def _waves(port: Port, numbers: Ints) -> list[Wave]:
    """Of each bit of `port`, the lowest first."""
    return [
        int.from_bytes(np.packbits(column >> bit & 1, bitorder="little").tobytes(), "little")
        for column, bits in zip(np.ascontiguousarray(numbers.T), port.numbers, strict=True)
        for bit in range(bits)
    ]


def _read_data(netlist: Netlist, waves: Mapping[str, Wave], clocks: int) -> list[Wave]:
    """What the memory macro gives: rtl/table_memory.sv."""

    def numbers(pin: str) -> list[int]:
        bits = bits_of(waves, netlist.outputs[f"memory_{pin}"], clocks).astype(np.int64)
        return list((bits << np.arange(bits.shape[1])).sum(axis=1).tolist())

    held: dict[int, int] = {}
    data = [0]
    columns = [numbers(pin) for pin in ("write", "write_address", "write_data", "read_address")]
    for write, write_address, write_data, read_address in zip(*columns, strict=True):
        data.append(held.get(read_address, 0))
        if write:
            held[write_address] = write_data
    width = len(netlist.inputs["memory_read_data"])
    return _waves(Port("read_data", width), np.array(data[:clocks], np.int64)[:, None])
