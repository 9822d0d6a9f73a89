"""Ranges of intermediate tensors, observed while the fp32 network runs over the user's data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from tvm_vsq.errors import CalibrationError
from tvm_vsq.graph import Rebuilder, replace_main
from tvm_vsq.quantize.data import batches
from tvm_vsq.tvm_compat import IRModule, Tuple, Var


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of a tensor over all calibration data."""

    min: float
    max: float

    @property
    def absmax(self) -> float:
        """Largest magnitude."""
        return max(abs(self.min), abs(self.max))


def calibrate(module: IRModule, points: Sequence[Var], data: Any) -> dict[Var, Range]:
    """Run the fp32 `module` on "llvm" over all of `data` and return the range of each variable in `points`.

    data: see `tvm_vsq.quantize.data.batches`. The network is compiled once, with its minima and maxima as
    its only outputs. Raises CalibrationError for bad data, and if a value in the network overflows.
    """
    params = list(module["main"].params)
    runs = batches(params, data)
    observed = relax.transform.DeadCodeElimination()(
        replace_main(module, _Observer(module["main"], points).run())
    )
    machine = relax.VirtualMachine(relax.build(observed, "llvm"), tvm.cpu())
    lows = np.full(len(points), np.inf)
    highs = np.full(len(points), -np.inf)
    for arrays in runs:
        results = machine["main"](*(tvm.runtime.tensor(np.ascontiguousarray(array)) for array in arrays))
        values = np.array([float(value.numpy()) for value in results]).reshape(-1, 2)
        for row, point in zip(values, points, strict=True):
            if not np.isfinite(row).all():
                raise CalibrationError(
                    f"'{point.name}' overflows to {row[0]}..{row[1]} on the calibration data; scale them"
                )
        lows, highs = np.minimum(lows, values[:, 0]), np.maximum(highs, values[:, 1])
    return {p: Range(float(low), float(high)) for p, low, high in zip(points, lows, highs, strict=True)}


def observe(module: IRModule, points: Sequence[Var], data: Any) -> Iterator[list[npt.NDArray[Any]]]:
    """Run the fp32 `module` over `data` as `calibrate` does; yields the values of `points`, run by run."""
    params = list(module["main"].params)
    function = _Observer(module["main"], points, whole=True).run()
    observed = relax.transform.DeadCodeElimination()(replace_main(module, function))
    machine = relax.VirtualMachine(relax.build(observed, "llvm"), tvm.cpu())
    for arrays in batches(params, data):
        results = machine["main"](*(tvm.runtime.tensor(np.ascontiguousarray(array)) for array in arrays))
        yield [value.numpy() for value in results]


class _Observer(Rebuilder):
    """The same network with other outputs: the extremes of `points`, or their values."""

    def __init__(self, function: relax.Function, points: Sequence[Var], whole: bool = False) -> None:
        super().__init__(function)
        self._points, self._whole = points, whole

    def result(self, value: Any) -> Any:
        new = [self.new(point) for point in self._points]
        if self._whole:
            return Tuple(new)
        return Tuple([self.emit(extreme(point)) for point in new for extreme in (relax.op.min, relax.op.max)])
