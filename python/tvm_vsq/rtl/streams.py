"""Operands of real layers as transactions of a block: its inputs, and what the simulator computed of them."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.files import replacing
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.rtl.blocks import VECTOR_LANE_CYCLES, blocks
from tvm_vsq.rtl.operands import ComputeOperands, Operands, PpuOperands, VectorOperands
from tvm_vsq.rtl.reference import Results, expected
from tvm_vsq.rtl.simulate import Check, check_inputs

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """Transactions of `block`, in the accelerator's order.

    inputs: int64[transactions, numbers] of each port, as `check_inputs` takes them. simulated: of each output
    what the simulator computed, and a mask of the same shape; what it did not compute is False.
    """

    block: str
    inputs: dict[str, Ints]
    simulated: Results

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


def streams(hardware: HardwareConfig, operands: Operands) -> list[Stream]:
    """The blocks that work on `operands`: vector_mac, vector_lane, or ppu and the first ppu_lane."""
    if isinstance(operands, ComputeOperands):
        return [vector_mac(operands)]
    if isinstance(operands, VectorOperands):
        return [vector_lane(operands)]
    if isinstance(operands, PpuOperands):
        return [ppu(hardware, operands), ppu_lane(operands)]
    raise TypeError(f"operands of a {type(operands).__name__} are of no block")


def vector_mac(operands: ComputeOperands) -> Stream:
    """Of one output lane.

    An entry that an instruction takes twice running is forwarded; what the scratchpad says then is one sum
    behind. Ports that a cycle does not read stay as they were.
    """
    same = (np.diff(operands.entry) == 0) & (np.diff(operands.instruction) == 0)
    forward = np.concatenate([[False], same]) & ~operands.fresh & ~operands.reset
    behind = np.concatenate([operands.before[:1], operands.before[:-1]])
    acc_in = np.where(forward, behind, operands.before)
    read, none = ~operands.reset, _column(np.zeros_like(forward))
    return Stream(
        "vector_mac",
        {
            "weights": _held(operands.weights, read),
            "weight_scale": _held(operands.weight_scale, read),
            "weight_unsigned": none,
            "activations": _held(operands.activations, read),
            "activation_scale": _held(operands.activation_scale, read),
            "activation_unsigned": _column(operands.activation_unsigned),
            "unscaled": none,
            "reset": _column(operands.reset),
            "fresh": _column(operands.fresh),
            "forward": _column(forward),
            "shift": none,
            "acc_in": _held(acc_in, read & ~operands.fresh),
        },
        {"acc": _known(operands.after)},
    )


def ppu(hardware: HardwareConfig, operands: PpuOperands) -> Stream:
    """All lanes. The record of a vector of which not all blocks were recorded is not compared."""
    count = len(operands)
    first = operands.first.copy()
    first[:1] = True
    group = np.cumsum(first) - 1
    begun, ended = (np.zeros(count, np.bool_) for _ in range(2))
    begun[group[operands.first]] = True
    ended[group[operands.last]] = True
    stored = operands.stored & (begun & ended)[group][:, None]
    record, mask = _records(hardware, operands, stored)
    none = _column(np.zeros_like(operands.out_unsigned))
    return Stream(
        "ppu",
        {
            "acc": operands.acc,
            "par": operands.par.reshape(count, -1),
            "relu": _column(operands.relu),
            "residual": _column(operands.residual),
            "res_unsigned": _column(operands.res_unsigned),
            "res_elements": operands.res_elements,
            "res_digits": none,
            "res_scales": operands.res_scales,
            "res_mult": _column(operands.res_mult),
            "res_shift": _column(operands.res_shift),
            "out_unsigned": _column(operands.out_unsigned),
            **dict.fromkeys(("second", "out_bits", "out_scale_bits", "digits"), none),
            "first": _column(first),
            "last": _column(operands.last),
        },
        {"y": _known(operands.y), "record": (record, mask)},
    )


def ppu_lane(operands: PpuOperands, lane: int = 0) -> Stream:
    """One of its lanes."""
    vector = lane * operands.res_scales.shape[1] // operands.acc.shape[1]
    return Stream(
        "ppu_lane",
        {
            "acc": _column(operands.acc[:, lane]),
            "par": operands.par[:, lane],
            "relu": _column(operands.relu),
            "residual": _column(operands.residual),
            "res_unsigned": _column(operands.res_unsigned),
            "res_element": _column(operands.res_elements[:, lane]),
            "res_scale": _column(operands.res_scales[:, vector]),
            "res_digits": _column(np.zeros_like(operands.residual)),
            "res_mult": _column(operands.res_mult),
            "res_shift": _column(operands.res_shift),
        },
        {"y": _known(operands.y[:, lane])},
    )


def vector_lane(operands: VectorOperands) -> Stream:
    """One output lane, with the transactions that fill its table before each instruction that looks it up.

    Those come when the lane's pipeline is empty, as at the end of an instruction.
    """
    parts: list[dict[str, Ints]] = []
    starts = np.flatnonzero(np.diff(operands.table, prepend=-1) != 0)
    bounds = [0, *(int(start) for start in starts if start), len(operands)]
    for start, stop in itertools.pairwise(bounds):
        rows = slice(start, stop)
        if operands.table[start] >= 0:
            idle = _lane_rows(operands, slice(max(0, start - 1), max(0, start - 1) + 1))
            parts += [
                _repeated(idle, VECTOR_LANE_CYCLES),
                _fill(idle, operands.tables[operands.table[start]]),
            ]
        parts.append(_lane_rows(operands, rows))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    after, known = joined.pop("after"), joined.pop("known") != 0
    return Stream("vector_lane", joined, {"acc": (after, known)})


def _lane_rows(operands: VectorOperands, rows: slice) -> dict[str, Ints]:
    """An entry that comes twice running is forwarded; what the scratchpad says then is one result behind."""
    zeros = np.zeros((len(operands.op[rows]), 1), np.int64)
    entry, before = operands.entry[rows], operands.before[rows]
    forward = np.append(False, entry[1:] == entry[:-1])
    ports = {
        "op": operands.op[rows],
        "src_imm": operands.src_imm[rows],
        "src_unsigned": operands.src_unsigned[rows],
        "acc_in": before,
        "acc_late": np.where(forward, np.roll(before, 1), before),
        "forward": forward,
        "element": operands.element[rows],
        "scale": operands.scale[rows],
        "imm": operands.imm[rows],
        "shift": operands.shift[rows],
        "after": operands.after[rows],
    }
    found = {name: _column(column) for name, column in ports.items()}
    idle = dict.fromkeys(("src_acc", "second", "digits", "fill", "fill_address", "fill_segment"), zeros)
    return {**found, **idle, "known": zeros + 1}


def _repeated(row: dict[str, Ints], count: int) -> dict[str, Ints]:
    """A row that is not compared."""
    still = {**row, "known": row["known"] * 0, "forward": row["forward"] * 0}
    return {name: np.repeat(number, count, axis=0) for name, number in still.items()}


def _fill(row: dict[str, Ints], table: Ints) -> dict[str, Ints]:
    """`table` int64[128, 2] goes into the lane's memory; the other ports stay."""
    mask = (1 << 24) - 1
    return {
        **_repeated(row, len(table)),
        "fill": np.ones((len(table), 1), np.int64),
        "fill_address": np.arange(len(table))[:, None],
        "fill_segment": (table[:, 1:] & mask) << 24 | table[:, :1] & mask,
    }


