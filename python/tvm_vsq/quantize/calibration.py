"""Ranges of intermediate tensors, observed while the fp32 network runs over the user's data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import CalibrationError
from tvm_vsq.graph import definitions, op_name, static_shape, tensors
from tvm_vsq.network import source_of
from tvm_vsq.progress import steps
from tvm_vsq.quantize.data import batches
from tvm_vsq.tvm_compat import IRModule, Var


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
    """Run the fp32 `module` over all of `data` and return the range of each variable in `points`.

    data: see `tvm_vsq.quantize.data.batches`. The network runs in PyTorch (`torch_graph`).
    Raises CalibrationError for bad data, and if a value in the network overflows.
    """
    lows = np.full(len(points), np.inf)
    highs = np.full(len(points), -np.inf)
    given = set(module["main"].params)
    for observed in _run(module, points, data):
        values = np.array([[float(extreme) for extreme in _extremes(tensor)] for tensor in observed])
        for row, point in zip(values, points, strict=True):
            if not np.isfinite(row).all() and point not in given:  # masks among inputs hide by -inf
                raise CalibrationError(_overflow(module, point, row))
        values = values.reshape(-1, 2)
        lows, highs = np.minimum(lows, values[:, 0]), np.maximum(highs, values[:, 1])
    return {p: Range(float(low), float(high)) for p, low, high in zip(points, lows, highs, strict=True)}


def _overflow(module: IRModule, point: Var, row: npt.NDArray[Any]) -> str:
    values = definitions(module["main"])
    operator = op_name(values.get(point)).removeprefix("relax.")
    advice = "scale them"
    if np.isnan(row).any():
        advice = (
            "what it reads holds infinities already; find what gives them: a division by 0, a mask of +inf"
        )
    elif row[0] == -np.inf and row[1] < np.inf and _become_probabilities(point, values):
        advice = (
            "minus infinity is a mask where scores that a softmax reads next are filled with it, or an input "
            "that holds it is added to them; anywhere else hide by a number, such as -1e9"
        )
    return (
        f"'{point.name}', the result of '{operator}' {list(static_shape(point))}, overflows to "
        f"{row[0]}..{row[1]} on the calibration data; {advice}"
    )


def _become_probabilities(point: Var, values: Mapping[Var, Any]) -> bool:
    """Whether rows whose sum is known are made of what depends on `point`."""
    behind = {point}
    for var, value in values.items():
        if any(each in behind for each in tensors(value)):
            behind.add(var)
            source = source_of(value)
            if source is not None and source.rows is not None and source.rows.total is not None:
                return True
    return False


def _extremes(tensor: Any) -> Any:
    return (tensor if tensor.is_floating_point() else tensor.double()).aminmax()


def observe(module: IRModule, points: Sequence[Var], data: Any) -> Iterator[list[npt.NDArray[Any]]]:
    """Run the fp32 `module` over `data` as `calibrate` does; yields the values of `points`, run by run."""
    for observed in _run(module, points, data):
        yield [np.ascontiguousarray(tensor.numpy()) for tensor in observed]


def _run(module: IRModule, points: Sequence[Var], data: Any) -> Iterator[tuple[Any, ...]]:
    import torch  # takes a second, which only those pay who calibrate

    from tvm_vsq.torch_graph import TorchGraph, tensor_of

    function = module["main"]
    graph = TorchGraph(function, points)
    for arrays in steps("running the fp32 network", batches(function, data)):
        with torch.inference_mode():  # which must not reach the reader
            tensors = graph(*(tensor_of(array) for array in arrays))
        yield tensors
