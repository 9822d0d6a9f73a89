"""What a unit of the accelerator works on, a row for each of its cycles, as the simulator recorded it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Operands:
    """Cycles [skip, skip + n) of `unit` in `layer`, of the `cycles` that it works there in an inference.

    In the order of the hardware, without the cycles in which a pipeline fills. instruction: int64[n], the
    number of each row's instruction in its program. Elements have their sign. The scale of a format without
    scales is 1, and 0 in the border of a LOAD.
    """

    layer: str
    unit: str
    lane: int
    skip: int
    cycles: int
    instruction: Ints

    def __len__(self) -> int:
        return len(self.instruction)


@dataclass(frozen=True)
class ComputeOperands(Operands):
    """GEMM: a micro-op a cycle, in output lane `lane`.

    activations, weights: int64[n, V]; activation_scale, weight_scale: int64[n]; all are 0 where `reset`,
    which reads none. activation_unsigned, reset, fresh (a reduction begins): bool[n]. entry: int64[n], the
    accumulator entry; before, after: int64[n], the lane's accumulator in it.
    """

    activations: Ints
    activation_scale: Ints
    activation_unsigned: Flags
    weights: Ints
    weight_scale: Ints
    reset: Flags
    fresh: Flags
    entry: Ints
    before: Ints
    after: Ints


@dataclass(frozen=True)
class PpuOperands(Operands):
    """PPU: a block of BO accumulators a cycle, all lanes; S = max(1, BO / V) vectors lie in a block.

    acc: int64[n, BO]. par: int64[n, BO, 4], mult, shift, bias and clip. relu, wide, residual, res_unsigned,
    out_unsigned: bool[n]. res_elements: int64[n, BO], res_scales: int64[n, S], 0 without a residual.
    res_mult, res_shift: int64[n]. first, last: bool[n], whether a vector begins or ends with the block.

    y: int64[n, BO], what becomes of the accumulators. Where `wide`, they are replaced by it, else
    out_elements: int64[n, BO] and out_scales: int64[n, S] are stored. stored: bool[n, S]; vectors that are
    not are 0.
    """

    acc: Ints
    par: Ints
    relu: Flags
    wide: Flags
    residual: Flags
    res_unsigned: Flags
    res_elements: Ints
    res_scales: Ints
    res_mult: Ints
    res_shift: Ints
    out_unsigned: Flags
    first: Flags
    last: Flags
    y: Ints
    out_elements: Ints
    out_scales: Ints
    stored: Flags


@dataclass(frozen=True)
class VectorOperands(Operands):
    """VEC: an accumulator entry a cycle, in output lane `lane`.

    op: int64[n], codes of the instruction's field. src_imm, src_unsigned: bool[n]. imm, shift, element,
    scale: int64[n]; element and scale are 0 where `src_imm`. entry, before, after: int64[n], as for compute.
    table: int64[n], the row of `tables` that op `table` looks up, else -1. tables: int64[t, 128, 2], value
    and slope of each segment, one for each instruction that fills the lanes' copies.
    """

    op: Ints
    src_imm: Flags
    src_unsigned: Flags
    imm: Ints
    shift: Ints
    element: Ints
    scale: Ints
    entry: Ints
    before: Ints
    after: Ints
    table: Ints
    tables: Ints


UNITS: dict[str, type[Operands]] = {
    "compute": ComputeOperands,
    "vector": VectorOperands,
    "ppu": PpuOperands,
}
"""Units whose operands are recorded."""
