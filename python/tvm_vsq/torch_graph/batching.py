"""Any number of samples through a graph of a fixed batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from tvm_vsq.arguments import in_order, is_known, outside
from tvm_vsq.errors import InputError, not_finite
from tvm_vsq.network.inputs import Input

Outputs = torch.Tensor | tuple[torch.Tensor, ...]


def run_in_batches(
    run: Callable[..., Outputs], params: Sequence[Input], inputs: Sequence[Any], named: dict[str, Any]
) -> Any:
    """`run` over inputs of any number of samples; NumPy arrays give NumPy arrays.

    params: the inputs of one run; where their first axes agree, that is the batch. The last batch is filled
    with copies of its last sample, whose results are dropped. inputs, named: as `network.inputs.in_order`
    takes them.
    Raises InputError naming the input whose type, shape or dtype does not fit, or that holds NaN, infinity or
    an index that is none; and if results have no batch axis.
    """
    inputs = in_order(tuple(inputs), named, [param.name for param in params], InputError)
    if len(inputs) != len(params):
        raise InputError(f"the network takes {len(params)} inputs, got {len(inputs)}")
    is_numpy = all(isinstance(value, np.ndarray) for value in inputs)
    tensors = [_tensor(value, param) for value, param in zip(inputs, params, strict=True)]
    samples = _check(tensors, params)
    size = params[0].shape[0] if samples is not None else 0
    if samples is None or samples == size:
        return _convert(run(*tensors), is_numpy)
    runs = []
    for start in range(0, samples, size):
        rows = torch.arange(start, start + size).clamp(max=samples - 1)
        runs.append(run(*(tensor[rows] for tensor in tensors)))
    if isinstance(runs[0], torch.Tensor):
        return _convert(_join(runs, size, samples), is_numpy)
    return _convert(tuple(_join(parts, size, samples) for parts in zip(*runs, strict=True)), is_numpy)


def tensor_of(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """A tensor of an array, whose memory it shares where torch can: not read-only, strides not negative."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _tensor(value: Any, param: Input) -> torch.Tensor:
    name = param.name
    if not isinstance(value, torch.Tensor | np.ndarray):
        raise InputError(
            f"input '{name}' must be a torch.Tensor or numpy.ndarray, not {type(value).__name__}"
        )
    if isinstance(value, torch.Tensor):
        if value.device.type != "cpu" or value.layout != torch.strided:
            raise InputError(f"input '{name}' must be a dense tensor with data, on the CPU")
        return value
    try:
        return tensor_of(value)
    except (TypeError, ValueError):  # nor all of NumPy's dtypes
        raise InputError(f"input '{name}' must be {param.dtype}, got {value.dtype}; convert it") from None


def _check(tensors: list[torch.Tensor], params: Sequence[Input]) -> int | None:
    """The number of samples; None if shapes have no common batch axis, and all are those of one run."""
    shapes = [param.shape for param in params]
    batches = all(shapes) and len({shape[0] for shape in shapes}) == 1
    for tensor, param in zip(tensors, params, strict=True):
        shape, name, dtype = param.shape, param.name, str(tensor.dtype).removeprefix("torch.")
        fits = tensor.ndim == len(shape) and tuple(tensor.shape[1:]) == shape[1:] and tensor.numel() > 0
        if dtype != param.dtype or not fits or (not batches and tuple(tensor.shape) != shape):
            expected = f"[n, {', '.join(map(str, shape[1:]))}]" if batches else str(list(shape))
            raise InputError(
                f"input '{name}' must be {param.dtype} {expected}, got {dtype} {list(tensor.shape)}"
            )
        array = tensor.detach().numpy()
        if not is_known(array, param.is_mask):
            raise not_finite(name)
        if wrong := outside(array, param.range):
            raise InputError(f"input '{name}' {wrong}")
        if batches and len(tensor) != len(tensors[0]):
            raise InputError(
                f"input '{name}' has {len(tensor)} samples, but the first input has {len(tensors[0])}"
            )
    return len(tensors[0]) if batches else None


def _join(parts: Any, size: int, samples: int) -> torch.Tensor:
    if any(part.ndim == 0 or len(part) != size for part in parts):
        raise InputError(
            f"the network's results {list(parts[0].shape)} have no batch axis of {size} to join; give inputs "
            "of just the imported shapes"
        )
    return torch.cat(list(parts))[:samples]


def _convert(outputs: Outputs, is_numpy: bool) -> Any:
    if not is_numpy:
        return outputs
    if isinstance(outputs, torch.Tensor):
        return outputs.detach().numpy()
    return tuple(output.detach().numpy() for output in outputs)