def _records(
    hardware: HardwareConfig, operands: PpuOperands, stored: npt.NDArray[np.bool_]
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Bits of the records that each block makes, and which of them are known: of vectors that are stored."""
    fmt = hardware.formats.activation
    count, vectors = operands.out_scales.shape
    elements = operands.out_elements.reshape(count, vectors, -1, 1) >> np.arange(fmt.bits) & 1
    scales = operands.out_scales[..., None] >> np.arange(fmt.scale_width) & 1
    bits = np.concatenate([elements.reshape(count, vectors, -1), scales], axis=2)
    mask = np.broadcast_to(stored[..., None], bits.shape)
    return bits.reshape(count, -1), mask.reshape(count, -1)


def _column(numbers: npt.NDArray[Any]) -> Ints:
    return numbers.astype(np.int64)[:, None]


def _held(numbers: Ints, read: npt.NDArray[np.bool_]) -> Ints:
    """[n] or [n, lanes] to [n, lanes]: rows that are not read are those before."""
    latest = np.maximum.accumulate(np.where(read, np.arange(len(read)), 0))
    return numbers.reshape(len(numbers), -1)[latest]


def _known(numbers: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    array = numbers.reshape(len(numbers), -1)
    return array, np.ones(array.shape, np.bool_)


def check_stream(
    hardware: HardwareConfig,
    stream: Stream,
    simulator: str = "verilator",
    folder: str | os.PathLike[str] | None = None,
) -> Check:
    """RTL against what the simulator computed; `simulator` and `folder` as for `check`.

    Raises ToolError as `check` does.
    """
    return check_inputs(
        hardware, blocks(hardware)[stream.block], stream.inputs, simulator, folder, results=stream.simulated
    )


def differences(hardware: HardwareConfig, stream: Stream) -> int:
    """Numbers that the NumPy reference and the simulator say differently."""
    found = expected(hardware, stream.block, stream.inputs)
    wrong = 0
    for name, (simulated, known) in stream.simulated.items():
        values, defined = found[name]
        wrong += int(np.count_nonzero(known & (~defined | (values != simulated))))
    return wrong


def save(stream: Stream, path: str | os.PathLike[str]) -> None:
    """Write `stream` as .npz: block, inputs/<port>, simulated/<port> and known/<port>.

    Raises InputError if `path` cannot be written.
    """
    arrays: dict[str, npt.NDArray[np.generic]] = {"block": np.array(stream.block)}
    arrays |= {f"inputs/{name}": numbers for name, numbers in stream.inputs.items()}
    for name, (numbers, known) in stream.simulated.items():
        arrays |= {f"simulated/{name}": numbers, f"known/{name}": known}
    with replacing(path, ".npz") as draft:
        np.savez_compressed(draft, **arrays)  # type: ignore[arg-type]
