"""What code generation has to know of an operator: the aspect `lower` of `registry`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import ProgramError
from tvm_vsq.formats.rows import RowStep
from tvm_vsq.graph import is_constant, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Workload
from tvm_vsq.schedule.rows import Rows

Weights = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Lowering:
    """workload: from a vsq.* call, whether it has a residual, and the accelerator, the shape of its work.

    weights: from the constant weights of a call, int16 [K, ..., CV, V+1], what the array reads of each output
    channel, [K, R, S, CV, V+1]; None if it has none. has_other: whether operand 1 is a second activation, the
    operand "other" of the nest, or, if it `other_is_second`, "wgt", in place of weights. rows: of an
    operator on rows of accumulators, from the attributes of a call, what is done with them; operand 1 are
    its tables then, if it `has_tables`, and what follows params is the operand `added` of the nest.
    """

    workload: Callable[[Any, bool, HardwareConfig], Workload]
    weights: Callable[[Weights, Any, HardwareConfig], Weights] | None = None
    has_other: bool = False
    other_is_second: bool = False
    rows: Callable[[Mapping[str, Any], bool], RowStep] | None = None
    has_tables: bool = True
    added: str = "other"


def output_blocks(channels: int, hardware: HardwareConfig) -> int:
    """Accumulator blocks of so many output channels."""
    return -(-channels // hardware.output_lanes)


def row_workload(
    call: Any,
    has_other: bool,
    hardware: HardwareConfig,
    *,
    program: str,
    passes: int,
    reductions: int,
    tables: int = 1,
) -> Rows:
    """The workload of a call (x[, tables], params[, other]) on rows of accumulators."""
    *leading, channels = static_shape(call.args[0])
    other = static_shape(call.args[-1])[:-1] if has_other else tuple(leading)
    pixels, others = as_pixels(leading, other)
    repeated = tuple(theirs != ours for ours, theirs in zip(pixels, others, strict=True))
    return Rows(
        *pixels,
        kb=output_blocks(channels, hardware),
        program=program,
        passes=passes,
        reductions=reductions,
        tables=tables,
        other=(repeated[0], repeated[1], repeated[2]) if has_other else None,
        wide=bool(int(call.attrs["wide"])),
        constant=has_other and is_constant(call.args[-1]),
    )


def as_pixels(
    leading: Sequence[int], other: Sequence[int]
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Leading extents of two tensors, of which the second has 1 where it is repeated, as n, h and w.

    Raises ProgramError where it takes more axes.
    """
    if len(leading) == 3:
        return tuple(leading), tuple(other)  # type: ignore[return-value]
    if list(leading) == list(other):
        rows = (1, 1, prod(leading))
        return rows, rows
    pairs: list[tuple[int, int]] = []
    for ours, theirs in zip(leading, other, strict=True):
        if pairs and (pairs[-1][0] == pairs[-1][1]) == (ours == theirs):
            pairs[-1] = pairs[-1][0] * ours, pairs[-1][1] * theirs
        else:
            pairs.append((ours, theirs))
    if len(pairs) > 3:
        raise ProgramError(
            f"a tensor with rows {list(other)} is added to rows {list(leading)}: more than three axes"
        )
    pairs = [(1, 1)] * (3 - len(pairs)) + pairs
    (a, x), (b, y), (c, z) = pairs
    return (a, b, c), (x, y, z)
