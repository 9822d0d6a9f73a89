"""The operators that have an accelerator form: this list, and a folder each in `ops/`.

A folder holds a file for each aspect, which is what one stage of the compiler has to know about the operator.
A stage asks here for its aspect of all operators; nothing else in the package names one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TypeVar

OPERATORS = (
    "conv2d",
    "depthwise_conv2d",
    "dense",
    "max_pool2d",
    "avg_pool2d",
    "add",
    "multiply",
    "layer_norm",
    "rms_norm",
    "softmax",
    "matmul",
    "rotary",
    "row_sum",
)

NAMES = {f"vsq.{operator}": operator for operator in OPERATORS}
"""By the name of its calls in Relax."""

T = TypeVar("T")


def aspects(aspect: str, kind: type[T]) -> dict[str, T]:
    """What each operator declares for `aspect`, by operator: the object that its file names in capitals.

    Files are imported when they are first asked for.
    """
    return {operator: _load(operator, aspect, kind) for operator in OPERATORS}


def _load(operator: str, aspect: str, kind: type[T]) -> T:
    declared = getattr(import_module(f"tvm_vsq.ops.{operator}.{aspect}"), aspect.upper())
    if not isinstance(declared, kind):
        raise TypeError(
            f"ops/{operator}/{aspect}.py declares a {type(declared).__name__}, no {kind.__name__}"
        )
    return declared
