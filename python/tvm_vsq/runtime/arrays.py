"""Checks and conversions of the arrays that go into and come out of an inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tvm_vsq.arguments import in_order, is_known, outside
from tvm_vsq.errors import InputError, not_finite
from tvm_vsq.runtime.metadata import TensorSpec

Outputs = npt.NDArray[Any] | tuple[npt.NDArray[Any], ...]
"""What a network returns: a tensor, or a tuple of them."""


def positional(args: Sequence[Any], named: Mapping[str, Any], specs: Sequence[TensorSpec]) -> tuple[Any, ...]:
    """The arguments of a call in the order of the inputs; see `network.inputs.in_order`."""
    return in_order(tuple(args), named, [spec.name for spec in specs], InputError)


def check_inputs(args: Sequence[Any], specs: Sequence[TensorSpec]) -> list[npt.NDArray[Any]]:
    """Arguments as C-contiguous NumPy arrays.

    Raises InputError naming the input if the count, type, dtype or shape is wrong, or if it holds NaN,
    infinity, or an index that is none.
    """
    if len(args) != len(specs):
        raise InputError(
            f"the model takes {len(specs)} input(s), {[s.name for s in specs]}, but got {len(args)}"
        )
    return [_check_input(arg, spec) for arg, spec in zip(args, specs, strict=True)]


def split_batch(args: Sequence[Any], specs: Sequence[TensorSpec]) -> list[tuple[Any, ...]]:
    """Arguments of single inferences from arguments whose first axis holds several.

    Raises InputError if they do not hold the same whole number of inferences, at least one.
    """
    if len(args) != len(specs):
        raise InputError(
            f"the model takes {len(specs)} input(s), {[s.name for s in specs]}, but got {len(args)}"
        )
    counts = {}
    arrays = [_as_array(arg, spec) for arg, spec in zip(args, specs, strict=True)]
    for array, spec in zip(arrays, specs, strict=True):
        shape = array.shape
        if not spec.shape or not shape or shape[0] == 0 or shape[0] % spec.shape[0]:
            raise InputError(
                f"input '{spec.name}' has shape {shape}; the first axis of a batch must be a multiple of "
                f"that of {spec.shape}"
            )
        counts[spec.name] = shape[0] // spec.shape[0]
    if len(set(counts.values())) > 1:
        raise InputError(f"the inputs hold different numbers of inferences: {counts}")
    (count,) = set(counts.values())
    sizes = [spec.shape[0] for spec in specs]
    return [
        tuple(array[i * size : (i + 1) * size] for array, size in zip(arrays, sizes, strict=True))
        for i in range(count)
    ]


def join_batch(results: Sequence[Outputs], spec: TensorSpec) -> Outputs:
    """Outputs of single inferences along the first axis.

    Raises InputError for an output whose first axis is not that of the first input, `spec`.
    """
    alone = [result if isinstance(result, tuple) else (result,) for result in results]
    for number, array in enumerate(alone[0]):
        if array.shape[:1] != spec.shape[:1]:
            raise InputError(
                f"output {number} has shape {array.shape}, which does not begin with the batch of input "
                f"'{spec.name}', {spec.shape[0]}: run the inferences one by one"
            )
    joined = tuple(np.concatenate(arrays) for arrays in zip(*alone, strict=True))
    return joined if isinstance(results[0], tuple) else joined[0]


def _as_array(arg: Any, spec: TensorSpec) -> npt.NDArray[Any]:
    if isinstance(arg, torch.Tensor):
        return _from_torch(arg, spec)
    if isinstance(arg, np.ndarray):
        return arg
    raise InputError(f"input '{spec.name}' must be a torch.Tensor or numpy.ndarray, not {type(arg).__name__}")


def _check_input(arg: Any, spec: TensorSpec) -> npt.NDArray[Any]:
    array = _as_array(arg, spec)
    if str(array.dtype) != spec.dtype:
        raise InputError(f"input '{spec.name}' must be {spec.dtype}, got {array.dtype}; convert it")
    if array.shape != spec.shape:
        raise InputError(
            f"input '{spec.name}' must have shape {spec.shape}, got {array.shape}; "
            f"shapes are fixed when the model is compiled"
        )
    if not is_known(array, spec.is_mask):
        raise not_finite(spec.name)
    if wrong := outside(array, spec.range):
        raise InputError(f"input '{spec.name}' {wrong}")
    return np.ascontiguousarray(array)


def _from_torch(tensor: torch.Tensor, spec: TensorSpec) -> npt.NDArray[Any]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype != spec.dtype:  # NumPy does not have all of torch's dtypes
        raise InputError(f"input '{spec.name}' must be {spec.dtype}, got {dtype}; convert it")
    try:
        return tensor.detach().cpu().numpy()
    except (TypeError, RuntimeError) as error:  # sparse, meta, ...: NotImplementedError is a RuntimeError
        raise InputError(f"input '{spec.name}' must be a dense tensor with data: {error}") from None


def outputs_of(result: Any) -> Outputs:
    """The arrays of a virtual machine's result: one tensor, or a (possibly nested) tuple of tensors."""
    return result.numpy() if hasattr(result, "numpy") else tuple(_flat(result))


def _flat(result: Any) -> list[npt.NDArray[Any]]:
    if hasattr(result, "numpy"):
        return [result.numpy()]
    return [array for item in result for array in _flat(item)]


def like_inputs(outputs: Outputs, args: Sequence[Any]) -> Any:
    """Outputs as torch tensors if the inputs were, else as NumPy arrays; in a tuple if the model has one."""
    torch_out = any(isinstance(arg, torch.Tensor) for arg in args)

    def converted(array: npt.NDArray[Any]) -> Any:
        return torch.from_numpy(array.copy()) if torch_out else array

    return tuple(map(converted, outputs)) if isinstance(outputs, tuple) else converted(outputs)
