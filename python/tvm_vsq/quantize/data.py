"""Calibration data as batches of exactly the model's input shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.arguments import by_name, is_known, outside
from tvm_vsq.errors import CalibrationError, first_line
from tvm_vsq.network.inputs import Input, inputs_of

Array = npt.NDArray[Any]


def batches(function: relax.Function, data: Any) -> Iterator[list[Array]]:
    """Yield one list of arrays per run of the network, in the order of its inputs.

    data: for a network with one input, an array [n, ...] or an iterable of such arrays; for any network, a
        tuple of arrays (one per input), a dict of arrays by the inputs' names, or an iterable of such; NumPy,
        torch or DLPack arrays of the inputs' dtypes.
    n may be any number: rows are regrouped to the batch size of the network, and a last incomplete batch is
    filled up by repeating its own rows, which changes no minimum or maximum.

    Raises CalibrationError naming the item and the input: no data, wrong count, names, shape or dtype, NaN,
    infinity, or an index that is none.
    """
    params = inputs_of(function)
    pending: list[Array] = []
    is_empty = True
    for position, item in enumerate(_items(data, [param.name for param in params])):
        is_empty = False
        arrays = _checked(item, params, position)
        if not _share_batch(params):
            yield arrays
            continue
        size = params[0].shape[0]
        pending = [np.concatenate(pair) for pair in zip(pending, arrays, strict=True)] if pending else arrays
        while pending[0].shape[0] >= size:
            yield [array[:size] for array in pending]
            pending = [array[size:] for array in pending]
    if is_empty:
        raise CalibrationError("calibration holds no data; give at least one batch of inputs")
    if pending and pending[0].shape[0]:
        rows = np.resize(np.arange(pending[0].shape[0]), params[0].shape[0])
        yield [array[rows] for array in pending]


def rereadable(data: Any) -> Any:
    """`data` in a form that `batches` can go through more than once."""
    return list(_each(data)) if isinstance(data, Iterator) else data


def _each(data: Iterable[Any]) -> Iterator[Any]:
    """The items of the caller's data, whose own errors are named as such."""
    items, position = iter(data), 0
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except Exception as error:
            raise CalibrationError(f"calibration[{position}] cannot be read: {first_line(error)}") from error
        yield item
        position += 1


def _share_batch(params: list[Input]) -> bool:
    """Whether the first axis of every input can be taken for the same batch axis."""
    return all(p.shape for p in params) and len({p.shape[0] for p in params}) == 1


def _items(data: Any, names: list[str]) -> Iterator[list[Any]]:
    if data is None:
        raise CalibrationError(
            "calibration data are missing; pass calibration=array, or an iterable of input tuples"
        )
    if _is_array(data):
        data = [data]
    elif isinstance(data, tuple | Mapping):
        data = [data]  # a tuple is one set of inputs, a list is several
    elif not isinstance(data, Iterable) or isinstance(data, str | bytes):
        raise CalibrationError(
            f"calibration is a {type(data).__name__}; give an array, a list of arrays, or an iterable of "
            "input tuples"
        )
    for position, given in enumerate(_each(data)):
        item = by_name(given, names, f"calibration[{position}]", CalibrationError)
        values = [item] if _is_array(item) else list(item) if isinstance(item, tuple | list) else None
        if values is None:
            raise CalibrationError(
                f"calibration[{position}] is a {type(item).__name__}; give an array or a tuple of arrays"
            )
        if len(values) != len(names):
            raise CalibrationError(
                f"calibration[{position}] holds {len(values)} arrays, the network has {len(names)} inputs; "
                f"give one array per input{' (drop labels)' if len(values) > len(names) else ''}"
            )
        yield values


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "__dlpack__")


def _checked(values: list[Any], params: list[Input], position: int) -> list[Array]:
    arrays: list[Array] = []
    for value, param in zip(values, params, strict=True):
        where = f"calibration[{position}], input '{param.name}'"
        array = _to_numpy(value, where)
        shape = param.shape
        expected = f"[n, {', '.join(map(str, shape[1:]))}]" if _share_batch(params) else str(list(shape))
        fits = array.ndim == len(shape) and array.shape[1:] == shape[1:]
        if not fits or (not _share_batch(params) and array.shape != shape):
            raise CalibrationError(f"{where}: shape {list(array.shape)} does not fit; expected {expected}")
        if array.dtype != param.dtype:
            raise CalibrationError(
                f"{where}: dtype {array.dtype} is not {param.dtype}; convert it with .astype('{param.dtype}')"
            )
        if array.size == 0:
            raise CalibrationError(f"{where}: the array is empty; give at least one sample")
        if not is_known(array, param.is_mask):
            raise CalibrationError(f"{where}: holds NaN or infinite values; remove those samples")
        if wrong := outside(array, param.range):
            raise CalibrationError(f"{where}: {wrong}")
        if arrays and _share_batch(params) and array.shape[0] != arrays[0].shape[0]:
            raise CalibrationError(
                f"{where}: {array.shape[0]} samples, but the first input has {arrays[0].shape[0]}"
            )
        arrays.append(array)
    return arrays


def _to_numpy(value: Any, where: str) -> npt.NDArray[Any]:
    try:
        if hasattr(value, "detach"):  # torch: parameters and tensors that want gradients refuse DLPack
            value = value.detach().cpu()
        return value if isinstance(value, np.ndarray) else np.from_dlpack(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise CalibrationError(
            f"{where}: cannot be read as an array ({error}); give NumPy arrays or torch tensors"
        ) from None
