"""Arguments of a call of a network: by place or by name, and indices among them that lie in their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import VsqError, shown

Range = tuple[int, int]
"""The smallest and the largest value of an index, both allowed."""


def outside(array: npt.NDArray[Any], allowed: Range | None) -> str:
    """What is wrong with the indices in an array, in words; empty if all are allowed."""
    if allowed is None or not array.size or (allowed[0] <= array.min() and array.max() <= allowed[1]):
        return ""
    low, high = allowed
    first = int(np.argmax((array < low) | (array > high)))
    place = [int(n) for n in np.unravel_index(first, array.shape)] if array.ndim else []
    found = f"{int(array.reshape(-1)[first])}{f' at {place}' if place else ''}"
    return f"holds {found}, which is no index of the model's table: give {low} to {high}"


def is_known(array: npt.NDArray[Any], is_mask: bool) -> bool:
    """Whether all numbers are finite, or minus infinity in a mask."""
    if array.dtype.kind != "f":
        return True
    return bool((np.isfinite(array) | np.isneginf(array)).all() if is_mask else np.isfinite(array).all())


def in_order(
    args: tuple[Any, ...], named: Mapping[str, Any], names: Sequence[str], error: Callable[[str], VsqError]
) -> tuple[Any, ...]:
    """The arguments of a call in the order of `names`: the first ones without, the rest with names, or all
    in one mapping (what a tokenizer gives)."""
    if len(args) == 1 and not named and isinstance(args[0], Mapping):
        return tuple(by_name(args[0], names, "the call", error))
    if not named:
        return args
    twice = [name for name in names[: len(args)] if name in named]
    if twice:
        raise error(f"input {shown(twice[0])} is given twice, by its place and by its name")
    given = dict(zip(names, args, strict=False)) | dict(named)
    return tuple(by_name(given, names, "the call", error))


def by_name(given: Any, names: Sequence[str], where: str, error: Callable[[str], VsqError]) -> Any:
    """The values of a mapping from names to tensors as a tuple in the order of `names`; other things as they
    are.

    Raises `error` for a name that is missing or not known. where: what holds the mapping, in words.
    """
    if not isinstance(given, Mapping):
        return given
    missing = [name for name in names if name not in given]
    unknown = [str(name) for name in given if name not in names]
    if missing or unknown:
        said = [f"lacks {', '.join(map(shown, missing))}"] if missing else []
        said += [f"holds {', '.join(map(shown, unknown))}, which the model does not take"] if unknown else []
        raise error(f"{where} {' and '.join(said)}; the inputs are {', '.join(names)}")
    return tuple(given[name] for name in names)
