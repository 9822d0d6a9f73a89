"""Inputs for quantizing a model whose numbers do not matter."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_vsq.tvm_compat import IRModule


def random_calibration(module: IRModule, seed: int) -> list[tuple[Any, ...]]:
    """One sample of normal noise for each input of "main": enough to tune, as schedules depend on
    shapes alone."""
    rng = np.random.default_rng(seed)
    shapes = [tuple(int(extent) for extent in parameter.ty.shape) for parameter in module["main"].params]
    return [tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes)]
