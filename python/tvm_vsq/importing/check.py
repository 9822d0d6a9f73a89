"""Runs an imported graph once beside the model that it came from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from tvm_vsq.arguments import by_name, is_known, outside
from tvm_vsq.errors import ModelError, VsqWarning
from tvm_vsq.frontend.source import Array, Source
from tvm_vsq.importing.compare import TOLERANCE, difference
from tvm_vsq.importing.locate import locate
from tvm_vsq.importing.relax_source import RelaxSource
from tvm_vsq.importing.run import results_of
from tvm_vsq.network.inputs import Input, inputs_of
from tvm_vsq.tvm_compat import IRModule


def check(source: Source | None, raw: IRModule, module: IRModule, example_inputs: Any) -> str:
    """Raise if the results of `module` are not those of `source`; else what was found, in words.

    source: the model; None if it was Relax. raw: its import before the canonical form.
    """
    if source is None:
        source = RelaxSource(raw)
    inputs, kind = _inputs(example_inputs, source, module)
    expected = source.run(inputs)
    got = results_of(module, inputs)
    worst = _compare_results(source.title, expected, got)
    if worst > TOLERANCE:
        _check_closed_rows(source.title, expected, got)
        locate(source, raw, inputs, expected)
        warnings.warn(
            f"the import of the {source.title} differs by {worst:.1e} (relative, 2-norm), though no operator "
            "differs by itself: rounding adds up in this model",
            VsqWarning,
            stacklevel=4,
        )
    return f"checked beside the {source.title} on {kind}: relative difference {worst:.1e} (2-norm)"


def _check_closed_rows(title: str, expected: Sequence[Array], got: Sequence[Array]) -> None:
    """Raise for NaN where the import has numbers, as in rows that -inf hides as a whole."""
    for position, (theirs, ours) in enumerate(zip(expected, got, strict=True)):
        both = theirs.dtype.kind == "f" and theirs.shape == ours.shape
        odd = np.isnan(theirs) & np.isfinite(ours) if both else np.zeros(0, bool)
        if odd.any():
            place = [int(n) for n in np.argwhere(odd)[0]]
            raise ModelError(
                f"result {position} of the {title} is NaN at {place} for its example inputs, and a number in "
                "its import: rows of scores that -inf hides as a whole have equal probabilities there; give "
                "examples that leave a place of each row visible, or hide by a finite number, such as -1e9"
            )


def _inputs(example_inputs: Any, source: Source, module: IRModule) -> tuple[list[Array], str]:
    taken = inputs_of(module["main"])
    examples = source.examples if example_inputs is None else _arrays(example_inputs, taken)
    if examples is not None:
        arrays = _checked_examples(examples, taken)
        known = zip(arrays, taken, strict=True)
        if all(_tells_something(array, each.is_mask) for array, each in known) and _all_differ(arrays):
            return arrays, "its example inputs"
    return [each.sample(seed) for seed, each in enumerate(taken)], "random inputs"


def _all_differ(examples: Sequence[Array]) -> bool:
    return not any(np.array_equal(a, b) for a, b in combinations(examples, 2))


def _arrays(example_inputs: Any, taken: Sequence[Input]) -> tuple[Array, ...]:
    values = by_name(example_inputs, [each.name for each in taken], "example_inputs", ModelError)
    return tuple(map(_array, values if isinstance(values, tuple | list) else (values,)))


def _array(value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()  # NumPy has no bfloat16
    return np.array(value, order="C")


def _checked_examples(examples: Sequence[Array], taken: Sequence[Input]) -> list[Array]:
    """In the dtypes of the inputs. Shapes that came with the model itself are not changed by others.

    An example that is all one number stands for a shape, whatever its dtype.
    """
    if len(examples) != len(taken):
        raise ModelError(f"example_inputs holds {len(examples)} tensors, the model has {len(taken)} inputs")
    checked = []
    for position, (array, each) in enumerate(zip(examples, taken, strict=True)):
        where = f"example_inputs[{position}]"
        if array.shape != each.shape:
            raise ModelError(
                f"{where} has shape {list(array.shape)}, but the model was made for "
                f"{list(each.shape)} as input '{each.name}'; give inputs of this shape, or none"
            )
        if array.dtype.kind == "f" and each.dtype != "float32" and _tells_something(array):
            raise ModelError(f"{where} is {array.dtype}, but input '{each.name}' is {each.dtype}; convert it")
        if wrong := outside(array, each.range):
            raise ModelError(f"{where}, input '{each.name}', {wrong}")
        checked.append(array.astype(each.dtype))
    return checked


def _tells_something(array: Array, is_mask: bool = False) -> bool:
    return is_known(array, is_mask) and (array.size == 1 or bool(array.min() < array.max()))


def _compare_results(title: str, expected: Sequence[Array], got: Sequence[Array]) -> float:
    """The largest relative difference; infinite where shapes or dtypes differ."""
    if len(expected) != len(got):
        raise ModelError(
            f"the {title} returns {len(expected)} tensors, its import {len(got)}; return each tensor once, "
            "and nothing else"
        )
    return max((difference(a, b) for a, b in zip(expected, got, strict=True)), default=0.0)
