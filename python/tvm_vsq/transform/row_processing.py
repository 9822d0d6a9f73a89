"""Turns layers on whole rows into integers: units of their rows, tables, and the post-processing of what
they give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm_ffi

from tvm_vsq.errors import QuantizationError
from tvm_vsq.formats.rows import Probabilities
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.node import Node, RowNode
from tvm_vsq.layers.steps import smallest_step, wide_step
from tvm_vsq.network import source_of
from tvm_vsq.network.source import RowForm
from tvm_vsq.transform.post_processing import parameters, result_step
from tvm_vsq.tvm_compat import Var

_LEAST_ACCUMULATOR_BITS = 26
"""Values of tables have 24 bits, and a sign."""

_ROUNDED = 1 + 1e-5

_FINER_BITS = 3
"""Below the finest step of vectors, in which numbers of 32 bits lose nothing that vectors would have."""


@dataclass(frozen=True)
class RowProcessing:
    """attributes, tables: of the integer operator. params: int32[K, 4]. step: what one unit of its result is
    worth.
    """

    attributes: dict[str, Any]
    tables: npt.NDArray[np.int32] | None
    params: npt.NDArray[np.int32]
    step: np.float32


def units_of_rows(
    nodes: Sequence[Node], rows: Sequence[RowNode], hardware: HardwareConfig
) -> dict[Var, float]:
    """What one unit is worth of each tensor that becomes rows: what a layer reads and what it adds to that.

    Raises QuantizationError as `post_processing`.
    """
    return _Units(nodes, rows, hardware).all()


class _Units:
    """Tensors that one layer reads have one unit, and so have all that are tied to each other like that."""

    def __init__(self, nodes: Sequence[Node], rows: Sequence[RowNode], hardware: HardwareConfig) -> None:
        self._rows, self._hardware = rows, hardware
        self._made = {node.chain.output: node for node in nodes if node.output is None}
        self._results = {row.anchor: row for row in rows if row.output is None}
        self._twins = {wide: _twin(row, rows) for wide, row in self._results.items()}
        self._readers: dict[Var, list[RowNode]] = {}
        for row in rows:
            for tensor in _tensors(row):
                self._readers.setdefault(tensor, []).append(row)
        self._found: dict[Var, float] = {}

    def all(self) -> dict[Var, float]:
        """Of each tensor that is read."""
        for row in self._rows:
            self._of(row)
        return self._found

    def _of(self, row: RowNode) -> float:
        """Of what `row` reads."""
        if row.x in self._found:
            return self._found[row.x]
        tied = self._tied(row)
        least = 0.0
        for each in tied:
            largest = max(each.absmax, each.output_absmax or 0.0) if _form(each).added else each.absmax
            least = max(least, float(wide_step(largest, 0.0)))
        for tensor in dict.fromkeys(tensor for each in tied for tensor in _tensors(each)):
            least = max(least, self._least(tensor), self._of_twin(tensor))
        for each in tied:
            least = float(np.float32(_form(each).unit(each.call, least)))
        for each in tied:
            # some take units of a grid alone; that these are float32 must not lead to the next one
            if _form(each).unit(each.call, least / _ROUNDED) > least * _ROUNDED:
                raise QuantizationError(
                    f"layer '{each.name}' reads rows of '{each.x.name}' that another layer reads in another "
                    f"unit; give each a result of its own, or leave one of them in fp32 by a rule"
                )
            self._found |= dict.fromkeys(_tensors(each), least)
        return least

    def _tied(self, row: RowNode) -> list[RowNode]:
        """The layers that read what `row` reads, and what else these read, and so on."""
        found, pending, seen = [row], _tensors(row), set(_tensors(row))
        while pending:
            for reader in self._readers[pending.pop()]:
                if not any(reader is each for each in found):
                    found.append(reader)
                new = [tensor for tensor in _tensors(reader) if tensor not in seen]
                seen.update(new)
                pending += new
        return found

    def _of_twin(self, tensor: Var) -> float:
        """The unit in which the PPU makes vectors of the same numbers, if it is fine enough: with it, both
        have the same parameters.
        """
        twin = self._twins.get(tensor)
        if twin is None or self._hardware.guard_bits < _FINER_BITS:
            return 0.0
        return float(_step(twin, self._hardware, 0.0))

    def _least(self, tensor: Var) -> float:
        """What the layer that makes `tensor` can have as its unit."""
        if tensor in self._made:
            return float(result_step(self._made[tensor], self._hardware))
        row = self._results.get(tensor)
        if row is None:
            return 0.0
        # a norm's own unit does not matter, and may be the one that is asked for
        unit = self._of(row) if _form(row).keeps_unit else 0.0
        return float(_step(row, self._hardware, unit))


def _twin(wide: RowNode, rows: Sequence[RowNode]) -> RowNode | None:
    """The layer that makes vectors of what `wide` makes numbers of 32 bits of."""
    for row in rows:
        if row.output is not None and tvm_ffi.structural_equal(row.call, wide.call):
            return row
    return None


def _tensors(row: RowNode) -> list[Var]:
    """What has to be in one unit; constants are in any."""
    return [each for each in (row.x, row.added) if isinstance(each, Var)]


def row_processing(
    row: RowNode, unit: float, result: float | None, hardware: HardwareConfig
) -> RowProcessing:
    """The integers of `row`, whose rows count steps of `unit`; result: what its own have to be worth, if
    rows are made of them (docs/numerics.md, sections 5 and 7).

    Raises QuantizationError naming the layer if a factor or bias, or a table's values, do not fit.
    """
    form = _form(row)
    if not form.keeps_unit and hardware.accumulator_bits < _LEAST_ACCUMULATOR_BITS:
        raise QuantizationError(
            f"layer '{row.name}' looks values of 24 bits up, which do not fit accumulator_bits="
            f"{hardware.accumulator_bits} of target '{hardware.label}'; widen it to "
            f"{_LEAST_ACCUMULATOR_BITS}, or leave the layer in fp32 by a rule"
        )
    steps, bias = form.factors(row.call)
    if form.keeps_unit:
        steps = steps * unit
    attributes, tables = form.numbers(row.call, unit, row.absmax, row.is_guarded)
    if form.total is not None:
        _check_probabilities(row, attributes, hardware)
    step = np.float32(result) if result is not None else _step(row, hardware, unit)
    params = parameters(row.name, steps, bias, inf, float(step), hardware)
    return RowProcessing(attributes, tables, params, step)


def _check_probabilities(row: RowNode, attributes: dict[str, Any], hardware: HardwareConfig) -> None:
    is_masked = row.added is not None
    needed = Probabilities(attributes["argument_shift"], attributes["exponent"], is_masked).bits
    if hardware.accumulator_bits < needed:
        what = "hides scores by numbers" if is_masked else "compares scores with numbers"
        raise QuantizationError(
            f"layer '{row.name}' {what} of {needed} bits, which do not fit accumulator_bits="
            f"{hardware.accumulator_bits} of target '{hardware.label}'; widen it to {needed}, or leave the "
            "layer in fp32 by a rule"
        )


def _step(row: RowNode, hardware: HardwareConfig, unit: float) -> np.float32:
    if row.output is not None:
        return np.float32(row.output.gamma / 2.0**hardware.guard_bits)
    form = _form(row)
    steps, bias = form.factors(row.call)
    if form.keeps_unit:
        return wide_step(row.output_absmax or row.absmax, unit)
    finest = smallest_step(np.abs(steps), 0.0, bias, hardware)
    return wide_step(row.output_absmax or float(np.abs(steps).max() * 2.0**16), finest)


def _form(row: RowNode) -> RowForm:
    source: Any = source_of(row.call)
    form: RowForm = source.rows
    return form
