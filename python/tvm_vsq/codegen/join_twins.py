"""Joins two layers that make the same of the same rows, one as vectors and one as numbers of 32 bits: rows
are loaded and computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tvm_vsq.codegen.layer import Layer
from tvm_vsq.schedule.digits import WithDigits, without_digits
from tvm_vsq.schedule.rows import Rows


def join_twins(layers: Sequence[Layer]) -> list[Layer]:
    """`layers`, in which the first of two twins makes the results of both, wide ones `beside` vectors."""
    joined: list[Layer] = list(layers)
    for wide in layers:
        vectors = next((layer for layer in joined if _are_twins(layer, wide)), None)
        if vectors is None:
            continue
        first = next(layer for layer in joined if layer is vectors or layer is wide)
        last = wide if first is vectors else vectors
        both = _both(vectors, wide)
        joined = [both if layer is first else layer for layer in joined if layer is not last]
    return joined


def _are_twins(vectors: Layer, wide: Layer) -> bool:
    rows, numbers = without_digits(vectors.workload), without_digits(wide.workload)
    if not (isinstance(rows, Rows) and isinstance(numbers, Rows)):
        return False
    return (
        numbers.wide
        and rows == replace(numbers, wide=False)
        and vectors.inputs == wide.inputs
        and vectors.post.rows == wide.post.rows
        and all(
            np.array_equal(records, wide.constants[name])
            for name, records in vectors.constants.items()
            if name != "par"
        )
    )


def _both(vectors: Layer, wide: Layer) -> Layer:
    work: Any = vectors.workload
    par = wide.constants["par"]
    shared = np.array_equal(par, vectors.constants["par"])
    rows = replace(without_digits(work), beside=True, shared=shared)  # type: ignore[type-var]
    return replace(
        vectors,
        name=f"{vectors.name} + {wide.name}",
        workload=replace(work, work=rows) if isinstance(work, WithDigits) else rows,
        post=replace(vectors.post, beside_relu=wide.post.relu),
        constants={**vectors.constants, **({} if shared else {"par_beside": par})},
        beside=wide.result,
    )
