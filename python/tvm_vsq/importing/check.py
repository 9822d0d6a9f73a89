"""Runs an imported graph once beside the model that it came from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from tvm_vsq.errors import ModelError, VsqWarning
from tvm_vsq.frontend.source import Array, Source, with_both_signs
from tvm_vsq.graph import static_shape
from tvm_vsq.importing.compare import TOLERANCE, difference
from tvm_vsq.importing.locate import locate
from tvm_vsq.importing.relax_source import RelaxSource
from tvm_vsq.importing.run import results_of
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
        locate(source, raw, inputs, expected)
        warnings.warn(
            f"the import of the {source.title} differs by {worst:.1e} (relative, 2-norm), though no operator "
            "differs by itself: rounding adds up in this model",
            VsqWarning,
            stacklevel=4,
        )
    return f"checked beside the {source.title} on {kind}: relative difference {worst:.1e} (2-norm)"


def _inputs(example_inputs: Any, source: Source, module: IRModule) -> tuple[list[Array], str]:
    params = module["main"].params
    examples = source.examples if example_inputs is None else _arrays(example_inputs)
    if examples is not None:
        _check_examples(examples, [(param.name, static_shape(param)) for param in params])
        if all(_tells_something(array) for array in examples) and _all_differ(examples):
            return list(examples), "its example inputs"
    return [with_both_signs(static_shape(param), seed) for seed, param in enumerate(params)], "random inputs"


def _all_differ(examples: Sequence[Array]) -> bool:
    return not any(np.array_equal(a, b) for a, b in combinations(examples, 2))


def _arrays(example_inputs: Any) -> tuple[Array, ...]:
    values = example_inputs if isinstance(example_inputs, tuple | list) else (example_inputs,)
    return tuple(
        np.array(value.detach().cpu().numpy() if hasattr(value, "detach") else value, "float32", order="C")
        for value in values
    )


def _check_examples(examples: Sequence[Array], params: Sequence[tuple[str, tuple[int, ...]]]) -> None:
    """Shapes that came with the model itself are not changed by other examples."""
    if len(examples) != len(params):
        raise ModelError(f"example_inputs holds {len(examples)} tensors, the model has {len(params)} inputs")
    for position, (array, (name, shape)) in enumerate(zip(examples, params, strict=True)):
        if array.shape != shape:
            raise ModelError(
                f"example_inputs[{position}] has shape {list(array.shape)}, but the model was made for "
                f"{list(shape)} as input '{name}'; give inputs of this shape, or none"
            )


def _tells_something(array: Array) -> bool:
    return bool(np.isfinite(array).all()) and (array.size == 1 or bool(np.ptp(array) > 0))


def _compare_results(title: str, expected: Sequence[Array], got: Sequence[Array]) -> float:
    """The largest relative difference; infinite where shapes or dtypes differ."""
    if len(expected) != len(got):
        raise ModelError(
            f"the {title} returns {len(expected)} tensors, its import {len(got)}; return each tensor once, "
            "and nothing else"
        )
    return max((difference(a, b) for a, b in zip(expected, got, strict=True)), default=0.0)
